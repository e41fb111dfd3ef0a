"""Errors that end a command, each with the exit code that scripts rely on.

0 done; 2 the command line or the config is wrong; 3 a venue cannot be reached or refuses the credentials; 4 refused as
unsafe; 1 anything else. A message names the thing, what was wrong, and what to do about it.
"""

from __future__ import annotations


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
