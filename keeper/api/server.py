"""Runs the API inside the keeper's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from keeper.api.bind import require_loopback, show_bind
from keeper.errors import KeeperError

_MAX_HEADER_BYTES = 16_384
_MAX_CONCURRENT = 32
_STOP_SECONDS = 2
_REQUEST_SECONDS = 5.0
"""How long a connection may stand without a whole request; those that only stand would keep everybody else out."""


class _Impatient(H11Protocol):
    """Closes a connection on which nothing has been asked, or nothing more, between two looks at it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self._answered: object = None
        self._look = self.loop.call_later(_REQUEST_SECONDS, self._look_again)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._look.cancel()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        if self.cycle is self._answered and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
            return
        self._answered = self.cycle
        self._look = self.loop.call_later(_REQUEST_SECONDS, self._look_again)


class _Server(uvicorn.Server):
    """A server that says when it listens and leaves the process's signals to the daemon."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install nothing: SIGTERM belongs to the decision loop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets=sockets)
        self.listening.set()


@asynccontextmanager
async def serve(app: FastAPI, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve ``app`` while the block runs; yields the bound host and port (port 0 picks a free one).

    Raises :class:`~keeper.errors.UnsafeError` where ``host`` is not loopback, and :class:`KeeperError` where it cannot
    be bound. Leaving the block stops it within a few seconds, requests in hand included.
    """
    require_loopback(host)
    listener = _listen(host, port)
    # Request lines and addresses do not belong into the log of a keeper, whatever level that has.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONCURRENT,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _Server(config)
    bound_host, bound_port = listener.getsockname()[:2]
    task = asyncio.create_task(server.serve(sockets=[listener]), name="api server")
    task.add_done_callback(_say_if_it_died)
    try:
        listening = asyncio.create_task(server.listening.wait(), name="api listening")
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if task.done():
            raise KeeperError(f"the API could not be started on {show_bind(host, port)}; the log names the error")
        yield bound_host, bound_port
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=2 * _STOP_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(_MAX_CONCURRENT)
    except OSError as error:
        listener.close()
        where = show_bind(host, port)
        if error.errno == errno.EADDRINUSE:
            raise KeeperError(
                f"the API's address {where} is in use already, perhaps by another keeper; "
                "stop that one, or set [api] bind to another port"
            ) from error
        raise KeeperError(f"the API cannot listen on {where}: {error.strerror}; set [api] bind differently") from error
    return listener


def _say_if_it_died(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        structlog.get_logger("keeper.api").error("api_stopped", error=type(error).__name__)
