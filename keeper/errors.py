"""Errors that end a command, each with the exit code that scripts rely on.

0 done; 2 the command line or the config is wrong; 3 a venue cannot be reached or refuses the credentials; 4 refused as
unsafe; 1 anything else. A message names the thing, what was wrong, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence


class KeeperError(Exception):
    """Something a person has to put right; ``str()`` of it is the whole message."""

    exit_code = 1


class ConfigError(KeeperError):
    """The command line or the config is wrong."""

    exit_code = 2


class VenueStartError(KeeperError):
    """A venue cannot be reached, or it refuses the credentials, at a moment when nothing can be done without it."""

    exit_code = 3


class UnsafeError(KeeperError):
    """Doing it would be unsafe, so it is refused."""

    exit_code = 4


def told_together(problems: Sequence[str], of: str) -> str:
    """One message of several problems, each a line of a list below what they are problems ``of``; one alone is it."""
    if len(problems) == 1:
        return problems[0]
    return "\n".join([f"{of} has {len(problems)} problems:", *(f"  - {problem}" for problem in problems)])
