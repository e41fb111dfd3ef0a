"""Where commands print for people: on a terminal within its width, into a pipe whatever the width."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 1_000


def console(*, highlight: bool = True) -> Console:
    """Standard output with colours on a terminal only.

    Into a pipe nothing is broken into lines of 80 characters: this is for grep, and a command stays one to be copied.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(file=sys.stdout, highlight=highlight, width=width)
