"""A secret is found in a text however it is spelt there, by every door through which texts leave."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper import logs
from keeper.alerts import delivery
from keeper.secrecy import masked
from keeper.venue import guard
from keeper.venue.classify import say

SECRETS = (
    "CANARYkeyOfSixtyFourCharactersAsSomeVenuesGiveThem0123456789abcd",
    "0123456789abcdef0123456789abcdef",
    "Canary/se+cret=with odd&\"\\signs'é😀<x>",
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIAbcd+/ef==\n-----END EC PRIVATE KEY-----",
    "CANARYpw",
)


def spellings(secret: str) -> Iterator[str]:
    in_json, url = json.dumps(secret)[1:-1], quote(secret, safe="")
    as_bytes, units = secret.encode(), secret.encode("utf-16-be").hex()
    yield from (secret, secret.upper(), secret.swapcase(), html.escape(secret), repr(secret)[1:-1])
    yield from (url, url.lower(), quote(secret), quote_plus(secret), quote(url), quote(quote(url)))
    yield from (in_json, json.dumps(in_json)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (in_json.replace("/", "\\/"), repr(as_bytes)[2:-1], secret.encode("unicode_escape").decode())
    yield from (as_bytes.hex(), as_bytes.hex().upper(), "".join(f"%{byte:02x}" for byte in as_bytes))
    yield from ("".join(f"&#{ord(sign)};" for sign in secret), "".join(f"&#x{ord(sign):X};" for sign in secret))
    yield "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    yield from (base64.b64encode(as_bytes).decode(), base64.urlsafe_b64encode(as_bytes).decode().rstrip("="))


def doors() -> dict[str, Callable[[str, str], str]]:
    def to_the_log(text: str, secret: str) -> str:
        logs.hide(secret)
        return logs.redact(text)

    return {
        "log": to_the_log,
        "alert": lambda text, secret: delivery.redact(text, [secret]),
        "venue": lambda text, secret: say(ValueError(text), (secret,)),
        "answer": lambda text, secret: guard.without_echo(text, (secret,)) if len(secret) >= 12 else "",
    }


@pytest.fixture(autouse=True)
def _nothing_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_hidden", set())


@pytest.mark.parametrize("door", doors())
@pytest.mark.parametrize("secret", SECRETS)
def test_every_spelling_at_every_door(door: str, secret: str) -> None:
    for spelt in spellings(secret):
        text = doors()[door](f"told: [[{spelt}]] and more", secret)
        told = text.partition("[[")[2].partition("]]")[0]
        assert told.strip() in ("", "***", "<hidden>"), (spelt, text)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("behind", ["", "x", "xy"])
def test_base64_of_more_than_the_secret(secret: str, before: str, behind: str) -> None:
    encoded = base64.b64encode(f"{before}{secret}{behind}".encode()).decode()
    for spelt in (encoded, encoded.replace("+", "-").replace("/", "_"), quote(encoded, safe="")):
        told = masked(f"Basic {spelt}", [secret], "***")
        assert "***" in told
        assert len(told) < 30


def test_what_overlaps_leaves_no_tail() -> None:
    assert masked("abcdefghijkl", ["bcdefghijkl", "abcde"], "*") == "a*"


def test_a_very_long_text_is_cut_and_ends_in_no_part_of_a_secret() -> None:
    secret = "CANARY" + "0123456789" * 20
    for shift in range(0, 220, 20):
        text = guard.redact("x" * (guard.TEXT_LENGTH_MAX - shift) + secret, (secret,))
        assert len(text) <= guard.TEXT_LENGTH_MAX
        assert "CANARY" not in text
    assert len(guard.redact("y" * 10_000_000, (secret,))) < guard.TEXT_LENGTH_MAX
    assert secret not in guard.without_echo("z" * (guard.ECHO_LOOK_MAX + 1) + secret, (secret,))


def test_a_failure_is_told_on_one_line_and_moves_no_cursor() -> None:
    assert say(ValueError("a\x1b[2J\nb\u202ec"), ()) == "ValueError: a [2J b c"


@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text(min_size=1, max_size=20), max_size=3))
def test_nothing_of_a_secret_is_left_and_nothing_else_is_touched(before: str, behind: str, secrets: list[str]) -> None:
    for secret in secrets:
        told = masked(f"{before}{secret}{behind}", secrets, "")
        assert len(told) <= len(before) + len(behind)
    assert masked(before, [], "*") == before
