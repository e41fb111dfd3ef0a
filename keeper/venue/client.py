"""The ccxt client, and the guard around it.

The client is the unmodified class of the venue with one mixin in front of it, put together at run time. The mixin holds
what must be true of every request: it goes to a host that this environment allows (asked before anything is signed, on
the address itself, and again on the wire, redirects included); a client that may not trade sends nothing but harmless
reads; a demo that differs from live by a header carries that header; the venue's pace is kept by our own budget; and no
exception carries a signed address or a secret.
"""

from __future__ import annotations

import copy
import decimal
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import aiohttp
import certifi
from aiohttp_socks import ProxyConnector

from keeper.errors import ConfigError, UnsafeError
from keeper.venue.base import HostRefusedError
from keeper.venue.bodies import bounded
from keeper.venue.budget import Budget
from keeper.venue.figures import near
from keeper.venue.guard import (
    ANSWERS,
    Answer,
    Credentials,
    Guard,
    VenuePolicy,
    cleanse,
    hosts_in,
    may_create,
    pin_loggers,
    without_echo,
)
from keeper.venue.numbers import BoundedPlaces, bound, without_powers
from keeper.venue.recipes import Capability

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
UNSAFE_OPTIONS = frozenset({"maxRetriesOnFailure", "sandbox", "sandboxMode", "testnet", "enableDemoTrading"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
    create_order: Callable[[str, str | int, str, str | int, str, dict[str, Any]], Awaitable[Any]]
    cancel_order: Callable[[str, str], Awaitable[Any]]
    fetch_order: Callable[[str, str, dict[str, Any]], Awaitable[Any]]
    fetch_my_trades: Callable[[str, int, int, dict[str, Any]], Awaitable[Any]]
    fetch_funding_history: Callable[[str, int, int, dict[str, Any]], Awaitable[Any]]
    set_leverage: Callable[[float, str, dict[str, Any]], Awaitable[Any]]
    set_margin_mode: Callable[[str, str, dict[str, Any]], Awaitable[Any]]
    parse_order: Callable[[Any, Any], dict[str, Any]]
    parse_trade: Callable[[Any, Any], dict[str, Any]]
    safe_currency_code: Callable[[str], str]


def known_exchanges() -> tuple[str, ...]:
    """Every exchange id that the installed client knows."""
    import ccxt.async_support

    return tuple(ccxt.async_support.exchanges)


def check_exchange(exchange_id: str) -> None:
    """Raise :class:`ConfigError` with the nearest names unless ``exchange_id`` is one."""
    if exchange_id not in known_exchanges():
        raise ConfigError(f'unknown exchange "{exchange_id}"{near(exchange_id, known_exchanges())}')


def _strict_json(text: str) -> Any:
    """JSON with numbers kept as they were written, without constants that are no numbers and letters that are none."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a number")

    document = json.loads(text, parse_float=str, parse_constant=refuse)
    if _HALF_LETTER.search(text):
        # One half of a pair alone can be written nowhere: not into the journal, and not into an answer of the API.
        json.dumps(document, ensure_ascii=False).encode()
    return document


_HALF_LETTER = re.compile(r"\\u[dD][89a-fA-F]")


class GuardMixin(BoundedPlaces):
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

    async def fetch2(self, path: str, api: Any = "public", method: str = "GET", *more: Any, **named: Any) -> Any:
        """One request of the client; a list of markets at a host that is not ours to ask is one that is missing."""
        try:
            return await cast("Any", super()).fetch2(path, api, method, *more, **named)
        except HostRefusedError as failure:
            unread = UNREAD_LISTS.get()
            if unread is None:
                raise
            unread.failed.append((failure, Answer(method, path)))
            return copy.copy(unread.nothing)

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
            cleanse(failure, guard.secrets)
            failure.__cause__ = failure.__context__ = None
            unread = UNREAD_LISTS.get()
            if unread is None or isinstance(failure, HostRefusedError):
                raise
            unread.failed.append((failure, answer))
            result = copy.copy(unread.nothing)
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
        if self.guard is not None:
            response_body = without_echo(response_body, self.guard.secrets)
        if answer is not None:
            answer.status = code
            answer.headers = {str(key).lower(): str(value) for key, value in response_headers.items()}
            try:
                answer.body = _strict_json(response_body)
            except ValueError:
                answer.body = None
        parent = cast("Any", super())
        return parent.on_rest_response(code, reason, url, method, response_headers, response_body, *rest)

    def calculate_rate_limiter_cost(self, api: Any, method: Any, path: Any, params: Any, config: Any = None) -> Any:
        """The client's own cost of a call; the section is kept for :meth:`throttle`, which runs next in this task."""
        _SECTION.set(api if isinstance(api, str) else str(api[0]))
        parent = cast("Any", super())
        return parent.calculate_rate_limiter_cost(api, method, path, params, {} if config is None else config)

    async def throttle(self, cost: Any = None) -> None:
        """Our own budget in place of the client's queue."""
        if self.guard is None:
            raise HostRefusedError("refused a request: the client has no guard yet")
        await self.guard.budget.take(float(cost) if cost is not None else 1.0, _SECTION.get())

    def client(self, url: str) -> Any:
        """Judge the address of a stream before it is dialled."""
        if self.guard is None:
            raise HostRefusedError("refused a stream: the client has no guard yet")
        self.guard.check_url(url)
        return cast("Any", super()).client(url)

    def open(self, lazy: bool = False) -> None:
        """Open a session in which every hop is judged, redirects and streams included, and no answer is endless."""
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

    def get_socks_proxy_session(self, address: str) -> aiohttp.ClientSession:
        """A session through a SOCKS proxy, with the same judges; ``socks5h`` and ``socks4a`` look names up there."""
        client = cast("Any", self)
        sessions: dict[str, aiohttp.ClientSession] = client.socks_proxy_sessions
        if address not in sessions:
            scheme, _, where = address.partition("://")
            there = scheme in ("socks5h", "socks4a")
            connector = ProxyConnector.from_url(f"{scheme[:6]}://{where}", ssl=client.ssl_context, rdns=there)
            sessions[address] = aiohttp.ClientSession(connector=connector, middlewares=(self._judge_hop,))
        return sessions[address]

    async def _judge_hop(self, request: aiohttp.ClientRequest, handler: Any) -> Any:
        if self.guard is not None:
            self.guard.check_url(str(request.url.with_query(None)))
        creates = may_create(request.method, request.url.path)
        try:
            answer = await handler(request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as failure:
            if not creates:
                raise
            # After these two the HTTP library sends a GET once more by itself, and some venues place orders by GET.
            raise aiohttp.ClientConnectionError(f"{type(failure).__name__}: {failure}") from None
        if (creates or request.method != "GET") and answer.status in REDIRECTS:
            # Followed, it could be carried out a second time, or come back as the answer to another question.
            answer.close()
            raise HostRefusedError(f"an answer to {request.method} {request.url.path} sent us elsewhere; not followed")
        where = "" if self.guard is None else f"{self.guard.name}: {request.url.path}: "
        return bounded(answer, lambda text: _bad_response(where + text))


@dataclass(slots=True)
class Unread:
    """Lists that failed while the markets are loaded part by part, and what then stands for the answer of each."""

    nothing: Any
    failed: list[tuple[Exception, Answer]] = field(default_factory=list)


UNREAD_LISTS: ContextVar[Unread | None] = ContextVar("keeper_venue_unread", default=None)
_CURRENT: ContextVar[Answer | None] = ContextVar("keeper_venue_current", default=None)
_SECTION: ContextVar[str] = ContextVar("keeper_venue_section", default="")


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


def _own_class(exchange_id: str) -> Any:
    """The venue's own class: with its streams where the client has them, else without."""
    import ccxt.async_support
    import ccxt.pro

    return getattr(ccxt.pro, exchange_id, None) or getattr(ccxt.async_support, exchange_id)


def _client_class(exchange_id: str, unasked: frozenset[str] = frozenset()) -> Any:
    base = _own_class(exchange_id)
    return type(f"Guarded{base.__name__}", (GuardMixin, base), dict.fromkeys(unasked, _left_out))


async def _left_out(*_: Any, **__: Any) -> bool:
    """In the place of a method that would sign and send what nobody asked for: it is said to be done."""
    return True


def _pristine(exchange_id: str) -> Any:
    """What the unmodified class says of itself."""
    return _own_class(exchange_id)().describe()


def pristine_rate_limit(exchange_id: str) -> float:
    """Milliseconds that a call of cost 1 is worth, before anybody configured another figure."""
    return float(_pristine(exchange_id).get("rateLimit") or 1000.0)


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
    bound()
    described = _pristine(exchange_id)
    urls, hostname = described["urls"], described.get("hostname")
    override = dict(ccxt_options.get("urls", {})).get("api")
    if isinstance(override, str):
        override = _moved(urls.get("api"), override.rstrip("/"))
        ccxt_options = {**ccxt_options, "urls": {"api": override}}
    live = hosts_in(urls.get("api"), hostname)
    tests = hosts_in([urls.get("test"), urls.get("demo"), urls.get("demotrading")], hostname)
    header_demo = capability.demo_headers or capability.demo_path
    if policy.environment == "testnet" and override is not None:
        for host in sorted(hosts_in(override, ccxt_options.get("hostname", hostname))):
            if _is_live_like(host, live, tests - live):
                raise UnsafeError(
                    f"[venues.{name}.ccxt] urls.api: {host} is a live host of {exchange_id}; mode is testnet"
                )
    keys = credentials.for_ccxt(described.get("requiredCredentials"))
    settings = _settings(ccxt_options, keys, capability, timeout_seconds)
    client = _client_class(exchange_id, capability.unasked)(settings)
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
    _tame_helpers(client)
    _assert_safe(name, client, timeout_seconds if "timeout" not in ccxt_options else None)
    return cast("CcxtClient", client), guard


def _moved(tree: Any, address: str) -> Any:
    """The client's tree of addresses at another host: one address stands for all, each with the path that it has."""
    if isinstance(tree, Mapping):
        return {key: _moved(branch, address) for key, branch in tree.items()}
    scheme, _, rest = str(tree).partition("://")
    path = rest.partition("/")[2]
    base = re.sub(r"^http", "ws", address) if scheme.startswith("ws") else address
    return f"{base}/{path}" if path else base


def _tame_helpers(client: Any) -> None:
    """The client's rounding helpers write every digit out, and one changes the decimal context of whoever calls it: no
    digits without end, and a copy of the context.
    """
    for name in ("decimal_to_precision", "decimalToPrecision", "number_to_string", "numberToString"):
        helper = getattr(client, name, None)
        if helper is not None:
            setattr(client, name, _in_own_context(without_powers(helper)))


def _in_own_context(helper: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        with decimal.localcontext():
            return helper(*args, **named)

    return called


def _settings(
    ccxt_options: Mapping[str, Any], keys: Mapping[str, str], capability: Capability, timeout_seconds: float
) -> dict[str, Any]:
    given = {key: value for key, value in ccxt_options.items() if key != "options"}
    options: dict[str, Any] = {**capability.options, **dict(ccxt_options.get("options", {})), "maxRetriesOnFailure": 0}
    return {
        "timeout": int(timeout_seconds * 1000),
        **given,
        **keys,
        "enableRateLimit": True,
        "verbose": False,
        "options": options,
        "has": {"fetchCurrencies": False} if capability.skip_currencies else {},
    }


def _switch_to_test(name: str, client: Any, capability: Capability) -> None:
    if capability.demo == "none":
        raise UnsafeError(f"venue {name}: {client.id} has no test environment; give an endpoint under urls.api")
    try:
        if capability.demo == "demo_trading":
            client.enable_demo_trading(True)
        else:
            client.set_sandbox_mode(True)
    except Exception as failure:  # noqa: BLE001 - the client says in many ways that there is none
        raise UnsafeError(
            f"venue {name}: {client.id} has no test environment that the client knows ({type(failure).__name__}); "
            "give an endpoint under urls.api"
        ) from None


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
