"""Orders on a paper account: filled on the book that is there, once, with fees; refused as a venue refuses."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from keeper.core.model import AccountId, Instrument, Side, WorkingOrder
from keeper.sim.types import MarketStatus, linear
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Ambiguous,
    LookupFailed,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
    UnknownSymbolError,
    UnreachableError,
)
from keeper.venue.paper.store import Store
from keeper.venue.paper.terms import PaperError
from keeper.venue.transfers import TransferRefusedError
from tests.paper.bench import COIN, PERP, Bench, begins, bench

D = Decimal
TAKER, MAKER = D("0.0005"), D("0.0002")


async def resting(house: Bench) -> tuple[WorkingOrder, ...]:
    return (await house.paper.positions()).working


async def test_an_order_takes_the_book_level_by_level_and_pays_for_each(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        bids = (await house.source.book(house.instrument())).bids
        wanted = bids[0].contracts + bids[1].contracts + bids[2].contracts / 2
        wanted -= wanted % house.instrument().step_contracts
        report = await house.done(house.order(Side.SELL, wanted + 100, bids[1].price))
        assert (report.state, report.filled) == (OrderState.PARTIAL, bids[0].contracts + bids[1].contracts)
        fills = await house.paper.fills(house.instrument().id, 0)
        assert [(fill.price, fill.contracts) for fill in fills] == [(bid.price, bid.contracts) for bid in bids[:2]]
        worth = sum((bid.price * bid.contracts for bid in bids[:2]), D(0))
        assert sum(fill.fee or 0 for fill in fills) == pytest.approx(worth * TAKER)
        assert report.average_price == pytest.approx(worth / report.filled)
        assert await house.wallet() == 5_000_000 - sum(fill.fee or 0 for fill in fills)
        assert (await house.held()).entry_price == pytest.approx(report.average_price)


async def test_what_was_taken_is_not_there_a_second_time_until_the_book_is_another_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        best = (await house.source.book(house.instrument())).bids[0]
        first = await house.done(house.order(Side.SELL, best.contracts - 1, best.price))
        second = await house.done(house.order(Side.SELL, best.contracts, best.price))
        await house.restart()
        third = await house.done(house.order(Side.SELL, best.contracts, best.price))
        assert [first.filled, second.filled, third.filled] == [best.contracts - 1, 1, 0]
        house.price("66000")
        bid = (await house.source.book(house.instrument())).bids[0]
        assert (await house.done(house.order(Side.SELL, "1", bid.price))).filled == 1
        house.price("65000")
        assert (await house.done(house.order(Side.SELL, "1", best.price))).filled == 1, "it has been away"


async def test_a_post_only_order_rests_and_fills_as_maker_when_the_market_has_come_to_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        bid = (await house.source.book(house.instrument())).bids[0].price
        refused = await house.paper.submit(house.order(Side.SELL, "2", bid, force="PO"))
        assert isinstance(refused, Rejected)
        assert refused.code == POST_ONLY_REFUSED
        order = house.order(Side.SELL, "2", "65100", force="PO")
        assert (await house.done(order)).state is OrderState.OPEN
        house.price("65090")
        assert [each.client_id for each in await resting(house)] == [order.client_id]
        await house.restart()
        house.price("65300")
        assert not await resting(house)
        (fill,) = await house.paper.fills(order.instrument, 0)
        assert [fill.price, fill.contracts, fill.fee] == [D(65100), D(2), 2 * D(65100) * MAKER]
        assert (await house.held()).contracts == -2


async def test_a_resting_order_is_taken_back_once_and_never_fills_after_that(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        order = house.order(Side.SELL, "2", "65100", force="PO")
        await house.done(order)
        (working,) = await resting(house)
        await house.paper.cancel(working)
        await house.paper.cancel(working)
        house.price("65300")
        assert not await resting(house)
        report = await house.paper.lookup(order.instrument, order.client_id, None)
        assert isinstance(report, OrderReport)
        assert [report.state, report.filled] == [OrderState.NONE, D(0)]


async def test_a_cover_is_cut_at_the_position_and_refused_where_there_is_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        refused = await house.paper.submit(house.order(Side.BUY, "1", "66000", reduce_only=True))
        assert isinstance(refused, Rejected)
        assert refused.code == "reduce_only"
        await house.done(house.order(Side.SELL, "1", "64900"))
        report = await house.done(house.order(Side.BUY, "3", "66000", reduce_only=True))
        assert [report.state, report.filled] == [OrderState.FILLED, D(1)]
        assert (await house.held()).contracts == 0
        wrong = await house.paper.submit(house.order(Side.SELL, "1", "64900", reduce_only=True))
        assert isinstance(wrong, Rejected)


@pytest.mark.parametrize(
    ("contracts", "price", "code"),
    [
        ("0.0005", "64900", "step"),
        ("1", "64900.05", "tick"),
        ("0", "64900", "step"),
        ("100000", "64900", "maximum"),
        ("0.001", "60", "min_notional"),
    ],
)
async def test_what_the_venue_would_not_look_at_is_refused(
    tmp_path: Path, contracts: str, price: str, code: str
) -> None:
    async with bench(tmp_path) as house:
        answer = await house.paper.submit(house.order(Side.SELL, contracts, price))
        assert isinstance(answer, Rejected)
        assert answer.code == code
        assert not await house.paper.fills(house.instrument().id, 0)


async def test_a_market_that_is_closed_takes_no_order(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        house.source.exchange.set_status(linear("BTCUSDT"), MarketStatus.BREAK)
        await house.paper.open()
        answer = await house.paper.submit(house.order(Side.SELL, "1", "64900"))
        assert isinstance(answer, Rejected)
        assert answer.code == "market_closed"


async def test_nothing_is_sold_that_the_account_cannot_margin(tmp_path: Path) -> None:
    poor = begins(wallets={"": {"BTC": D(5), "USDT": D(10_000)}}, leverage=D(10))
    async with bench(tmp_path, poor) as house:
        answer = await house.paper.submit(house.order(Side.SELL, "2", "64900"))
        assert isinstance(answer, Rejected)
        assert answer.code == "insufficient_margin"
        assert "10000 free in main" in answer.text
        assert (await house.done(house.order(Side.SELL, "1.4", "64900"))).state is OrderState.FILLED
        (margin,) = await house.paper.margins()
        assert margin.asset == "USDT"
        assert margin.equity == pytest.approx(10_000, abs=100)
        assert margin.maintenance == pytest.approx(D("1.4") * 65000 * D("0.01"), rel=D("0.001"))
        house.price("72000")
        again = await house.paper.submit(house.order(Side.SELL, "0.1", "71900"))
        assert isinstance(again, Rejected), "a loss is no margin"
        assert (await house.done(house.order(Side.BUY, "1.4", "73000", reduce_only=True))).state is OrderState.FILLED


async def test_an_id_is_taken_in_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        order = house.order(Side.SELL, "1", "64900")
        await house.done(order)
        await house.restart()
        assert isinstance(await house.paper.submit(order), Ambiguous)
        assert (await house.held()).contracts == -1


async def test_a_change_that_cannot_be_written_whole_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as house:
        real = Store.put

        def failing(self: Store, table: str, /, **values: object) -> int:
            if table == "wallets":
                raise PaperError("the disk is full")
            return real(self, table, **values)

        order = house.order(Side.SELL, "1", "64900")
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put", failing)
            assert isinstance(await house.paper.submit(order), Ambiguous)
        assert (await house.held()).contracts == 0
        assert not await house.paper.fills(order.instrument, 0)
        assert (await house.done(order)).state is OrderState.FILLED


async def test_a_book_that_cannot_be_read_places_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path) as house:

        async def dark(*_: object) -> object:
            raise UnreachableError("no answer")

        order = house.order(Side.SELL, "1", "64900")
        monkeypatch.setattr(house.source, "book", dark)
        assert isinstance(await house.paper.submit(order), RetryLater)
        assert (await house.held()).contracts == 0


async def test_a_coin_margined_short_earns_coins(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        sold = await house.done(house.order(Side.SELL, "650", "64900", COIN))
        house.price("52000")
        bought = await house.done(house.order(Side.BUY, "650", "52100", COIN, reduce_only=True))
        assert sold.average_price is not None
        assert bought.average_price is not None
        worth = [D(65_000) / sold.average_price, D(65_000) / bought.average_price]
        earned = worth[1] - worth[0] - sum(worth) * TAKER
        assert await house.wallet("inverse", "BTC") == pytest.approx(50 + earned, abs=D("0.00000005"))


async def test_a_look_leaves_no_trace(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        await house.done(house.order(Side.SELL, "1", "64900"))
        before = house.file.read_bytes()
        look = house.made(durable=False)
        await look.open()
        house.until_hour(16)
        house.later(2)
        assert (await look.position(house.instrument(PERP))).contracts == -1
        assert await look.funding(house.instrument(), 0), "it shows what is due"
        await look.close()
        assert house.file.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["paper.db"]  # noqa: ASYNC240


@pytest.mark.parametrize(("side", "price"), [(Side.SELL, "55000"), (Side.BUY, "75000")])
async def test_an_order_too_far_from_the_mark_is_refused(tmp_path: Path, side: Side, price: str) -> None:
    async with bench(tmp_path) as house:
        lowest, highest = house.source.price_band(house.instrument()) or (D(0), D(0))
        assert lowest < 1 < highest
        beyond = D(65_000) * (lowest - D("0.01") if side is Side.SELL else highest + D("0.01"))
        answer = await house.paper.submit(house.order(side, "1", beyond.quantize(D(1))))
        twin = await house.twin.submit(house.order(side, "1", beyond.quantize(D(1))))
        assert isinstance(answer, Rejected)
        assert isinstance(twin, Rejected)
        assert answer.code == "price_band"


async def test_coins_move_between_paper_wallets_and_no_more_than_are_free(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        assert await house.paper.transfer("USDT", D(1000), "linear", "funding")
        assert (await house.paper.wallet("funding")).totals["USDT"] == 1000
        assert await house.paper.outflow(AccountId("main", "linear"), "USDT", 0) == 1000
        await house.done(house.order(Side.SELL, "100", "64000"))
        free = next(each for each in await house.paper.margins() if each.asset == "USDT").available
        assert free is not None
        assert free < await house.wallet()
        with pytest.raises(TransferRefusedError):
            await house.paper.transfer("USDT", free + 1, "linear", "funding")
        await house.restart()
        assert (await house.paper.wallet("funding")).totals["USDT"] == 1000


async def test_a_contract_that_is_not_listed_any_more_ends_its_orders_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as house:
        order = house.order(Side.SELL, "2", "65100", force="PO")
        await house.done(order)
        known = house.source.instrument

        def gone(symbol: str) -> Instrument:
            if symbol == PERP:
                raise UnknownSymbolError("no such contract")
            return known(symbol)

        monkeypatch.setattr(house.source, "instrument", gone)
        assert not await resting(house)
        assert (await house.paper.wallet("linear")).totals
        assert isinstance(await house.paper.lookup(order.instrument, order.client_id, None), LookupFailed)
        assert isinstance(await house.paper.submit(order), Ambiguous)
