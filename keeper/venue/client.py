"""The ccxt client, and the guard around it.

The client is the unmodified class of the venue with one mixin in front of it, put together at run time. The mixin holds
what must be true of every request: it goes to a host that this environment allows (asked before anything is signed, on
the address itself, and again on the wire, redirects included); a client that may not trade sends nothing but harmless
reads; a demo that differs from live by a header carries that header; the venue's pace is kept by our own budget; and no
exception carries a signed address or a secret.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

import aiohttp
import certifi

from keeper.errors import ConfigError, UnsafeError
from keeper.venue.base import HostRefusedError
from keeper.venue.budget import Budget
from keeper.venue.capabilities import Capability, near

LOUD_LOGGERS = ("ccxt", "ccxt.base.exchange", "aiohttp", "asyncio", "urllib3", "websockets")
SENT_HEADERS_ARE_SECRET = logging.WARNING

ALLOWED_KEYS = frozenset(
    {
        *("urls", "options", "timeout", "rateLimit", "headers", "hostname", "userAgent", "cafile"),
        *("httpProxy", "httpsProxy", "socksProxy", "wsProxy", "wssProxy", "wsSocksProxy"),
        *("http_proxy", "https_proxy", "socks_proxy", "ws_proxy", "wss_proxy", "ws_socks_proxy"),
        *("aiohttp_proxy", "aiohttp_trust_env"),
    }
)
CREDENTIAL_KEYS = frozenset(
    {"apiKey", "secret", "password", "uid", "login", "token", "privateKey", "walletAddress", "twofa", "accountId"}
)
UNSAFE_OPTIONS = frozenset(
    {"maxRetriesOnFailure", "sandbox", "sandboxMode", "testnet", "enableDemoTrading", "enableUnifiedAccount.sandbox"}
)
CREDENTIAL_FIELDS = ("apiKey", "secret", "password", "uid", "token", "privateKey", "walletAddress", "login", "twofa")
MONEY_LEAVES = re.compile(r"withdraw|transfer", re.IGNORECASE)


class CcxtClient(Protocol):
    """The part of ccxt that keeper calls; ccxt itself has no types that could be used."""

    has: dict[str, Any]
    urls: dict[str, Any]
    options: dict[str, Any]
    markets: dict[str, Any] | None
    markets_by_id: dict[str, list[dict[str, Any]]] | None
    precisionMode: int  # noqa: N815 - ccxt's own name
    rateLimit: float  # noqa: N815 - ccxt's own name
    load_markets: Callable[[bool], Awaitable[Any]]
    close: Callable[[], Awaitable[None]]
    amount_to_precision: Callable[[str, str], str]
    price_to_precision: Callable[[str, str], str]
    create_order: Callable[[str, str, str, str, str, dict[str, Any]], Awaitable[Any]]
    cancel_order: Callable[[str, str], Awaitable[Any]]
    fetch_order: Callable[[str, str, dict[str, Any]], Awaitable[Any]]
    fetch_my_trades: Callable[[str, int, int, dict[str, Any]], Awaitable[Any]]
    set_leverage: Callable[[float, str], Awaitable[Any]]
    set_margin_mode: Callable[[str, str], Awaitable[Any]]
    parse_order: Callable[[Any, Any], dict[str, Any]]
    parse_trade: Callable[[Any, Any], dict[str, Any]]
    safe_currency_code: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class VenuePolicy:
    """What a client may do: whether orders may leave at all, and which environment it talks to."""

    trading: bool
    environment: Literal["live", "testnet"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of one venue; they never appear in a repr."""

    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown."""
        values = (self.api_key, self.api_secret, self.password, *self.extra.values())
        return tuple(value for value in values if value)

    def for_ccxt(self) -> dict[str, str]:
        """The keys as the constructor wants them."""
        own = {"apiKey": self.api_key, "secret": self.api_secret, "password": self.password}
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


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """``text`` without query strings, signatures and the values in ``secrets``."""
    shown = re.sub(r"(https?|wss?)(://[^\s?\"']+)\?[^\s\"']*", r"\1\2?<hidden>", text)
    shown = re.sub(r"(?i)(signature|sign|listenKey|apiKey|api_key)=[^\s&\"']+", r"\1=<hidden>", shown)
    for secret in sorted(secrets, key=len, reverse=True):
        shown = shown.replace(secret, "<hidden>")
    return shown


def pin_loggers() -> None:
    """Keep the client's and the HTTP loggers at WARNING or above: below it they write keys and passphrases."""
    known = [name for name in logging.Logger.manager.loggerDict if name.split(".")[0] in LOUD_LOGGERS]
    for name in {*LOUD_LOGGERS, *known}:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < SENT_HEADERS_ARE_SECRET or logger.level < SENT_HEADERS_ARE_SECRET:
            logger.setLevel(SENT_HEADERS_ARE_SECRET)


def known_exchanges() -> tuple[str, ...]:
    """Every exchange id that the installed client knows."""
    import ccxt.pro  # type: ignore[import-untyped]

    return tuple(ccxt.pro.exchanges)


def check_exchange(exchange_id: str) -> None:
    """Raise :class:`ConfigError` with the nearest names unless ``exchange_id`` is one."""
    if exchange_id not in known_exchanges():
        raise ConfigError(f'unknown exchange "{exchange_id}"{near(exchange_id, known_exchanges())}')


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
        if MONEY_LEAVES.search(path):
            raise self._refuse(what, "keeper never moves money between accounts")
        if self.demo_path is not None and self.demo_path not in path:
            raise self._refuse(what, f"the demo's orders go under {self.demo_path}")

    def check_url(self, url: str, headers: Mapping[str, Any] | None = None, *, own_headers: bool = False) -> None:
        """Judge the address itself, and the headers where the demo is told by one."""
        host = host_of(url)
        if host not in self.allowed:
            raise self._refuse(f"a request to {host}", f"allowed are {self._allowed_text()}")
        if own_headers:
            sent = {key.lower(): str(value) for key, value in (headers or {}).items()}
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


def _strict_json(text: str) -> Any:
    """JSON with numbers kept as they were written, and without the constants that are no numbers."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a number")

    return json.loads(text, parse_float=str, parse_constant=refuse)


class GuardMixin:
    """Stands in front of the client's own class. ``guard`` is set right after construction."""

    guard: Guard | None = None
    number = str  # amounts stay the text that the venue sent
    on_json_response = staticmethod(_strict_json)

    def sign(
        self, path: str, api: Any = "public", method: str = "GET", params: Any = None, *more: Any, **named: Any
    ) -> Any:
        """Refuse before signing what the guard does not allow."""
        client = cast("Any", self)
        if self.guard is None:
            raise HostRefusedError("refused a request: the client has no guard yet")
        self.guard.check_endpoint(path, api, method, client.urls["api"], client.hostname)
        return cast("Any", super()).sign(path, api, method, {} if params is None else params, *more, **named)

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Judge the final address, then send; what is raised is free of secrets, and only JSON is an answer."""
        guard = self.guard
        if guard is None:
            raise HostRefusedError("refused a request: the client has no guard yet")
        shared = getattr(self, "headers", None) or {}
        guard.check_url(url, {**shared, **(headers or {})}, own_headers=True)
        answer = Answer(method, urlsplit(url).path)
        answers = ANSWERS.get()
        if answers is not None:
            answers.append(answer)
        token = _CURRENT.set(answer)
        try:
            result = await cast("Any", super()).fetch(url, method, headers, body)
        except Exception as failure:
            _cleanse(failure, guard.secrets)
            raise
        finally:
            _CURRENT.reset(token)
            guard.budget.learn(answer.status, answer.headers, answer.body)
        if not isinstance(result, dict | list):
            raise _bad_response(f"{guard.name}: {answer.path} answered HTTP {answer.status} with no JSON in it")
        return result

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, response_headers: Any, response_body: str, *rest: Any
    ) -> Any:
        """Keep what came back, for whoever has to judge the failure."""
        answer = _CURRENT.get()
        if answer is not None:
            answer.status = code
            answer.headers = {str(key).lower(): str(value) for key, value in response_headers.items()}
            try:
                answer.body = _strict_json(response_body)
            except ValueError:
                answer.body = None
        parent = cast("Any", super())
        return parent.on_rest_response(code, reason, url, method, response_headers, response_body, *rest)

    async def throttle(self, cost: Any = None) -> None:
        """Our own budget in place of the client's queue."""
        if self.guard is None:
            raise HostRefusedError("refused a request: the client has no guard yet")
        await self.guard.budget.take(float(cost) if cost is not None else 1.0)

    def client(self, url: str) -> Any:
        """Judge the address of a stream before it is dialled."""
        if self.guard is None:
            raise HostRefusedError("refused a stream: the client has no guard yet")
        self.guard.check_url(url)
        return cast("Any", super()).client(url)

    def open(self, lazy: bool = False) -> None:
        """Open a session in which every hop is judged, redirects and streams included."""
        client = cast("Any", self)
        closed = lazy and client.closed_by_user
        if client.own_session and client.session is None and not closed:
            if client.ssl_context is None:
                client.ssl_context = ssl.create_default_context(cafile=client.cafile or certifi.where())
            client.tcp_connector = aiohttp.TCPConnector(ssl=client.ssl_context, enable_cleanup_closed=False)
            client.session = aiohttp.ClientSession(
                connector=client.tcp_connector, trust_env=client.aiohttp_trust_env, middlewares=(self._judge_hop,)
            )
        cast("Any", super()).open(lazy)

    async def _judge_hop(self, request: aiohttp.ClientRequest, handler: Any) -> Any:
        if self.guard is not None:
            self.guard.check_url(str(request.url.with_query(None)))
        return await handler(request)


_CURRENT: ContextVar[Answer | None] = ContextVar("keeper_venue_current", default=None)


def _cleanse(failure: BaseException, secrets: tuple[str, ...]) -> None:
    """Take addresses' query strings and secrets out of an exception, and drop what it was raised from."""
    failure.args = tuple(redact(part, secrets) if isinstance(part, str) else part for part in failure.args)
    failure.__cause__ = None
    failure.__context__ = None


def _bad_response(text: str) -> Exception:
    import ccxt

    return cast("Exception", ccxt.BadResponse(text))


def _unsafe_key(tree: Any, path: str = "") -> str | None:
    """The first key in an ``options`` tree that would weaken a safety rule."""
    if not isinstance(tree, Mapping):
        return None
    for key, value in tree.items():
        here = f"{path}.{key}" if path else str(key)
        if key in UNSAFE_OPTIONS or key in CREDENTIAL_KEYS or key == "verbose":
            return here
        found = _unsafe_key(value, here)
        if found is not None:
            return found
    return None


def check_options(name: str, ccxt_options: Mapping[str, Any]) -> None:
    """Refuse keys of ``[venues.NAME.ccxt]`` that are unknown, are credentials, or weaken a safety rule."""
    where = f"[venues.{name}.ccxt]"
    for key in ccxt_options:
        if key in CREDENTIAL_KEYS:
            raise ConfigError(
                f"{where} {key}: credentials do not belong here; use the environment or a credential file"
            )
        if key in UNSAFE_OPTIONS:
            raise UnsafeError(
                f"{where} {key}: refused as unsafe; the mode chooses the environment, and nothing retries"
            )
        if key not in ALLOWED_KEYS:
            raise ConfigError(f"{where} {key}: not a key that may be set{near(key, sorted(ALLOWED_KEYS))}")
    unsafe = _unsafe_key(ccxt_options.get("options", {}), "options")
    if unsafe is not None:
        raise UnsafeError(f"{where} {unsafe}: refused as unsafe; no retries, no sandbox switch, no credentials here")
    urls = ccxt_options.get("urls", {})
    if not isinstance(urls, Mapping) or set(urls) - {"api"}:
        raise ConfigError(f"{where} urls: only urls.api may be set")


def _client_class(exchange_id: str) -> Any:
    import ccxt.pro

    base = getattr(ccxt.pro, exchange_id)
    return type(f"Guarded{base.__name__}", (GuardMixin, base), {})


def _pristine_urls(exchange_id: str) -> tuple[Any, str | None]:
    """``urls`` and ``hostname`` of the unmodified class."""
    import ccxt.pro

    described = getattr(ccxt.pro, exchange_id)().describe()
    return described["urls"], described.get("hostname")


def _is_live_like(host: str, live: frozenset[str], tests: frozenset[str]) -> bool:
    """Whether a host that somebody configured for a test is one of the venue's live hosts, or a sibling of one."""
    if host in tests or re.search(r"test|demo|sandbox|vst|paper", host):
        return host in live and host not in tests
    return host in live or _parent(host) in {_parent(known) for known in live}


def _parent(host: str) -> str:
    """The last two labels of a host's name."""
    return ".".join(host.split(":", maxsplit=1)[0].split(".")[-2:])


def build_client(
    name: str,
    exchange_id: str,
    policy: VenuePolicy,
    credentials: Credentials,
    ccxt_options: Mapping[str, Any],
    capability: Capability,
    budget: Budget,
    timeout_seconds: float,
) -> tuple[CcxtClient, Guard]:
    """The guarded client of one venue, checked after construction. No request leaves while it is built."""
    check_exchange(exchange_id)
    check_options(name, ccxt_options)
    pin_loggers()
    urls, hostname = _pristine_urls(exchange_id)
    override = dict(ccxt_options.get("urls", {})).get("api")
    live = hosts_in(urls.get("api"), hostname)
    tests = hosts_in([urls.get("test"), urls.get("demo"), urls.get("demotrading")], hostname)
    header_demo = capability.demo_headers or capability.demo_path
    if policy.environment == "testnet" and override is not None:
        for host in sorted(hosts_in(override, ccxt_options.get("hostname", hostname))):
            if _is_live_like(host, live, tests - live):
                raise UnsafeError(
                    f"[venues.{name}.ccxt] urls.api: {host} is a live host of {exchange_id}; mode is testnet"
                )
    settings = _settings(ccxt_options, credentials, capability, timeout_seconds)
    client = _client_class(exchange_id)(settings)
    guard = Guard(name, policy, capability, frozenset(), credentials.secrets(), budget)
    if override is not None:
        guard.allowed = hosts_in(override, client.hostname)
    elif policy.environment == "testnet":
        _switch_to_test(name, client, capability)
        guard.demo_headers = capability.demo_headers
        guard.demo_path = capability.demo_path
        hosts = hosts_in(client.urls["api"], client.hostname)
        guard.allowed = hosts if header_demo else hosts - live
        if not guard.allowed:
            raise UnsafeError(f"venue {name}: {exchange_id} has no test environment; give one under urls.api")
    else:
        guard.allowed = hosts_in(client.urls["api"], client.hostname)
    client.guard = guard
    _assert_safe(name, client, timeout_seconds if "timeout" not in ccxt_options else None)
    return cast("CcxtClient", client), guard


def _settings(
    ccxt_options: Mapping[str, Any], credentials: Credentials, capability: Capability, timeout_seconds: float
) -> dict[str, Any]:
    given = {key: value for key, value in ccxt_options.items() if key != "options"}
    options: dict[str, Any] = {**capability.options, **dict(ccxt_options.get("options", {})), "maxRetriesOnFailure": 0}
    return {
        "timeout": int(timeout_seconds * 1000),
        **given,
        **credentials.for_ccxt(),
        "enableRateLimit": True,
        "verbose": False,
        "options": options,
        "has": {"fetchCurrencies": False} if capability.skip_currencies else {},
    }


def _switch_to_test(name: str, client: Any, capability: Capability) -> None:
    if capability.demo == "none":
        raise UnsafeError(f"venue {name}: {client.id} has no test environment; give an endpoint under urls.api")
    if capability.demo == "demo_trading":
        client.enable_demo_trading(True)
    else:
        client.set_sandbox_mode(True)


def _assert_safe(name: str, client: Any, timeout_seconds: float | None) -> None:
    """What was asked for is what is in force; a client where it is not is never handed out."""
    faults = []
    if _retries(client.options):
        faults.append("maxRetriesOnFailure is not 0 everywhere")
    if client.verbose:
        faults.append("verbose is on")
    if not client.enableRateLimit:
        faults.append("the rate budget is off")
    if timeout_seconds is not None and client.timeout != int(timeout_seconds * 1000):
        faults.append("the timeout is not the one asked for")
    if type(client).throttle is not GuardMixin.throttle or type(client).sign is not GuardMixin.sign:
        faults.append("the guard is not in front of the client")
    if client.number is not str:
        faults.append("numbers are not kept as text")
    if faults:
        raise UnsafeError(f"venue {name}: {'; '.join(faults)}")


def _retries(tree: Any) -> bool:
    """Whether any ``maxRetriesOnFailure`` in an options tree is not zero."""
    if isinstance(tree, Mapping):
        return any((key == "maxRetriesOnFailure" and value != 0) or _retries(value) for key, value in tree.items())
    return False
