"""The three standard streams, whatever they are when the program starts: closed, full, or a pipe that ends early."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

_FAILED = 1


class _Watched:
    """Standard output, and how it failed."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.fault: OSError | None = None

    def write(self, text: str) -> int:
        """Write, and remember why it did not work."""
        try:
            return self.stream.write(text)
        except OSError as error:
            self.fault = error
            raise

    def flush(self) -> None:
        """Flush, and remember why it did not work."""
        try:
            self.stream.flush()
        except OSError as error:
            self.fault = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def hold() -> None:
    """Put the null device where a stream was closed, and let no letter that a terminal lacks end a command.

    A stream that is left closed leaves its number to the next file that is opened, a journal perhaps, and whatever is
    then printed goes there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout = cast("TextIO", _Watched(sys.stdout))


def ended(code: int) -> int:
    """The exit code, once all that was printed is out: not 0 where it is not. Says why, unless a reader has gone."""
    trouble = fault_of_output()
    if trouble is not None and not isinstance(trouble, BrokenPipeError):
        with suppress(OSError):
            sys.stderr.write(f"error: standard output cannot be written: {trouble.strerror or trouble}\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream.fileno())
    return code if trouble is None else code or _FAILED


def fault_of_output() -> OSError | None:
    """Why nothing more goes to standard output, or None. Unbuffered, a write fails that no later flush tells of."""
    if isinstance(sys.stdout, _Watched) and sys.stdout.fault is not None:
        return sys.stdout.fault
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def _discard(descriptor: int) -> None:
    """Let the interpreter's own last flush find somewhere to go: it would complain in words of its own."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
