"""Where alerts go: the log, a webhook, or whatever apprise knows. Each makes one attempt; the queue tries again.

Tokens live in URLs, for many services even where the host name is. So a channel is named by its scheme (a webhook also
by its host) and its URL appears in no log, error or answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import structlog

from keeper.alerts.rules import Alert, Severity
from keeper.errors import ConfigError
from keeper.report import iso_utc

_TRY_AGAIN_STATUS = frozenset({408, 425, 429})


class DeliveryError(Exception):
    """An attempt failed; the text is ours and holds no URL. ``is_final``: another attempt would fail as well."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Channel(Protocol):
    """One way to people. ``name`` may be shown to anybody."""

    name: str

    async def send(self, alert: Alert) -> None:
        """One attempt; returns when it was taken over, raises otherwise."""
        ...

    async def close(self) -> None:
        """Give back sockets."""
        ...


class LogChannel:
    """Writes alerts into the keeper's own log, at a level that fits their severity."""

    name = "log"

    async def send(self, alert: Alert) -> None:
        """Log it; cannot fail."""
        log = structlog.get_logger("keeper.alerts")
        level = {
            Severity.INFO: logging.INFO,
            Severity.WARNING: logging.WARNING,
            Severity.CRITICAL: logging.CRITICAL,
        }[alert.severity]
        log.log(
            level,
            "alert",
            key=alert.key,
            severity=alert.severity.value,
            title=alert.title,
            text=alert.text,
            hedge=alert.hedge,
            resolved=alert.resolved,
        )

    async def close(self) -> None:
        """Nothing to give back."""


class WebhookChannel:
    """POSTs each alert as one JSON document to an http(s) URL; any 2xx answer is success, redirects are not followed.

    The document: ``source`` ("keeper"), ``key``, ``severity``, ``title``, ``text``, ``hedge`` (or null), ``resolved``,
    ``at`` (ISO-8601, UTC).
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}"
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def send(self, alert: Alert) -> None:
        """One POST."""
        if self._session is None:
            # Made here, because a session belongs to the event loop that runs. The queue has the deadline.
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        try:
            async with self._session.post(self._url, json=alert_json(alert), allow_redirects=False) as answer:
                status = answer.status
        except aiohttp.ClientError as error:
            # From None: the cause's text may hold the URL.
            raise DeliveryError(f"{self.name} could not be reached: {type(error).__name__}") from None
        if not 200 <= status < 300:
            is_final = status < 500 and status not in _TRY_AGAIN_STATUS
            raise DeliveryError(f"{self.name} answered {status}", is_final=is_final)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class AppriseChannel:
    """Hands alerts to apprise in a thread, because it is slow to import and blocks while it sends."""

    def __init__(self, url: str) -> None:
        # Not the host: for many services the "host" is the token.
        self.name = f"{urlsplit(url).scheme}://"
        self._url = url
        self._thread: threading.Thread | None = None

    async def send(self, alert: Alert) -> None:
        """One notification. While an earlier one still hangs in its thread, the attempt fails."""
        if self._thread is not None and self._thread.is_alive():
            raise DeliveryError(f"{self.name} is still busy with an earlier alert")
        done, self._thread = _in_daemon_thread(lambda: _notify(self._url, alert))
        problem = await done
        if problem is not None:
            raise DeliveryError(f"{self.name} {problem}", is_final=problem == _NOT_UNDERSTOOD)

    async def close(self) -> None:
        """Nothing to give back: a thread that still hangs ends with the process."""


_NOT_UNDERSTOOD = "is a URL that apprise does not understand"


def channel_for(url: str) -> Channel:
    """The channel of one ``[alerts] urls`` entry; raises :class:`ConfigError` without repeating the URL."""
    try:
        parts = urlsplit(url)
        scheme, hostname = parts.scheme.lower(), parts.hostname
    except ValueError:
        scheme, hostname = "", None
    if "://" not in url or not scheme:
        raise ConfigError(
            "[alerts] urls: an entry is no URL; give a webhook (https://host/path) or an apprise URL (service://...)"
        )
    if scheme not in {"http", "https"}:
        return AppriseChannel(url)
    if not hostname:
        raise ConfigError(f"[alerts] urls: the {scheme}:// entry names no host; write {scheme}://host/path")
    return WebhookChannel(url)


def alert_json(alert: Alert) -> dict[str, object]:
    """The JSON document of one alert, as webhooks get it."""
    return {
        "source": "keeper",
        "key": alert.key,
        "severity": alert.severity.value,
        "title": alert.title,
        "text": alert.text,
        "hedge": alert.hedge,
        "resolved": alert.resolved,
        "at": iso_utc(alert.at_ms),
    }


def _notify(url: str, alert: Alert) -> str | None:
    """Runs in the thread. Returns what was wrong, or None."""
    # Both write URLs, and so tokens, into their messages; our own errors say what is needed.
    for chatty in ("apprise", "urllib3", "requests"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    import apprise

    client = apprise.Apprise()
    if not client.add(url):
        return _NOT_UNDERSTOOD
    kind = {
        Severity.INFO: apprise.NotifyType.SUCCESS if alert.resolved else apprise.NotifyType.INFO,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
    }[alert.severity]
    sent = client.notify(body=alert.text, title=alert.title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return None if sent else "did not take the alert"


def _in_daemon_thread(work: Callable[[], str | None]) -> tuple[asyncio.Future[str | None], threading.Thread]:
    """Run ``work`` in a thread of its own.

    Not in the loop's executor: a service that hangs would use up the threads that name resolution needs, and Python
    joins those at exit, so that it could keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def settle(problem: str | None) -> None:
        if not done.done():
            done.set_result(problem)

    def run() -> None:
        try:
            problem = work()
        except Exception as error:  # noqa: BLE001 - told by its type alone, as its text may hold the URL; the queue logs it
            problem = f"failed: {type(error).__name__}"
        # The keeper may have ended while the service hung: then the loop is closed, and nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, problem)

    thread = threading.Thread(target=run, name="keeper-apprise", daemon=True)
    thread.start()
    return done, thread
