"""Asks a running keeper, for the commands that talk to one."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import aiohttp

from keeper.api.bind import parse_bind, show_bind
from keeper.errors import ConfigError, KeeperError

_LOOK_SECONDS = 10.0
_SHOWN_CHARACTERS = 40
HEDGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", re.ASCII)
_ORDER_SECONDS = 90.0
"""An order waits for the turn in flight, and that for its venues."""


class NotThereError(KeeperError):
    """It is not the question that was refused: no keeper answers there, or not to this token."""


def hedge_path(hedge: str, verb: str) -> str:
    """The path of ``pause``, ``resume``, ``flatten``, ``target`` or ``roll`` of one hedge.

    Raises :class:`ConfigError` for what cannot be the name of a hedge, and would be another path or none.
    """
    if not HEDGE_NAME.fullmatch(hedge):
        shown = hedge if len(hedge) <= _SHOWN_CHARACTERS else hedge[:_SHOWN_CHARACTERS] + "…"
        raise ConfigError(
            f"{shown!r} is not the name of a hedge, which has up to 32 letters, digits, dots and dashes; keeper status "
            "shows the hedges that there are"
        )
    return f"/api/v1/hedges/{quote(hedge, safe='')}/{verb}"


async def ask(bind: str, token: str, method: str, path: str) -> dict[str, Any]:
    """One request to the keeper on ``bind``; yields its JSON answer, also that of an unhealthy keeper (503).

    Raises :class:`KeeperError` where no keeper listens, where it refuses the token, or where it says no, and of these
    :class:`ConfigError` where it says that the question is wrong.
    """
    host, port = parse_bind(bind)  # loopback only: the token is sent nowhere else
    where = show_bind(host, port)
    patience_seconds = _LOOK_SECONDS if method == "GET" else _ORDER_SECONDS
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience_seconds)) as session,
            session.request(
                method,
                _url(where, path),
                headers={"Authorization": f"Bearer {token}"},
                allow_redirects=False,
            ) as answer,
        ):
            status = answer.status
            document = await _json(answer)
    except aiohttp.ClientConnectorError:
        raise NotThereError(
            f"no keeper is listening on {where}; start one with: keeper run -c FILE "
            "(or set [api] bind to the address of the one that runs)"
        ) from None
    except TimeoutError:
        raise KeeperError(
            f"the keeper on {where} did not answer within {patience_seconds:.0f} s; it may hang, or may still do what "
            "it was asked: look at its log, and ask: keeper status -c FILE"
        ) from None
    except aiohttp.ClientError as error:
        raise KeeperError(
            f"the answer from {where} broke off ({type(error).__name__}); ask again, and look at the keeper's log"
        ) from error
    return _judge(status, document, where)


def _url(where: str, path: str) -> Any:
    import yarl

    # Encoded already: a slash within a hedge's name must not become two parts of a path.
    return yarl.URL(f"http://{where}{path}", encoded=True)


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any] | None:
    try:
        document = await answer.json()
    except (aiohttp.ContentTypeError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _judge(status: int, document: dict[str, Any] | None, where: str) -> dict[str, Any]:
    if status == 401:
        raise NotThereError(
            f"the keeper on {where} refuses this token: it was started with another token file or journal; "
            "use the config that it was started with, or set [api] token_file to its file"
        )
    if document is None:
        raise NotThereError(f"what listens on {where} is not a keeper (HTTP {status}); set [api] bind to the keeper's")
    error = document.get("error")
    if isinstance(error, dict):
        text = str(error.get("text", f"the keeper on {where} refused (HTTP {status})"))
        # What was asked cannot be done as it was asked: the command line is wrong, and the keeper is not.
        asked_wrongly = status == 400 or error.get("code") == "unknown_hedge"
        raise ConfigError(text) if asked_wrongly else KeeperError(text)
    if status >= 400 and "ok" not in document:
        raise KeeperError(f"the keeper on {where} refused (HTTP {status})")
    return document
