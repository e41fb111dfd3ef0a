"""The keys of ``[venues.NAME.ccxt]``: an allow-list, because this table reaches the client as it is.

What is kept out, at any depth: credentials (they have their own keys, which are masked), ``verbose`` (prints
signed requests), library retries (they re-send orders), a disabled throttle, and switches between a venue's real and
test environment (``mode`` alone decides that).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from keeper.config.values import SeveralError, decimal_of, kind_of, nearest

PROXIES = (
    *("httpProxy", "httpsProxy", "socksProxy", "wsProxy", "wssProxy", "wsSocksProxy"),
    *("http_proxy", "https_proxy", "socks_proxy", "ws_proxy", "wss_proxy", "ws_socks_proxy"),
)
ALLOWED = (
    *("urls", "options", "timeout", "rateLimit", "headers", "hostname", "userAgent", "enableRateLimit"),
    *("aiohttp_trust_env", *PROXIES),
)
_CREDENTIALS = {
    *("apikey", "secret", "apisecret", "password", "passphrase", "uid", "privatekey", "walletaddress", "accountid"),
    *("login", "token", "accesstoken", "twofa", "seed", "mnemonic"),
}
_SECRET_HEADER = re.compile(r"apikey|secret|passphrase|password|authorization|cookie|token|sign")
_ENVIRONMENT = {"sandbox", "sandboxmode", "issandboxmode", "enabledemotrading", "demotrading", "testnet"}
_PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}
_ENDPOINT_SCHEMES = {"http", "https", "ws", "wss"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?", re.ASCII)
_MAX_DEPTH = 12
_Problem = tuple[tuple[str | int, ...], str]
_MAX_TIMEOUT_MS = 120_000


def client_options(value: object) -> dict[str, Any]:
    """The table with its numbers as the client wants them; raises :class:`SeveralError` with every problem in it."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a table, and is {kind_of(value)}")
    problems: list[_Problem] = []
    table: dict[str, Any] = {}
    for key, entry in value.items():
        if key not in ALLOWED and _refusal(key, entry) is None:
            hint = nearest(key, ALLOWED)
            problems.append(((key,), f"may not be set here{hint}; allowed: {', '.join(ALLOWED)}"))
            continue
        try:
            table[key] = _plain(entry)
        except ValueError as error:
            problems.append(((key,), str(error)))
    problems += _forbidden(value)
    problems += [problem for key, entry in table.items() for problem in _shape_problems(key, entry)]
    if problems:
        raise SeveralError(problems)
    return table


def endpoints(options: Mapping[str, Any]) -> Iterator[str]:
    """Every URL below ``urls.api``, as it was written."""
    urls = options.get("urls")
    yield from _leaves(urls.get("api")) if isinstance(urls, Mapping) else ()


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for entry in value.values():
            yield from _leaves(entry)
    elif value is not None:
        yield value


def _plain(value: object, depth: int = 0) -> Any:
    """Numbers as int or float: this table is for a library that knows no decimals, and holds no quantities."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | Decimal):
        exact = decimal_of(value)
        number: int | float = int(exact) if exact == exact.to_integral_value() else float(exact)
        if not math.isfinite(number):
            raise ValueError("is not a finite number")
        return number
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, depth + 1) for entry in value]
    raise ValueError(f"holds {kind_of(value)}, which the client has no use for")


def _refusal(key: str, value: object) -> str | None:
    """Why ``key`` is never taken, or None."""
    name = key.replace("_", "").replace("-", "").lower()
    if name in _CREDENTIALS:
        return "is a credential; give credentials as api_key_file / api_secret_file / password_file of the venue"
    if name == "verbose":
        return "would print signed requests, keys included; remove it"
    if name.startswith("maxretriesonfailure"):
        return "is fixed at 0, because a retried order can be placed twice; remove it"
    if name == "enableratelimit" and value is not True:
        return "stays true, because an unthrottled client gets its address banned; remove it"
    if name in _ENVIRONMENT:
        return "is decided by mode (or by urls.api of a test endpoint) alone; remove it"
    if name in ("proxyurl", "proxyurlcallback") or name.endswith("callback"):
        return "would send signed requests through a stranger's URL; use httpsProxy or socksProxy"
    return None


def _forbidden(value: object, path: tuple[str | int, ...] = ()) -> Iterator[_Problem]:
    if len(path) > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, entry in value.items():
            reason = _refusal(key, entry)
            if reason is not None:
                yield (*path, key), reason
            else:
                yield from _forbidden(entry, (*path, key))
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _forbidden(entry, (*path, index))


def _shape_problems(key: str, value: Any) -> Iterator[_Problem]:
    text: str | None = None
    if key == "urls":
        yield from _urls_problems(value)
    elif key == "headers":
        yield from _headers_problems(value)
    elif key in PROXIES and not _is_url(value, _PROXY_SCHEMES):
        text = "must be a URL such as socks5h://127.0.0.1:1080"
    elif key == "options" and not isinstance(value, dict):
        text = f"must be a table, and is {kind_of(value)}"
    elif key == "timeout" and not (_is_number(value) and value == int(value) and 1 <= value <= _MAX_TIMEOUT_MS):
        text = f"must be a whole number of milliseconds from 1 to {_MAX_TIMEOUT_MS}"
    elif key == "rateLimit" and not (_is_number(value) and value > 0):
        text = "must be a number of milliseconds above 0"
    elif key == "aiohttp_trust_env" and not isinstance(value, bool):
        text = "must be true or false"
    elif key == "hostname" and not (isinstance(value, str) and _HOST.fullmatch(value)):
        text = 'must be the name of a host alone, such as "example.com"'
    elif key == "userAgent" and not (isinstance(value, str) and value.isprintable()):
        text = "must be text on one line"
    if text is not None:
        yield (key,), text


def _urls_problems(value: Any) -> Iterator[_Problem]:
    if not isinstance(value, dict):
        yield ("urls",), f"must be a table with the key api, and is {kind_of(value)}"
        return
    for key in value:
        if key != "api":
            yield ("urls", key), f"may not be set{nearest(key, ['api'])}; only urls.api may"
    if not value.get("api") or not all(_is_url(leaf, _ENDPOINT_SCHEMES) for leaf in _leaves(value["api"])):
        yield ("urls", "api"), "must be a URL, or a table of URLs, such as https://127.0.0.1:9000 (or http, ws, wss)"


def _headers_problems(value: Any) -> Iterator[_Problem]:
    if not isinstance(value, dict):
        yield ("headers",), f"must be a table, and is {kind_of(value)}"
        return
    for name, entry in value.items():
        if not isinstance(entry, str) or not entry.isprintable():
            yield ("headers", name), "must be text on one line"
        if _SECRET_HEADER.search(name.replace("-", "").replace("_", "").lower()):
            yield ("headers", name), "looks like a credential; this file is no place for one"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_url(value: object, schemes: set[str]) -> bool:
    """Whether this is a URL with a host; a ``{hostname}`` to be filled in by the client passes."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
