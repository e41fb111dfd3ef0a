"""Which texts in a configuration must never be seen again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from keeper.config.client_options import PROXIES, endpoints
from keeper.config.models import Config

_MIN_CHARACTERS = 3
"""Shorter texts occur everywhere; masking them would hide the logs and no secret."""
_MIN_TOKEN_CHARACTERS = 8
_COMMON_HOSTS = ("localhost",)
_PASSWORD = re.compile(r"pass|secret|token|key", re.IGNORECASE)


def secrets(config: Config) -> tuple[str, ...]:
    """Every text that logs, errors, alerts and answers must mask, longest first."""
    found = {text for text in _all(config) if len(text) >= _MIN_CHARACTERS}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _all(config: Config) -> Iterator[str]:
    for venue in config.venues.values():
        for credential in (venue.api_key, venue.api_secret, venue.password):
            if credential is not None:
                yield from _with_lines(credential.get_secret_value())
        for address in (*(str(venue.ccxt.get(proxy, "")) for proxy in PROXIES), *map(str, endpoints(venue.ccxt))):
            yield from _password_of(address)
            yield from _user_alone(address)
    yield from _password_of(config.journal.dsn)
    for url in config.alerts.urls:
        yield from _tokens_of(url.get_secret_value())


def _with_lines(text: str) -> Iterator[str]:
    """A PEM key is also masked line by line: loggers break lines."""
    yield text
    yield from (line.strip() for line in text.splitlines() if len(line) >= 2 * _MIN_TOKEN_CHARACTERS)


def _password_of(url: str) -> Iterator[str]:
    """The password of an address, before its host or among its settings."""
    password = _split(url)[1]
    yield from {password, unquote(password)}
    for setting in url.partition("?")[2].split("&"):
        name, _, value = setting.partition("=")
        if _PASSWORD.search(name):
            yield from {value, unquote(value), unquote_plus(value)}


def _user_alone(url: str) -> Iterator[str]:
    """A name that comes without a password is a token at many services."""
    user, password, _, _ = _split(url)
    if not password and len(user) >= _MIN_TOKEN_CHARACTERS:
        yield from {user, unquote(user)}


def _tokens_of(url: str) -> Iterator[str]:
    """An alert's URL, and each part of it that may be a token: libraries rearrange them into URLs of their own."""
    yield url
    user, password, host, rest = _split(url)
    yield from {password, unquote(password)}
    try:
        query = [value for _, value in parse_qsl(urlsplit(url).query)]
    except ValueError:
        query = []
    for part in (user, *password.split(":"), host, *rest.split("/"), *query):
        token = unquote(part)
        if len(token) >= _MIN_TOKEN_CHARACTERS and token not in _COMMON_HOSTS and "." not in token:
            yield token


def _split(url: str) -> tuple[str, str, str, str]:
    """User, password, host and path, without the standard library's opinion on what a host may be."""
    rest = url.partition("://")[2].partition("?")[0]
    authority, _, path = rest.partition("/")
    userinfo, _, host = authority.rpartition("@")
    if userinfo:
        user, _, password = userinfo.partition(":")
        return user, password, host.partition(":")[0], path
    # Some services put a token with a colon where the host would be.
    return "", host if ":" in host and not host.rpartition(":")[2].isdigit() else "", host.partition(":")[0], path
