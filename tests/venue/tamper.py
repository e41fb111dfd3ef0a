"""A proxy on loopback that hands on what a venue answers, except where it has been told to hand on something else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

LEFT_OUT = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client is given in place of the venue's answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Twist = Callable[[bytes], Reply]


@dataclass(slots=True)
class Tamper:
    """The proxy: the venue always gets the request; ``twists`` say what the client gets instead of its answer."""

    target: str
    address: str = ""
    twists: dict[str, Twist] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None

    def urls(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """An ``urls.api`` that leads through here."""
        host = urlsplit(self.target).netloc
        ours = urlsplit(self.address).netloc
        return {
            key: self.urls(value) if isinstance(value, Mapping) else str(value).replace(host, ours)
            for key, value in tree.items()
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Hand on one request, and its answer or a twist of it."""
        assert self._session is not None
        self.asked.append((request.method, request.path))
        body = await request.read()
        headers = {key: value for key, value in request.headers.items() if key.lower() not in ("host", *LEFT_OUT)}
        target = URL(self.target + request.raw_path, encoded=True)
        async with self._session.request(request.method, target, data=body, headers=headers) as answer:
            text = await answer.read()
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in LEFT_OUT}
            reply = Reply(text, answer.status, kept)
        twist = next((twist for path, twist in self.twists.items() if _is_meant(path, request)), None)
        if twist is not None:
            reply = twist(text)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def _is_meant(path: str, request: web.Request) -> bool:
    """Whether a twist is for this request: the end of its path, and after a ``?`` a part of its query."""
    end, _, query = path.partition("?")
    return request.path.endswith(end) and query in request.query_string


@asynccontextmanager
async def tampering(target: str) -> AsyncIterator[Tamper]:
    """A proxy in front of ``target``, for the block."""
    made = Tamper(target)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(auto_decompress=True) as session:
            made._session = session
            yield made
    finally:
        await runner.cleanup()


# Twists: of the whole body


def as_it_is(body: bytes, **more: Any) -> Twist:
    """These bytes, whatever the venue said."""
    return lambda _: Reply(body, **more)


def deep(brackets: int = 10_000) -> bytes:
    """Lists in lists in lists."""
    return b'{"retCode":0,"result":{"list":' + b"[" * brackets + b"]" * brackets + b"}}"


PAGE = b"<html><body><h1>Just a moment...</h1></body></html>"
PLAIN = {"Content-Type": "text/plain"}
ELSEWHERE = {"Location": "http://127.0.0.1:9/stolen", "Content-Type": "text/html"}
BODIES: dict[str, Twist] = {
    "nothing": as_it_is(b""),
    "null": as_it_is(b"null"),
    "an empty list": as_it_is(b"[]"),
    "an empty object": as_it_is(b"{}"),
    "a number": as_it_is(b"1"),
    "a text": as_it_is(b'"ok"'),
    "only success": as_it_is(b'{"retCode":0,"retMsg":"OK","result":{}}'),
    "success and null": as_it_is(b'{"retCode":0,"retMsg":"OK","result":null}'),
    "an empty listing": as_it_is(b'{"retCode":0,"retMsg":"OK","result":{"list":[]}}'),
    "half": lambda body: Reply(body[: len(body) // 2]),
    "all but a bracket": lambda body: Reply(body[:-1]),
    "twice": lambda body: Reply(body + body),
    "a page": as_it_is(PAGE, headers={"Content-Type": "text/html"}),
    "a page that says it is data": as_it_is(PAGE),
    "the right data as plain text": lambda body: Reply(body, headers=PLAIN),
    "no gzip": lambda body: Reply(body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    "no text": as_it_is(b"\xff\xfe\x00\xd8" * 50),
    "a mark before it": lambda body: Reply(b"\xef\xbb\xbf" + body),
    "deep": as_it_is(deep()),
    "very deep": as_it_is(deep(200_000)),
    "some megabytes of nothing": lambda body: Reply(body[:-1] + b" " * 3_000_000 + body[-1:]),
    "some megabytes of digits": as_it_is(b'{"retCode":0,"result":{"list":[{"size":"' + b"9" * 3_000_000 + b'x"}]}}'),
    "an integer without end": as_it_is(b'{"retCode":0,"time":' + b"7" * 10_000 + b',"result":{"list":[]}}'),
    "no number": as_it_is(b'{"retCode":0,"result":{"list":[{"size":NaN,"price":Infinity}]}}'),
    "an error that is well": as_it_is(b'{"retCode":10016,"code":-1000,"retMsg":"Server error.","msg":"?","result":{}}'),
    "an error that nobody knows": as_it_is(b'{"retCode":424242,"code":-99999,"retMsg":"?","msg":"?","result":{}}'),
    "somewhere else": as_it_is(b"", status=302, headers=ELSEWHERE),
    "somewhere else, again as it was": as_it_is(b"", status=307, headers=ELSEWHERE),
    "teapot": as_it_is(b"", status=409),
    "bad gateway": as_it_is(PAGE, status=502, headers={"Content-Type": "text/html"}),
}


# Twists: of the rows, wherever they are


def rows_of(part: Any, depth: int = 5) -> list[list[Any]]:
    """Every list of objects in an answer."""
    found: list[list[Any]] = []
    if depth and isinstance(part, list):
        found += [part] if part and all(isinstance(row, dict) for row in part) else []
        found += [rows for each in part for rows in rows_of(each, depth - 1)]
    elif depth and isinstance(part, dict):
        found += [rows for each in part.values() for rows in rows_of(each, depth - 1)]
    return found


def edited(change: Callable[[Any], None]) -> Twist:
    """The venue's own answer, changed in place."""

    def twist(body: bytes) -> Reply:
        answer = json.loads(body)
        change(answer)
        return Reply(json.dumps(answer).encode())

    return twist


def every_row(change: Callable[[list[Any]], None]) -> Twist:
    """Each list of rows, changed in place."""

    def edit(answer: Any) -> None:
        for rows in rows_of(answer):
            change(rows)

    return edited(edit)


def emptied(rows: list[Any]) -> None:
    for row in rows:
        row.clear()


def all_fields(value: Any) -> Callable[[list[Any]], None]:
    def change(rows: list[Any]) -> None:
        for row in rows:
            row.update(dict.fromkeys(row, value))

    return change


def doubled_differently(rows: list[Any]) -> None:
    """The same rows once more, with other sizes and the other side."""
    for row in [dict(row) for row in rows]:
        for name in ("size", "walletBalance", "free", "positionAmt", "cumExecQty", "qty"):
            if row.get(name) not in (None, "", "0"):
                row[name] = "3.75"
        if row.get("side") in ("Buy", "Sell"):
            row["side"] = "Buy" if row["side"] == "Sell" else "Sell"
        rows.append(row)


def of_strangers(rows: list[Any]) -> None:
    """Rows of things that nobody has heard of, among the others."""
    for row in [dict(row) for row in rows]:
        for name in ("symbol", "coin", "asset"):
            if name in row:
                row[name] = "NOBODY"
        rows.append(row)


SENSELESS: tuple[Any, ...] = (None, "", [], {}, "abc", True, "NaN", "1e400", 10**30, -1, [[]], "-")
ROWS: dict[str, Twist] = {
    "rows twice": every_row(lambda rows: rows.extend([dict(row) for row in rows])),
    "rows twice, differently": every_row(doubled_differently),
    "rows of strangers": every_row(of_strangers),
    "rows are texts": every_row(lambda rows: rows.__setitem__(slice(None), ["row"] * len(rows))),
    "rows are null": every_row(lambda rows: rows.__setitem__(slice(None), [None] * len(rows))),
    "rows are empty": every_row(emptied),
    **{f"every field {json.dumps(value)[:12]}": every_row(all_fields(value)) for value in SENSELESS},
}
FIELD_VALUES: tuple[Any, ...] = (
    *(None, "", " ", [], {}, [1], {"a": 1}, "abc", True, False, "NaN", "Infinity", "-Infinity", "1e400", "-1e400"),
    *(10**30, -(10**30), "1e-400", "0x10", "1_0", "１２x", "9" * 50_000 + "x", "-0.0.1", "\u0000"),
)
