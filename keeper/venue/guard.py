"""The rules that every request of a client is held to, before it is signed and again before it leaves."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlsplit

from keeper.secrecy import masked
from keeper.venue.base import HostRefusedError
from keeper.venue.budget import Budget
from keeper.venue.recipes import Capability

LOUD_LOGGERS = ("ccxt", "ccxt.base.exchange", "aiohttp", "asyncio", "urllib3", "websockets")
SENT_HEADERS_ARE_SECRET = logging.WARNING
SECRET_LENGTH_MIN = 4
"""Shorter texts are no secrets, and taking them out would take out every letter."""
ECHO_LENGTH_MIN = 12
"""Shorter ones, and numbers, are left in answers: they might be a part of what the venue has to say."""
ECHO_MIXED_MIN = 8
"""So long are the shortest that are taken out all the same where letters and digits are mixed in them: no field, coin
or contract of a venue is called like a password.
"""
ECHO_LOOK_MAX = 1 << 20
"""Longer answers, which are lists of markets, are searched for the usual spellings alone: the loop waits meanwhile."""
TEXT_LENGTH_MAX = 20_000
CUT_LENGTH = 4_000
HIDDEN = "<hidden>"
MONEY_LEAVES = re.compile(r"withdraw|transfer", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VenuePolicy:
    """What a client may do: whether orders may leave at all, which environment it talks to, and whether coins may be
    moved between the user's own wallets of the venue. Nothing ever allows a withdrawal.
    """

    trading: bool
    environment: Literal["live", "testnet"]
    transfers: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of one venue; they never appear in a repr. ``hidden`` are other secrets, which an answer may repeat too:
    a proxy's password, an alert channel's token.
    """

    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown."""
        values = (self.api_key, self.api_secret, self.password, *self.extra.values(), *self.hidden)
        return tuple(dict.fromkeys(value for value in values if value))

    def for_ccxt(self, required: Mapping[str, bool] | None = None) -> dict[str, str]:
        """The keys as the constructor wants them; a venue of wallets takes address and private key in their place."""
        needs = required or {}
        if needs.get("walletAddress") and not needs.get("apiKey"):
            own = {"walletAddress": self.api_key, "privateKey": self.api_secret}
        else:
            third = "uid" if needs.get("uid") and not needs.get("password") else "password"
            own = {"apiKey": self.api_key, "secret": self.api_secret, third: self.password}
        return {key: value for key, value in {**own, **self.extra}.items() if value}


@dataclass(slots=True)
class Answer:
    """What came back for one request that left; ``status`` is None while nothing did."""

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


ANSWERS: ContextVar[list[Answer] | None] = ContextVar("keeper_venue_answers", default=None)
"""The requests of the call in progress; a request that is not in the list never left."""


def may_create(method: str, path: str) -> bool:
    """Whether a request could make an order; some venues place orders by GET."""
    return method not in ("GET", "DELETE") or re.search(r"/private/(buy|sell)$", path) is not None


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """``text`` without query strings, signatures and the values in ``secrets``; of a very long one, its beginning."""
    long = len(text) > TEXT_LENGTH_MAX
    shown = re.sub(r"(https?|wss?)(://[^\s?\"']+)\?[^\s\"']*", r"\1\2?<hidden>", text[:TEXT_LENGTH_MAX])
    shown = re.sub(r"(?i)(signature|sign|listenKey|apiKey|api_key)=[^\s&\"']+", r"\1=<hidden>", shown)
    shown = masked(shown, (secret for secret in secrets if len(secret) >= SECRET_LENGTH_MIN), HIDDEN)
    # What was cut off may have begun within a secret, which then is not known for one.
    return shown[:-CUT_LENGTH] if long else shown


def cleanse(failure: BaseException, secrets: tuple[str, ...]) -> None:
    """Take addresses' query strings and secrets out of an exception."""
    failure.args = tuple(redact(part, secrets) if isinstance(part, str) else part for part in failure.args)


def without_echo(body: str, secrets: tuple[str, ...]) -> str:
    """An answer without the secrets that it repeats, before anything reads it: what is read may be shown, cut short."""
    telling = [secret for secret in secrets if _is_telling(secret)]
    if len(body) <= ECHO_LOOK_MAX:
        return masked(body, telling, HIDDEN)
    for secret in telling:
        for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            body = body.replace(form, HIDDEN)
    return body


def _is_telling(secret: str) -> bool:
    """Whether a text that is found in an answer can only be the secret."""
    if len(secret) >= ECHO_LENGTH_MIN:
        return not secret.isdigit()
    has_both = any(map(str.isalpha, secret)) and any(map(str.isdigit, secret))
    return len(secret) >= ECHO_MIXED_MIN and has_both


def pin_loggers() -> None:
    """Keep the client's and the HTTP loggers at WARNING or above: below it they write keys and passphrases."""
    known = [name for name in logging.Logger.manager.loggerDict if name.split(".")[0] in LOUD_LOGGERS]
    for name in {*LOUD_LOGGERS, *known}:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < SENT_HEADERS_ARE_SECRET or logger.level < SENT_HEADERS_ARE_SECRET:
            logger.setLevel(SENT_HEADERS_ARE_SECRET)


def texts(tree: Any) -> Iterator[str]:
    """Every text in a tree of mappings and lists."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for branch in tree.values():
            yield from texts(branch)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from texts(branch)


def host_of(url: str) -> str:
    """Host and, where it is given and not the scheme's own, port."""
    parts = urlsplit(url)
    usual = {"https": 443, "wss": 443, "http": 80, "ws": 80}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def hosts_in(tree: Any, hostname: str | None) -> frozenset[str]:
    """Hosts of every address in a tree such as ccxt's ``urls["api"]``."""
    addresses = (text.replace("{hostname}", hostname or "") for text in texts(tree))
    return frozenset(host_of(address) for address in addresses if "://" in address)


@dataclass(slots=True)
class Guard:
    """The rules of one client; every request is shown to it before it is signed, and again before it leaves."""

    name: str
    policy: VenuePolicy
    capability: Capability
    allowed: frozenset[str]
    secrets: tuple[str, ...]
    budget: Budget
    demo_headers: Mapping[str, str] = field(default_factory=dict)
    demo_path: str | None = None

    def _refuse(self, what: str, why: str) -> HostRefusedError:
        return HostRefusedError(f"{self.name}: refused {what} before it was signed: {why}")

    def check_endpoint(self, path: str, api: Any, method: str, urls: Any, hostname: str | None) -> None:
        """Judge a request by its section, method and path, before it is signed."""
        sections = [api] if isinstance(api, str) else [str(section) for section in api]
        what = f"{method} {'/'.join(sections)} {path}"
        bases = hosts_in(_section(urls, sections), hostname)
        strange = sorted(bases - self.allowed)
        if strange:
            raise self._refuse(what, f"{strange[0]} is not an allowed host (allowed: {self._allowed_text()})")
        if self.capability.is_harmless(method, path, sections):
            return
        if not self.policy.trading:
            raise self._refuse(what, "this mode sends nothing but reads")
        if MONEY_LEAVES.search(path) and not self._is_own_transfer(path, method, sections):
            raise self._refuse(what, "nothing allows keeper to move money out of a wallet")
        if self.demo_path is not None and self.demo_path not in path:
            raise self._refuse(what, f"the demo's orders go under {self.demo_path}")

    def _is_own_transfer(self, path: str, method: str, sections: list[str]) -> bool:
        """Whether this is the one request that moves coins between the user's own wallets, and it is allowed."""
        call = self.capability.transfers
        if call is None or not self.policy.transfers or method != "POST":
            return False
        return tuple(sections) == call.sections and path == call.path

    def check_url(self, url: str, headers: Mapping[str, Any] | None = None, *, own_headers: bool = False) -> None:
        """Judge the address itself, and the headers where the demo is told by one."""
        host = host_of(url)
        if host not in self.allowed:
            raise self._refuse(f"a request to {host}", f"allowed are {self._allowed_text()}")
        if not own_headers or not self.demo_headers:
            return
        sent = {key.lower(): str(value) for key, value in (headers or {}).items()}
        if not any(secret in value for value in sent.values() for secret in self.secrets):
            return  # a request without the key can reach nobody's account
        for key, value in self.demo_headers.items():
            if sent.get(key.lower()) != value:
                raise self._refuse(f"a request to {host}", f"the demo needs the header {key}: {value}")

    def _allowed_text(self) -> str:
        return ", ".join(sorted(self.allowed)) or "none"


def _section(urls: Any, sections: list[str]) -> Any:
    """The part of ``urls["api"]`` that a request of these sections is built from; all of REST where none is named."""
    if isinstance(urls, Mapping):
        part: Any = urls
        for section in sections:
            if not isinstance(part, Mapping) or section not in part:
                break
            part = part[section]
        if part is not urls:
            return part
        return {key: value for key, value in urls.items() if key != "ws" and not _is_stream(value)}
    return urls


def _is_stream(tree: Any) -> bool:
    found = list(texts(tree))
    return bool(found) and all(text.startswith("ws") for text in found)
