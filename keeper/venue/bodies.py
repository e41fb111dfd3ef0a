"""How much of an answer is read: a body without an end must not take the memory, or the time of a whole turn."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

import aiohttp

MOST_BYTES = 64 << 20
"""Several times the longest lists of markets that venues are known to send; counted as unpacked."""
MOST_BYTES_OF_A_READING = 8 << 20
"""Several times the longest answer to anything else. Read, empty brackets take 25 times their length in memory."""
LISTS_MARKETS: ContextVar[bool] = ContextVar("keeper_venue_lists_markets", default=False)
"""Whether the calls in progress are those that load the list of markets."""
SWITCHED = 101


class _Bounded:
    """A response's stream, which is read to its end or to its bound."""

    def __init__(self, stream: aiohttp.StreamReader, fault: Callable[[str], Exception]) -> None:
        self._stream = stream
        self._fault = fault

    async def read(self, n: int = -1) -> bytes:
        """The whole body, or ``n`` bytes; raises the fault as soon as it is longer than the bound."""
        if n >= 0:
            return await self._stream.read(n)
        most = MOST_BYTES if LISTS_MARKETS.get() else min(MOST_BYTES, MOST_BYTES_OF_A_READING)
        body = bytearray()
        while chunk := await self._stream.readany():
            body += chunk
            if len(body) > most:
                raise self._fault(f"the answer is longer than {most} bytes; not read to its end")
        return bytes(body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def bounded(answer: aiohttp.ClientResponse, fault: Callable[[str], Exception]) -> aiohttp.ClientResponse:
    """The answer; whoever reads more of its body than is ever read gets what ``fault`` makes of the words instead."""
    if answer.status != SWITCHED:
        answer.content = cast("aiohttp.StreamReader", _Bounded(answer.content, fault))
    return answer
