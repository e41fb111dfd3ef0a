"""A fault means the same to a keeper in process and over sockets: one exchange, one menu, two ways to ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import Base, Contracts, Instrument, PlannedOrder, Quote, Side
from keeper.sim.fault_kinds import FaultKind, Trigger
from keeper.sim.faults import FaultMenu
from keeper.sim.local import LocalVenue
from keeper.sim.types import OrderRequest, OrderType, TimeInForce, linear
from keeper.sim.types import Side as SimSide
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    BadReadingError,
    ClockRefusedError,
    EmptyReadingError,
    LookupFailed,
    NotFound,
    Observer,
    OrderReport,
    RateLimitedError,
    Rejected,
    RetryLater,
    Trader,
    UnreachableError,
    VenueError,
)
from keeper.venue.ccxt_venue import Credentials, VenuePolicy, make_venue
from tests.wire.conftest import KEY, SECRET, Venue

BTC = linear("BTCUSDT")
D = Decimal


@dataclass
class Keeper:
    """One way to ask, and the menu that goes wrong for it."""

    observer: Observer
    trader: Trader
    menu: FaultMenu
    venue: Venue
    encode: Callable[[str], str] = str
    attempts: int = 1
    """How often a question is sent when a kept connection breaks: aiohttp repeats GET and DELETE once by itself."""

    @property
    def instrument(self) -> Instrument:
        return self.observer.instrument("BTC/USDT:USDT")

    def order(self, number: int = 1, contracts: str = "0.5") -> PlannedOrder:
        size, price = D(contracts), D(64_500)
        return PlannedOrder(
            client_id=f"{number:028x}",
            hedge="btc",
            instrument=self.instrument.id,
            side=Side.SELL,
            contracts=Contracts(size),
            amount_base=Base(size),
            notional=Quote(size * price),
            price=price,
            reduce_only=False,
        )


@pytest.fixture(params=["local", "wire"])
async def keeper(venue: Venue, request: pytest.FixtureRequest) -> AsyncIterator[Keeper]:
    menu = FaultMenu(venue.exchange, seed=11)
    venue.exchange.intercept(menu)
    if request.param == "local":
        local = LocalVenue("main", venue.exchange, KEY, venue.server.clock)
        await local.open()
        yield Keeper(local, local, menu, venue)
        return
    urls: dict[str, Any] = {"urls": {"api": venue.server.urls}}
    policy, credentials = VenuePolicy(True, "testnet"), Credentials(KEY, SECRET)
    made = make_venue("main", "binance", policy, credentials, urls, venue.server.clock, 5.0, 5.0)
    client: Any = made.connection.client
    client.timeout_on_exit = 1
    await made.open()
    yield Keeper(made.observer, made.trader, menu, venue, made.connection.capability.encode, attempts=2)
    await made.close()


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "outcome", "is_in"),
    [
        (FaultKind.REPLY_LOST_BEFORE, Ambiguous, False),
        (FaultKind.REPLY_LOST_AFTER, Ambiguous, True),
        (FaultKind.UNKNOWN_503_BEFORE, Ambiguous, False),
        (FaultKind.UNKNOWN_503_AFTER, Ambiguous, True),
        (FaultKind.TIMEOUT_1007_AFTER, Ambiguous, True),
        (FaultKind.GATEWAY_504_AFTER, Ambiguous, True),
        (FaultKind.ANSWER_MALFORMED, Ambiguous, True),
        (FaultKind.LATE_ORDER, Ambiguous, False),
        (FaultKind.OVERLOADED, RetryLater, False),
        (FaultKind.RATE_LIMITED, RetryLater, False),
        (FaultKind.BANNED, RetryLater, False),
        (FaultKind.MAINTENANCE, Ambiguous, False),
        (FaultKind.MIN_NOTIONAL_REFUSAL, Rejected, False),
        (FaultKind.PRICE_BAND_REFUSAL, Rejected, False),
        (FaultKind.NOT_FOUND_THEN_FOUND, Accepted, True),
        (FaultKind.FILLS_DELAYED, Accepted, True),
        (FaultKind.PARTIAL_FILL, Accepted, True),
    ],
)
async def test_what_becomes_of_an_order(keeper: Keeper, kind: FaultKind, outcome: type, is_in: bool) -> None:
    keeper.menu.arm(kind)
    told = await keeper.trader.submit(keeper.order())
    assert isinstance(told, outcome), told
    assert keeper.menu.fired == {kind: 1}
    assert bool(keeper.venue.exchange.truth(KEY).accepted_orders) is is_in
    if kind is FaultKind.BANNED:
        assert isinstance(told, RetryLater)
        assert told.retry_after_seconds == 120


async def test_a_client_id_that_is_taken_proves_nothing(keeper: Keeper) -> None:
    keeper.venue.exchange.place_order(KEY, _resting(keeper.encode(keeper.order().client_id)))
    assert isinstance(await keeper.trader.submit(keeper.order()), Ambiguous)


def _resting(client_id: str) -> Any:
    return OrderRequest(
        BTC, SimSide.SELL, OrderType.LIMIT, D("0.1"), D(67_000), TimeInForce.GTC, client_order_id=client_id
    )


async def test_a_partial_fill_is_told_as_one(keeper: Keeper) -> None:
    keeper.menu.arm(FaultKind.PARTIAL_FILL, ratio="0.4")
    sent = keeper.order()
    await keeper.trader.submit(sent)
    found = await keeper.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert (found.state.value, found.filled) == ("partial", D("0.2"))


# --- lookups, fills and cancels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (FaultKind.READ_LOST, LookupFailed),
        (FaultKind.READ_503, LookupFailed),
        (FaultKind.READ_MALFORMED, LookupFailed),
        (FaultKind.RATE_LIMITED, LookupFailed),
        (FaultKind.MAINTENANCE, LookupFailed),
    ],
)
async def test_a_failed_lookup_proves_nothing(keeper: Keeper, kind: FaultKind, outcome: type) -> None:
    sent = keeper.order()
    await keeper.trader.submit(sent)
    times = keeper.attempts if kind is FaultKind.READ_LOST else 1
    keeper.menu.arm(kind, Trigger.count(times))
    assert isinstance(await keeper.trader.lookup(sent.instrument, sent.client_id, None), outcome)
    assert keeper.menu.fired == {kind: times}


async def test_an_order_is_denied_and_then_found(keeper: Keeper) -> None:
    keeper.menu.arm(FaultKind.NOT_FOUND_THEN_FOUND, readings=2, exact=True)
    sent = keeper.order()
    await keeper.trader.submit(sent)
    told = [await keeper.trader.lookup(sent.instrument, sent.client_id, None) for _ in range(3)]
    assert [type(each) for each in told] == [NotFound, NotFound, OrderReport]


async def test_fills_are_late_then_told_once_and_in_order(keeper: Keeper) -> None:
    begun = keeper.venue.server.clock.now_ms() - 1_000
    for number in range(3):
        await keeper.trader.submit(keeper.order(number))
    keeper.menu.arm(FaultKind.FILLS_DELAYED, readings=1, exact=True, views="fills,order")
    sent = keeper.order(7)
    await keeper.trader.submit(sent)
    assert len(await keeper.trader.fills(sent.instrument, begun)) == 3
    keeper.menu.arm(FaultKind.FILLS_DUPLICATED)
    keeper.menu.arm(FaultKind.FILLS_REORDERED)
    fills = await keeper.trader.fills(sent.instrument, begun)
    assert [fill.contracts for fill in fills] == [D("0.5")] * 4
    assert [fill.trade_id for fill in fills] == sorted({fill.trade_id for fill in fills})


async def test_an_order_that_filled_before_its_cancel_is_gone_which_is_success(keeper: Keeper) -> None:
    keeper.venue.exchange.place_order(KEY, _resting("somebody"))
    (working,) = (await keeper.observer.positions()).working
    keeper.menu.arm(FaultKind.CANCEL_FILL_RACE)
    await keeper.trader.cancel(working)
    assert keeper.venue.exchange.truth(KEY).positions == {BTC: D("-0.1")}


async def test_a_cancel_that_never_arrives_is_an_error(keeper: Keeper) -> None:
    keeper.venue.exchange.place_order(KEY, _resting("somebody"))
    (working,) = (await keeper.observer.positions()).working
    keeper.menu.arm(FaultKind.CANCEL_LOST_BEFORE, Trigger.count(keeper.attempts))
    with pytest.raises(UnreachableError):
        await keeper.trader.cancel(working)
    assert (await keeper.observer.positions()).working == (working,)


async def test_a_cancel_whose_answer_is_lost_has_cancelled(keeper: Keeper) -> None:
    keeper.venue.exchange.place_order(KEY, _resting("somebody"))
    (working,) = (await keeper.observer.positions()).working
    keeper.menu.arm(FaultKind.CANCEL_LOST_AFTER)
    try:
        await keeper.trader.cancel(working)
    except UnreachableError:
        assert keeper.attempts == 1  # else it is sent again, and told that the order is gone: success
    assert (await keeper.observer.positions()).working == ()


# --- readings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.READ_LOST, UnreachableError),
        (FaultKind.READ_503, UnreachableError),
        (FaultKind.READ_MALFORMED, BadReadingError),
        (FaultKind.NONE_FILLED, BadReadingError),
        (FaultKind.EMPTY, EmptyReadingError),
        (FaultKind.RATE_LIMITED, RateLimitedError),
        (FaultKind.BANNED, RateLimitedError),
        (FaultKind.MAINTENANCE, UnreachableError),
    ],
)
@pytest.mark.parametrize("wallet", ["", "linear"])
async def test_wallets(keeper: Keeper, kind: FaultKind, error: type[VenueError], wallet: str) -> None:
    await keeper.observer.wallet(wallet)
    times = keeper.attempts if kind is FaultKind.READ_LOST else 1
    keeper.menu.arm(kind, Trigger.count(times))
    with pytest.raises(error):
        await keeper.observer.wallet(wallet)
    assert keeper.menu.fired == {kind: times}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.READ_LOST, UnreachableError),
        (FaultKind.READ_503, UnreachableError),
        (FaultKind.READ_MALFORMED, BadReadingError),
        (FaultKind.NONE_FILLED, BadReadingError),
        (FaultKind.EMPTY, BadReadingError),
    ],
)
async def test_a_second_look_at_a_position(keeper: Keeper, kind: FaultKind, error: type[VenueError]) -> None:
    await keeper.trader.submit(keeper.order())
    times = keeper.attempts if kind is FaultKind.READ_LOST else 1
    keeper.menu.arm(kind, Trigger.count(times), reading="positions")
    with pytest.raises(error):
        await keeper.observer.position(keeper.instrument)
    assert (await keeper.observer.position(keeper.instrument)).contracts == D("-0.5")


async def test_lies_that_can_be_understood_are_told_as_they_are(keeper: Keeper) -> None:
    await keeper.trader.submit(keeper.order())
    keeper.menu.arm(FaultKind.EMPTY, Trigger.count(2), reading="positions")
    assert (await keeper.observer.positions()).positions == ()
    keeper.menu.clear()
    keeper.menu.arm(FaultKind.WRONG_SIGN, Trigger.count(1), reading="positions")
    assert (await keeper.observer.position(keeper.instrument)).contracts == D("0.5")
    keeper.menu.arm(FaultKind.ZEROED, Trigger.count(1), reading="positions")
    assert (await keeper.observer.position(keeper.instrument)).contracts == 0
    keeper.menu.arm(FaultKind.ZEROED, Trigger.count(1), reading="spot_balances", name="BTC")
    assert (await keeper.observer.wallet("")).totals["BTC"] == 0
    (position,) = (await keeper.observer.positions()).positions
    assert position.contracts == D("-0.5")


@pytest.mark.parametrize("step_ms", [-3_000, 9_000])
async def test_a_venue_whose_clock_has_stepped(keeper: Keeper, step_ms: int) -> None:
    keeper.menu.arm(FaultKind.VENUE_CLOCK_STEP, step_ms=step_ms)
    keeper.venue.exchange.advance()
    assert abs(await keeper.observer.clock_offset_ms() - step_ms) < 300
    with pytest.raises(ClockRefusedError):
        await keeper.observer.wallet("")
    told = await keeper.trader.submit(keeper.order())
    assert isinstance(told, Rejected)
    keeper.menu.heal()
    await keeper.observer.wallet("")


async def test_the_rules_change_under_a_keeper(keeper: Keeper) -> None:
    keeper.menu.arm(FaultKind.STEP_CHANGE, Trigger.count(1, market=BTC), factor=1000)
    keeper.venue.exchange.advance()
    assert isinstance(await keeper.trader.submit(keeper.order()), Rejected)
    await keeper.observer.open()
    assert keeper.instrument.step_contracts == 1
    keeper.menu.heal()
    keeper.menu.arm(FaultKind.DELISTED, Trigger.count(1, market=BTC))
    keeper.venue.exchange.advance()
    await keeper.observer.open()
    assert isinstance(await keeper.trader.submit(keeper.order(2)), Rejected)


async def test_a_flipped_mode_is_seen_and_refused(keeper: Keeper) -> None:
    keeper.menu.arm(FaultKind.POSITION_MODE_FLIP, Trigger.count(1, market=BTC))
    keeper.venue.exchange.advance()
    assert (await keeper.observer.facts([keeper.instrument])).one_way is False
    assert isinstance(await keeper.trader.submit(keeper.order()), Rejected)
