"""Whatever stands in the file, it is a configuration or a :class:`ConfigError`; nothing else ever comes out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper.config import Config, config_digest, secrets
from keeper.errors import ConfigError
from tests.config.support import CREDENTIALS, SMALL, parse
from tests.config.test_example import ENVIRON, EXAMPLE

WORDS = st.sampled_from(
    [
        *Config.model_fields,
        "main",
        "exchange",
        "ccxt",
        "urls",
        "api",
        "options",
        "timeout",
        "name",
        "asset",
        "assets",
        "spot",
        "holdings",
        "instrument",
        "ratio",
        "band",
        "act",
        "warn",
        "halt",
        "beta",
        "url",
        "bind",
        "urls",
        "level",
        "poll_seconds",
        "api_key",
        "api_key_file",
        "password",
        "max_order_notional",
        "hedges",
        "leverage",
        "",
    ]
)
TEXTS = st.one_of(st.text(max_size=12), WORDS, st.sampled_from(["0.5", "main:BTC/USDT:USDT", "BTC", "live", "testnet"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.decimals()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, TEXTS), inner, max_size=5)),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.one_of(WORDS, TEXTS), VALUES, max_size=8)


def toml(value: Any) -> str:
    """A value in TOML's own notation; enough of it for what hypothesis makes."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value)
    return str(value).lower()


def judge(content: str, environ: dict[str, str]) -> None:
    with suppress(ConfigError):
        config = parse(content, environ)
        assert secrets(config)
        config_digest(config)
        repr(config)
        config.model_dump_json()


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_random_documents(document: dict[str, Any]) -> None:
    judge("\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items()), CREDENTIALS)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
@example("\ufeffmode = 1")
@example("x = 1e9999999999999999999999")
@example("a = {b = 1}\n[a.b]")
def test_random_text(content: str) -> None:
    judge(content, CREDENTIALS)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_of_the_example(data: st.DataObject) -> None:
    lines = EXAMPLE.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        key, separator, _ = lines[index].partition(" = ")
        match data.draw(st.sampled_from(["drop", "value", "twice", "cut", "swap"])):
            case "drop":
                lines[index] = ""
            case "value" if separator and not key.startswith("#"):
                lines[index] = f"{key} = {toml(data.draw(VALUES))}"
            case "twice":
                lines.insert(data.draw(st.integers(0, len(lines))), lines[index])
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, 20))]
            case _:
                lines[index], lines[-1] = lines[-1], lines[index]
    judge("\n".join(lines), ENVIRON)


PARTS = st.one_of(WORDS, st.sampled_from(["0", "btc", "1", "api_secret", "max_retries", "", "x"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=5), st.one_of(TEXTS, VALUES.map(toml))), max_size=5))
def test_random_environments(variables: list[tuple[list[str], str]]) -> None:
    environ = {"KEEPER_" + "__".join(parts).upper(): value for parts, value in variables}
    judge(SMALL, CREDENTIALS | environ)
    judge(EXAMPLE, ENVIRON | environ)
