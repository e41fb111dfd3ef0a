"""Files in which another program states coins, read beside the wallets and doubted like them.

A file that is missing, half-written, too large or not understood is a gap, never zero. Reading is bounded in size and
in time and happens in a thread of its own: a disk that hangs must not hang the loop, nor the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keeper.clock import Clock
from keeper.config.values import nearest
from keeper.core.model import NO_BASE, AccountId, Base
from keeper.core.orders import plain
from keeper.core.stated import file_account, lies_ahead, span
from keeper.holdings_formats import Row, rows_of
from keeper.venue.base import VenueError, Wallet

BYTES_MAX = 1_048_576
READ_SECONDS = 5.0


class FileUnreadableError(VenueError):
    """A holdings file is not there, is no plain file, may not be read, is too large, or did not answer in time."""

    code = "file_unreadable"


class FileMalformedError(VenueError):
    """A holdings file was read and does not say what it has to say."""

    code = "file_malformed"


@dataclass(frozen=True, slots=True)
class WantedFile:
    """What keeper wants of a file: these assets have to be in it; only with ``borrowed`` may they be owed."""

    path: Path
    assets: tuple[str, ...]
    borrowed: bool = False


class HoldingsFiles:
    """Reads the files of a keeper as if each were a wallet, by its path as the configuration has it."""

    def __init__(self, wanted: Mapping[str, WantedFile], clock: Clock, read_seconds: float = READ_SECONDS) -> None:
        self._wanted = dict(wanted)
        self._clock = clock
        self._read_seconds = read_seconds
        self._reading: set[Path] = set()

    async def wallet(self, name: str) -> Wallet:
        """One file, whole, with the age of each amount; raises :class:`VenueError`."""
        wanted = self._wanted[name]
        content, changed_ms = await self._read(wanted.path)
        return wallet_of(name, wanted, content, changed_ms, self._clock.now_ms())

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:  # noqa: ARG002  # as a venue has it
        """A file records no trades and no transfers: nothing in it explains a fall to zero."""
        return NO_BASE

    async def _read(self, path: Path) -> tuple[bytes, int]:
        if path in self._reading:
            raise FileUnreadableError(f"{path} is still being read since an earlier look: does its disk answer?")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[bytes, int]] = loop.create_future()

        def told(result: tuple[bytes, int] | VenueError) -> None:
            self._reading.discard(path)
            if answer.done():
                return
            if isinstance(result, VenueError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        def work() -> None:
            result: tuple[bytes, int] | VenueError
            try:
                result = read_bytes(path)
            except VenueError as error:
                result = error
            # A loop that has ended meanwhile wants no answer.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(told, result)

        self._reading.add(path)
        threading.Thread(target=work, name=f"holdings {path.name}", daemon=True).start()
        try:
            async with asyncio.timeout(self._read_seconds):
                return await answer
        except TimeoutError:
            raise FileUnreadableError(f"{path} could not be read within {self._read_seconds:g} s") from None


def read_bytes(path: Path) -> tuple[bytes, int]:
    """The content of a plain file and when it was changed last, wall milliseconds; raises :class:`VenueError`.

    Never waits for the other end of a pipe, and takes nothing that is being changed while it is read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise FileUnreadableError(f"there is no file {path}; the program that writes it has to run first") from None
    except (OSError, ValueError) as error:
        raise FileUnreadableError(f"{path} cannot be opened ({_why(error)})") from None
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise FileUnreadableError(f"{path} is no plain file")
        if before.st_size > BYTES_MAX:
            raise FileUnreadableError(f"{path} is larger than {BYTES_MAX} bytes")
        with os.fdopen(handle, "rb", closefd=False) as stream:
            content = stream.read(BYTES_MAX + 1)
        after = os.fstat(handle)
    except OSError as error:
        raise FileUnreadableError(f"{path} cannot be read ({_why(error)})") from None
    finally:
        os.close(handle)
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size) or len(content) != after.st_size:
        raise FileMalformedError(f"{path} was being written while it was read; write a new file and rename it")
    return content, after.st_mtime_ns // 1_000_000


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or "not a usable path"


def wallet_of(name: str, wanted: WantedFile, content: bytes, changed_ms: int, now_ms: int) -> Wallet:
    """The wallet that the content of a file stands for; raises :class:`VenueError` when it is none.

    A row without a date is as old as the file; the oldest row of an asset gives its age.
    """
    try:
        rows = rows_of(content)
    except ValueError as error:
        raise FileMalformedError(f"{wanted.path} {error}") from None
    totals: dict[str, Base] = {}
    stated: dict[str, int] = {}
    for row in rows:
        as_of_ms = changed_ms if row.as_of_ms is None else row.as_of_ms
        if lies_ahead(as_of_ms, now_ms):
            raise FileMalformedError(
                f"{wanted.path} states {row.asset} as of {span(as_of_ms - now_ms)} from now; correct the date, or the "
                "clock of the machine that wrote it"
            )
        totals[row.asset] = Base(totals.get(row.asset, NO_BASE) + row.amount)
        stated[row.asset] = min(stated.get(row.asset, as_of_ms), as_of_ms)
    for asset in wanted.assets:
        _must_be_in(wanted, asset, rows)
    return Wallet(file_account(name), totals, stated)


def _must_be_in(wanted: WantedFile, asset: str, rows: tuple[Row, ...]) -> None:
    own = [row for row in rows if row.asset == asset]
    if not own:
        known = sorted({row.asset for row in rows})
        raise FileMalformedError(
            f"{wanted.path} has no row for {asset}{nearest(asset, known)}; none left is written as an amount of 0"
        )
    owed = next((row for row in own if row.amount < 0), None)
    if owed is not None and not wanted.borrowed:
        raise FileMalformedError(
            f"{wanted.path} states {plain(owed.amount)} {asset}, less than nothing; where debts are meant, say "
            "borrowed = true"
        )
