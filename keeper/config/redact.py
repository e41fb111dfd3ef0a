"""Which texts in a configuration must never be seen again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from keeper.config.client_options import PROXIES, endpoints
from keeper.config.credentials import credential_meant
from keeper.config.environment import CREDENTIALS, DELIMITER, PREFIX
from keeper.config.models import Config

_MIN_CHARACTERS = 3
"""Shorter texts occur everywhere; masking them would hide the logs and no secret."""
_MIN_REPEATED_CHARACTERS = 4
_MIN_TOKEN_CHARACTERS = 8
_COMMON_HOSTS = ("localhost",)
_PASSWORD = re.compile(r"pass|secret|token|key", re.IGNORECASE)
_LETS_IN = re.compile(r"auth|cred|pass|secret|token|key", re.IGNORECASE)


def secrets(config: Config) -> tuple[str, ...]:
    """Every text that logs, errors, alerts and answers must mask, longest first."""
    found = {text for text in _all(config) if len(text) >= _MIN_CHARACTERS}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def secrets_in(document: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is secret in a document that nobody has checked yet, and of the environment's credentials those which no
    venue of it uses: an error about the rest of it may not repeat them.
    """
    given = (value for name, value in environ.items() if _is_credential(name))
    found = {text for text in (*_written(document), *given) if len(text) >= _MIN_REPEATED_CHARACTERS}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _is_credential(variable: str) -> bool:
    name = variable.upper()
    return name.startswith(PREFIX) and name.rpartition(DELIMITER)[2].lower() in CREDENTIALS


def _written(document: Mapping[str, Any]) -> Iterator[str]:
    for venue in _tables(document.get("venues")):
        for key, value in venue.items():
            if isinstance(value, str) and credential_meant(str(key)) is not None:
                yield from _with_lines(value)
        options = venue.get("ccxt")
        yield from _of_client(options) if isinstance(options, Mapping) else ()
    journal, alerts = document.get("journal"), document.get("alerts")
    if isinstance(journal, Mapping):
        yield from _password_of(str(journal.get("url")))
    urls = alerts.get("urls") if isinstance(alerts, Mapping) else None
    # Without the brackets of a list it is a mistake, and a token all the same.
    for url in urls if isinstance(urls, list) else [urls]:
        yield from _tokens_of(url) if isinstance(url, str) else ()


def _tables(value: object) -> Iterator[Mapping[str, Any]]:
    for table in value.values() if isinstance(value, Mapping) else ():
        if isinstance(table, Mapping):
            yield table


def _all(config: Config) -> Iterator[str]:
    for venue in config.venues.values():
        for credential in (venue.api_key, venue.api_secret, venue.password):
            if credential is not None:
                yield from _with_lines(credential.get_secret_value())
        yield from _of_client(venue.ccxt)
    yield from _password_of(config.journal.dsn)
    for url in config.alerts.urls:
        yield from _tokens_of(url.get_secret_value())


def _of_client(options: Mapping[str, Any]) -> Iterator[str]:
    """The secrets in a venue's table of settings for the client."""
    for address in (*(str(options.get(proxy, "")) for proxy in PROXIES), *map(str, endpoints(options))):
        yield from _password_of(address)
        yield from _user_of(address)
    for table in ("headers", "options"):
        yield from _named_as_secrets(options.get(table))


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


def _user_of(url: str) -> Iterator[str]:
    """The user of an address: many services let a token stand for it, and sellers of proxies hand it out as half of
    the way in.
    """
    user = _split(url)[0]
    if len(user) >= _MIN_TOKEN_CHARACTERS:
        yield from {user, unquote(user)}


def _named_as_secrets(tree: object, name: str = "") -> Iterator[str]:
    """Texts of a table whose name says that they let somebody in; plainer names of credentials are refused there."""
    if isinstance(tree, Mapping):
        for key, entry in tree.items():
            yield from _named_as_secrets(entry, str(key))
    elif isinstance(tree, list | tuple):
        for entry in tree:
            yield from _named_as_secrets(entry, name)
    elif isinstance(tree, str) and len(tree) >= _MIN_TOKEN_CHARACTERS and _LETS_IN.search(name):
        # "Bearer TOKEN": the word before it is none of the secret.
        yield from (text for text in {tree, tree.rpartition(" ")[2]} if len(text) >= _MIN_TOKEN_CHARACTERS)


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
