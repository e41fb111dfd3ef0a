"""What OKX and Deribit were recorded to answer, read by the real client over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from keeper.core.model import Kind
from keeper.venue.base import BadReadingError, UnknownSymbolError
from keeper.venue.ccxt_venue import CcxtVenue
from tests.venue.helpers import DRY_RUN, opened, venue_of

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
pytestmark = pytest.mark.shared
D = Decimal


class Player:
    """Serves a venue's recorded answers by its ``routes.json``."""

    def __init__(self, exchange: str) -> None:
        self.folder = RECORDED / exchange
        self.spec = self.load("routes.json")
        self.unknown: list[str] = []
        self.methods: set[str] = set()

    def load(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    async def answer(self, request: web.Request) -> web.Response:
        self.methods.add(request.method)
        for route in self.spec["routes"]:
            wanted = route.get("query", {})
            if route["path"] == request.path and all(fnmatch(request.query.get(k, ""), v) for k, v in wanted.items()):
                return web.json_response(_filtered(self.load(route["file"]), route.get("filter"), request))
        if request.path in self.spec["known_empty"]:
            return web.json_response(self.load(self.spec["empty"]))
        self.unknown.append(f"{request.method} {request.path_qs}")
        return web.json_response({}, status=404)


def _filtered(data: Any, rule: Any, request: web.Request) -> Any:
    if not rule or rule["param"] not in request.query:
        return data
    wanted, part = request.query[rule["param"]], data
    if rule.get("any") and wanted == "any":
        return data
    for step in rule["at"][:-1]:
        part = part[step]
    name = rule["field"]
    rows = part[rule["at"][-1]]
    part[rule["at"][-1]] = [
        row for row in rows if (row[name].startswith(wanted) if rule.get("prefix") else row[name] == wanted)
    ]
    return data


@asynccontextmanager
async def playing(exchange: str) -> AsyncIterator[tuple[Player, CcxtVenue]]:
    player = Player(exchange)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", player.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with opened(venue_of(exchange, {"urls": {"api": {"rest": url}}}, DRY_RUN)) as venue:
            yield player, venue
    finally:
        await runner.cleanup()


async def test_okx() -> None:
    async with playing("okx") as (player, venue):
        observer = venue.observer
        details = player.load("balance.json")["data"][0]["details"]
        wallet = await observer.wallet("")
        assert wallet.totals == {row["ccy"]: D(row["cashBal"]) for row in details}
        assert (await observer.wallet("funding")).totals == {"TUSD": D(100)}
        book = {each.instrument.id.symbol: each for each in (await observer.positions()).positions}
        assert {symbol: each.contracts for symbol, each in book.items()} == {
            "BTC/USDT:USDT": D(1) - D(40),
            "ETH/USD:ETH": D(-20),
        }
        ether = book["ETH/USD:ETH"]
        assert (ether.instrument.kind, ether.instrument.contract_size) == (Kind.INVERSE, D(10))
        linear = [observer.instrument(symbol) for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT")]
        assert [each.contract_size for each in linear] == [D("0.01"), D("0.1")]
        marks = await observer.marks([*linear, ether.instrument])
        raw_marks = {row["instId"]: D(row["markPx"]) for row in player.load("mark_price.json")["data"]}
        assert {str(key.symbol): mark.mark for key, mark in marks.items()} == {
            "BTC/USDT:USDT": raw_marks["BTC-USDT-SWAP"],
            "ETH/USDT:USDT": raw_marks["ETH-USDT-SWAP"],
            "ETH/USD:ETH": raw_marks["ETH-USD-SWAP"],
        }
        assert marks[linear[0].id].bid == D("69310")
        assert ether.entry_price is not None
        profit = ether.instrument.coin_pnl(ether.contracts, ether.entry_price, raw_marks["ETH-USD-SWAP"])
        row = next(row for row in details if row["ccy"] == "ETH")
        assert abs(wallet.totals["ETH"] + profit - D(row["eq"])) < D("1e-20")
        assert (await observer.position(linear[1])).contracts == 0  # an explicit zero row
        with pytest.raises(BadReadingError, match="no evidence"):
            await observer.position(observer.instrument("BTC/USD:BTC"))
        facts = await observer.facts([ether.instrument])
        assert (facts.one_way, facts.can_withdraw, facts.can_trade) == (False, True, True)
        assert facts.settings[ether.instrument.id].margin_mode == "cross"
        prices = await observer.asset_prices(["BTC", "ETH"], "USDT")
        assert prices == {"BTC": D("69346.75"), "ETH": D("2088.005")}
        assert player.unknown == []


async def test_deribit() -> None:
    async with playing("deribit") as (player, venue):
        observer = venue.observer
        bitcoin, ether = (observer.instrument(symbol) for symbol in ("BTC/USD:BTC", "ETH/USD:ETH"))
        summaries = {row["currency"]: row for row in player.load("summaries.json")["result"]["summaries"]}
        (position,) = (await observer.positions()).positions
        assert position.instrument == bitcoin
        assert bitcoin.notional(position.contracts, D(1)) == D(-250000)
        assert abs(bitcoin.delta(position.contracts, D("92281.78")) + D("2.709093821")) < D("0.00000001")
        assert (await observer.position(bitcoin)).contracts == position.contracts
        assert (await observer.position(ether)).contracts == 0
        marks = await observer.marks([bitcoin, ether])
        mark = marks[bitcoin.id]
        assert (mark.mark, mark.bid, mark.index) == (D("92281.78"), D("92283.5"), D("92263.55"))
        assert position.entry_price is not None
        profit = bitcoin.coin_pnl(position.contracts, position.entry_price, mark.mark)
        wallet = await observer.wallet("")
        assert abs(wallet.totals["BTC"] + profit - D(str(summaries["BTC"]["equity"]))) < D("1e-12")
        assert wallet.totals["ETH"] == D(str(summaries["ETH"]["equity"]))
        assert observer.collateral(bitcoin) is not None
        facts = await observer.facts([bitcoin])
        assert facts.one_way is True
        assert await observer.asset_prices(["BTC", "ETH"], "USD") == {"BTC": D("92263.55"), "ETH": D("3234.05")}
        with pytest.raises(UnknownSymbolError):
            observer.instrument("BTC/USD:BTC-241227-100000-C")
        assert player.unknown == []


async def planned(exchange: str, folder: Path, hedges: str) -> tuple[Player, dict[str, Any]]:
    """What ``keeper plan --json`` prints over the recorded answers, in a process of its own."""
    async with playing(exchange) as (player, venue):
        (host,) = venue.hosts
        config = folder / "keeper.toml"
        config.write_text(
            f'mode = "dry-run"\n[venues.main]\nexchange = "{exchange}"\n'
            f'[venues.main.ccxt.urls.api]\nrest = "http://{host}"\n{hedges}'
        )
        secrets = {"API_KEY": "planted-key", "API_SECRET": "planted-secret", "PASSWORD": "planted-pass"}
        environment = {**os.environ, **{f"KEEPER_VENUES__MAIN__{name}": text for name, text in secrets.items()}}
        command = (sys.executable, "-m", "keeper", "plan", "-c", str(config), "--json")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
        said, complaints = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, complaints.decode()
        assert player.methods == {"GET"}
        return player, {hedge["name"]: hedge for hedge in json.loads(said)["hedges"]}


async def test_a_plan_over_okx(tmp_path: Path) -> None:
    hedges = "".join(
        f'[[hedges]]\nname = "{name}"\nasset = "{name.upper()}"\nspot = ["main"]\ninstrument = "main:{symbol}"\n'
        'ratio = "1"\n'
        for name, symbol in (("btc", "BTC/USDT:USDT"), ("eth", "ETH/USD:ETH"))
    )
    player, seen = await planned("okx", tmp_path, hedges)
    details = {row["ccy"]: row for row in player.load("balance.json")["data"][0]["details"]}
    assert D(seen["btc"]["exposure_base"]) == D(details["BTC"]["cashBal"])
    assert D(seen["btc"]["futures_base"]) == D("-0.39")
    assert abs(D(seen["eth"]["exposure_base"]) - D(details["ETH"]["eq"])) < D("1e-20")
    assert abs(D(seen["eth"]["futures_base"]) - D(-200) / D("2087.55")) < D("0.000001")


async def test_a_plan_over_deribit(tmp_path: Path) -> None:
    hedges = "".join(
        f'[[hedges]]\nname = "{name}"\nasset = "{name.upper()}"\nspot = ["main"]\n'
        f'instrument = "main:{name.upper()}/USD:{name.upper()}"\nratio = "1"\n'
        for name in ("btc", "eth")
    )
    player, seen = await planned("deribit", tmp_path, hedges)
    summaries = {row["currency"]: row for row in player.load("summaries.json")["result"]["summaries"]}
    for name, futures in (("btc", D("-2.709093821")), ("eth", D(0))):
        assert abs(D(seen[name]["exposure_base"]) - D(str(summaries[name.upper()]["equity"]))) < D("1e-9")
        assert abs(D(seen[name]["futures_base"]) - futures) < D("1e-8")
