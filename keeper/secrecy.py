"""Takes secrets out of texts by their value, however somebody spelt them on the way.

Venues repeat what they were sent, and libraries print it: quoted for a URL, once or twice, escaped for JSON, Python or
HTML, in other letters of case, as hexadecimal digits, or in base64, there also behind a user's name.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

_MIN_ANY_CASE = 8
"""Shorter secrets are masked as they are written, letter by letter: in other cases they are words of the language."""
_MIN_ENCODED = 8
_MIN_ENCODED_ALONE = 4
_BACKSLASHES = r"\\{1,8}"
_PERCENT = "%(?:25){0,4}"
_ESCAPES = ("%", "\\", "&")
_BREAKS = {"\n": "n", "\r": "r", "\t": "t"}


def masked(text: str, secrets: Iterable[str], mask: str) -> str:
    """``text`` with ``mask`` in the place of each secret, in every spelling that is known here."""
    lowered, is_escaped = text.lower(), any(sign in text for sign in _ESCAPES)
    # The longest first: where one secret contains another, or overlaps it, no tail of it may be left.
    for secret in sorted(set(secrets), key=len, reverse=True):
        if secret and (is_escaped or _may_show(secret, text, lowered)):
            text = _pattern(secret).sub(mask, text)
    return text


def _may_show(secret: str, text: str, lowered: str) -> bool:
    """Whether a text in which nothing is escaped needs the long search.

    Prices of all contracts of a venue come with every look, and the search takes a hundred times as long as reading
    them: most texts are known to be free of a secret by what a plain look for it says.
    """
    if not secret.isascii() or " " in secret:
        return True
    return any(form in lowered for form in _of_any_case(secret)) or any(form in text for form in _encoded(secret))


@lru_cache(maxsize=256)
def _of_any_case(secret: str) -> tuple[str, str]:
    return secret.lower(), secret.encode().hex()


@lru_cache(maxsize=256)
def _encoded(secret: str) -> tuple[str, ...]:
    as_bytes = secret.encode()
    alone = base64.b64encode(as_bytes).decode().rstrip("=")
    forms = (*_base64(as_bytes), *((alone,) if len(alone) >= _MIN_ENCODED_ALONE else ()))
    # The two signs that the alphabets differ by split a form; what is left between them is the same in each.
    return tuple(max(re.split("[+/]", form), key=len) for form in forms)


@lru_cache(maxsize=256)
def _pattern(secret: str) -> re.Pattern[str]:
    return re.compile("|".join(_spellings(secret)))


def _spellings(secret: str) -> Iterator[str]:
    """Patterns for a secret as text, in hexadecimal digits, and in base64."""
    letters = "".join(map(_letter, secret))
    yield f"(?i:{letters})" if len(secret) >= _MIN_ANY_CASE else letters
    as_bytes = secret.encode(errors="surrogatepass")
    if len(as_bytes) * 2 >= _MIN_ENCODED:
        yield f"(?i:{as_bytes.hex()})"
    for form in _base64(as_bytes):
        yield "".join(_BASE64_SIGNS.get(sign, sign) for sign in form) + "[A-Za-z0-9+/_-]?(?:=|%3[dD]){0,2}"
    alone = base64.b64encode(as_bytes).decode().rstrip("=")
    if len(alone) >= _MIN_ENCODED_ALONE:
        yield re.escape(alone)


def _base64(as_bytes: bytes) -> Iterator[str]:
    """What of a secret's base64 does not depend on what stands before and behind it, for each place it may stand at."""
    for before, skipped in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + as_bytes).decode()
        form = encoded[skipped : (before + len(as_bytes)) * 8 // 6]
        if len(form) >= _MIN_ENCODED:
            yield form


def _letter(sign: str) -> str:
    """A pattern for one character in every spelling."""
    ways = [re.escape(sign), _quoted(sign)]
    if sign == "\\":
        ways.append(_BACKSLASHES)
    elif not sign.isalnum():
        ways.append(_BACKSLASHES + re.escape(_BREAKS.get(sign, sign)))
    if sign == " ":
        ways.append(r"\+")
    name = html.escape(sign)
    if name != sign:
        ways.append(re.escape(name))
    return f"(?:{'|'.join(ways)})"


def _quoted(sign: str) -> str:
    """A pattern for one character as URLs, JSON, Python and HTML quote it."""
    as_bytes = sign.encode(errors="surrogatepass")
    units = sign.encode("utf-16-be", errors="surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "|".join(
        (
            "".join(f"{_PERCENT}{_hex(byte)}" for byte in as_bytes),
            "".join(f"{_BACKSLASHES}x{_hex(byte)}" for byte in as_bytes),
            "".join(f"{_BACKSLASHES}u{_any_case(pair)}" for pair in pairs),
            f"{_BACKSLASHES}x{_any_case(f'{ord(sign):02x}')}",
            f"{_BACKSLASHES}U{_any_case(f'{ord(sign):08x}')}",
            f"&#(?:0{{0,4}}{ord(sign)}|[xX]0{{0,4}}{_any_case(f'{ord(sign):x}')});",
        )
    )


def _hex(byte: int) -> str:
    return _any_case(f"{byte:02x}")


def _any_case(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


_BASE64_SIGNS = {"+": f"(?:[+-]|{_quoted('+')})", "/": f"(?:[/_]|{_quoted('/')})"}
"""As they are, as the alphabet for URLs has them, and quoted."""
