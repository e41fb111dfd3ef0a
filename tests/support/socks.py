"""A SOCKS5 proxy on loopback (RFC 1928, without authentication), which remembers what it was asked to reach."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

VERSION, NO_AUTHENTICATION, CONNECT, SUCCEEDED = 5, 0, 1, 0
IPV4, NAME = 1, 3


class Socks:
    """Counts what was reached through it, as it was named to it."""

    def __init__(self) -> None:
        self.address = ""
        self.reached: list[tuple[str, int]] = []
        self._pipes: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection through the proxy."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            _, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(bytes((VERSION, NO_AUTHENTICATION)))
            _, command, _, kind = await reader.readexactly(4)
            assert command == CONNECT
            if kind == NAME:
                host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            else:
                assert kind == IPV4
                host = str(ipaddress.IPv4Address(await reader.readexactly(4)))
            port = int.from_bytes(await reader.readexactly(2), "big")
            self.reached.append((host, port))
            far_reader, far_writer = await asyncio.open_connection(host, port)
            writer.write(bytes((VERSION, SUCCEEDED, 0, IPV4)) + bytes(6))
            for source, sink in ((reader, far_writer), (far_reader, writer)):
                self._pipes.add(asyncio.create_task(_pour(source, sink)))

    async def close(self) -> None:
        """End what still flows."""
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(1 << 16):
            sink.write(piece)
            await sink.drain()
    except ConnectionError:
        return  # the other side has gone: so does this one
    finally:
        sink.close()


@asynccontextmanager
async def socks() -> AsyncIterator[Socks]:
    """A proxy, for the block."""
    made = Socks()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    made.address = f"{host}:{port}"
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
