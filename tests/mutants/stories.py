"""Stories that a healthy keeper passes, for rows that live where the simulation does not look.

Wires and their parsing, guards, locks, loggers, the rate budget, settings and sizes; each says in its first line what
it shows, which is what the table prints.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from keeper.chores import MARKETS, SETTINGS
from keeper.core.hedge import decide
from keeper.core.limits import ApprovedPlan
from keeper.core.model import (
    NO_CONTRACTS,
    Hold,
    Instrument,
    InstrumentId,
    Quote,
    Rebalance,
)
from keeper.core.orders import plan
from keeper.errors import UnsafeError
from keeper.locks import lock_journal
from keeper.preflight import Wanted
from keeper.sim.types import MarketStatus
from keeper.sim.types import linear as linear_key
from keeper.sim.wire.dispatch import Proceed, Reply
from keeper.sim.wire.request import Call
from keeper.venue.base import (
    Ambiguous,
    BadReadingError,
    Fill,
    HostRefusedError,
    Lookup,
    OrderReport,
    OrderState,
    PositionBook,
    UnreachableError,
)
from keeper.venue.capabilities import capability_of
from keeper.venue.guard import pin_loggers
from keeper.venue.parsing import UNIFIED_FIELDS, position_row
from keeper.venue.wallets import unified_totals
from tests.core.build import EPOCH, approve, hedge, linear, look, snapshot
from tests.loop import test_late_wallets as late_wallets
from tests.loop.house import KEY as HOUSE_KEY
from tests.loop.house import House
from tests.loop.test_chores import chores_of
from tests.mutants.grounds import flaky, housed, served, stood_in
from tests.paper import test_passing
from tests.venue import test_budget, test_bybit
from tests.venue.helpers import TESTNET, marketable, raw, venue_of

D = Decimal
ONE = D(1)
SYMBOL = "BTC/USDT:USDT"
ORDER_PATH = ("POST", "/fapi/v1/order")


async def _turns(house: House, times: int) -> Decimal:
    await house.turn(times)
    return house.position()


# --- orders -------------------------------------------------------------------------------------------------------


async def a_wallet_from_before_our_cover(folder: Path) -> None:
    """A coin-margined cover at a loss is not sold again beside the wallet from before it, nor when that comes back."""
    covered, back = folder / "covered", folder / "back"
    covered.mkdir()
    back.mkdir()
    await late_wallets.test_what_our_own_cover_took_is_not_shorted_again(covered, 3)
    await late_wallets.test_a_wallet_that_goes_back_to_before_our_covers_is_not_traded_on(back, further=False)


async def a_cancel_that_comes_too_late(folder: Path) -> None:
    """An order that filled while it was cancelled is looked at again, and not replaced."""
    async with flaky(folder) as house:
        line = house.line
        real = line.lookup
        asked = 0

        async def lagging(instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
            nonlocal asked
            asked += 1
            answer = await real(instrument, client_id, venue_order_id)
            if isinstance(answer, OrderReport) and asked < 12:
                return replace(answer, state=OrderState.OPEN, filled=NO_CONTRACTS)
            return answer

        line.lose_reply_after = 1
        line.stale_positions = PositionBook((), ())
        line.lookup = lagging  # type: ignore[method-assign]  # the line of this story
        await house.turn(10)
        line.stale_positions = None
        assert await _turns(house, 4) == -5
        assert len(house.orders) == 1


async def a_fill_that_is_told_twice(folder: Path) -> None:
    """An execution that a venue delivers twice counts once."""
    async with flaky(folder) as house:
        line = house.line
        real = line.fills

        async def twice(instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
            found = await real(instrument, since_ms)
            return (*found, *found)

        house.limits = replace(house.limits, max_order_notional=Quote(D(130_000)))
        await house.close()
        await house.open()
        line.lose_reply_after, line.lookups_blind = 1, 1_000
        line.fills = twice  # type: ignore[method-assign]  # the line of this story
        await house.turn(1)
        await house.turn(1)
        desk = house.desk
        assert desk is not None
        (first, *_) = await desk.journal.intents_since(0)
        assert first.outcome.filled == house.orders[0].executed_quantity


async def a_client_id_that_is_taken(_folder: Path) -> None:
    """A client id that is taken means that the order may be in already."""
    async with served() as (server, venue):

        async def taken(call: Call, proceed: Proceed) -> Reply:
            if (call.method, call.path) == ORDER_PATH:
                return Reply(400, '{"code":-4116,"msg":"ClientOrderId is duplicated"}')
            return await proceed()

        server.dispatcher.gate = taken
        answer = await venue.trader.submit(await marketable(venue, SYMBOL, "1"))
        assert isinstance(answer, Ambiguous), answer


async def one_request_for_an_order(_folder: Path) -> None:
    """An order whose answer is lost has left in one request, whatever the client library would retry."""
    async with served() as (server, venue):

        async def lose(call: Call, proceed: Proceed) -> Reply:
            reply = await proceed()
            return Reply(0, "", dropped=True) if (call.method, call.path) == ORDER_PATH else reply

        server.dispatcher.gate = lose
        await venue.trader.submit(await marketable(venue, SYMBOL, "1"))
        posts = [each for each in server.dispatcher.requests if (each.method, each.path) == ORDER_PATH]
        assert len(posts) == 1, f"{len(posts)} orders left"


# --- rows, sizes, signs -------------------------------------------------------------------------------------------


def _instrument() -> Instrument:
    return linear()


async def two_sides_are_added_up(_folder: Path) -> None:
    """In two-sided mode the rows of both sides are added up."""
    async with stood_in() as (stand_in, venue):
        await test_bybit.test_hedge_mode_is_seen_and_its_rows_are_added_up(stand_in, venue)


async def a_side_gives_the_sign(_folder: Path) -> None:
    """A size beside the word "short" is negative."""
    row = {"contracts": "3", "side": "short", "entryPrice": "100"}
    assert position_row(row, UNIFIED_FIELDS, _instrument(), ONE).contracts == -3


async def a_raw_zero_is_flat(_folder: Path) -> None:
    """A raw size of zero is flat, whatever value stands beside it."""
    fields = capability_of("binance").products[0].fields
    row = {"positionAmt": "0.000", "entryPrice": "65000", "notional": "650000", "markPrice": "65000"}
    assert position_row(row, fields, _instrument(), ONE).contracts == 0


async def a_value_that_contradicts_the_size(_folder: Path) -> None:
    """A row whose own value says ten times its size is shown with that fault, on which nobody trades."""
    fields = capability_of("binance").products[0].fields
    row = {"positionAmt": "-2", "entryPrice": "65000", "markPrice": "65000", "notional": "-1300000"}
    assert "disagree" in str(position_row(row, fields, _instrument(), ONE).fault)


async def a_blank_is_no_zero(_folder: Path) -> None:
    """A balance that is null is refused by its name."""
    with pytest.raises(BadReadingError, match="BTC"):
        unified_totals({"total": {"BTC": None, "USDT": "5"}})


async def a_rest_below_the_minimum(_folder: Path) -> None:
    """What is below the venue's minimum is reported and not sent."""
    of = hedge(linear(min_notional="100"))
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "0.0012"}))
    decision = decide(exposure, memory)
    assert isinstance(decision, Rebalance)
    planned = plan(exposure, decision, Quote(D(250_000)), EPOCH)
    assert planned.orders == ()
    assert planned.reasons[0].code == "below_minimum"


async def sells_round_down(_folder: Path) -> None:
    """1.2349 coins at a step of 0.001 are a short of 1.234."""
    of = hedge(linear("0.001"))
    approved = approve(look(of, snapshot(of, "65000", {"BTC": "1.2349"}))[0])
    assert isinstance(approved, ApprovedPlan)
    assert approved.next.contracts == D("1.234")


# --- the venue's rules, asked again -------------------------------------------------------------------------------


async def a_ban_is_waited_out(_folder: Path) -> None:
    """A ban stops reads and new shorts, and no position, cover or lookup."""
    await test_budget.test_a_ban_stops_reads_and_new_shorts_but_not_positions_covers_and_lookups()


async def a_step_that_changed(folder: Path) -> None:
    """A lot step that changed is taken in at the next reload: 5.005 coins at a step of 0.01 are a short of 5."""
    async with housed(folder) as house:
        assert house.desk is not None
        key = linear_key("BTCUSDT")
        filters = house.exchange.market(key).filters
        house.exchange.set_filters(key, replace(filters, step=D("0.01"), min_qty=D("0.01")))
        house.exchange.deposit(HOUSE_KEY, "BTC", D("0.005"))
        chores = chores_of(house)
        chores.ask_for(MARKETS)
        await chores(house.desk)
        assert await _turns(house, 2) == -5


async def a_leverage_other_than_stated(folder: Path) -> None:
    """Leverage other than the configuration states stops new shorts."""
    async with housed(folder) as house:
        assert house.desk is not None
        chores = chores_of(house, Wanted(leverage=D(3)))
        chores.ask_for(SETTINGS)
        await chores(house.desk)
        record = await house.one()
        assert isinstance(record.decision, Hold)
        assert house.position() == 0


async def funding_received_is_positive(_folder: Path) -> None:
    """A short at a positive rate receives, and is booked so."""
    async with served() as (server, venue):
        await venue.trader.submit(await marketable(venue, SYMBOL, "1"))
        server.exchange.set_funding_rate(linear_key("BTCUSDT"), D("0.0001"))
        server.exchange.apply_funding(linear_key("BTCUSDT"))
        (entry,) = await venue.observer.funding(venue.observer.instrument(SYMBOL), 1_700_000_000_000)
        assert entry.amount > 0


async def funding_on_what_was_held(folder: Path) -> None:
    """Each settlement of a paper account is paid on what was held at its own moment, however late it is noticed."""
    await test_passing.test_each_settlement_pays_what_was_held_at_its_moment(folder)


async def funding_is_the_change_of_the_wallet(_folder: Path) -> None:
    """Where a venue books funding as a fee, the entry is still the change of the wallet."""
    async with stood_in() as (stand_in, venue):
        start = stand_in.exchange.now_ms()
        stand_in.set_position(SYMBOL, -1)
        stand_in.set_funding(SYMBOL, "0.0001")
        before = stand_in.wallet("USDT")
        stand_in.settle_funding(SYMBOL)
        (entry,) = await venue.observer.funding(venue.observer.instrument(SYMBOL), start)
        assert entry.amount == stand_in.wallet("USDT") - before


async def a_dead_symbol_stops_no_other(folder: Path) -> None:
    """Beside a contract that is not traded any more the other hedge is built."""
    house = House(folder, coins={"BTC": "5", "ETH": "50"})
    try:
        await house.hedge("ETH/USDT:USDT", name="eth")
        await house.hedge()
        house.exchange.set_status(linear_key("ETHUSDT"), MarketStatus.BREAK)
        await house.open()
        await house.turn(3)
        assert [house.position("BTCUSDT"), house.position("ETHUSDT")] == [D(-5), D(0)]
    finally:
        await house.close()


# --- the process and its surroundings -----------------------------------------------------------------------------


async def a_second_keeper_is_refused(folder: Path) -> None:
    """A second keeper on the same journal is refused."""
    url = f"sqlite:///{folder / 'keeper.db'}"
    with lock_journal(url), pytest.raises(UnsafeError):
        lock_journal(url).release()


async def a_live_host_is_refused(_folder: Path) -> None:
    """A test client whose address is turned to the live host signs nothing for it."""
    venue = venue_of("bybit", policy=TESTNET)
    client: Any = raw(venue)
    client.urls["api"] = {"private": "https://api.bybit.com", "public": "https://api.bybit.com"}

    def sign(*_: object, **__: object) -> None:
        # Raised here, so that not even a keeper without any guard sends something.
        raise AssertionError("a request for the live host was signed")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ccxt.pro.bybit, "sign", sign)
            with pytest.raises(HostRefusedError):
                await client.privatePostV5OrderCreate({})
    finally:
        await venue.close()


async def nothing_is_waited_for_without_end(_folder: Path) -> None:
    """A venue that never answers is given up at the deadline."""
    venue = venue_of("binance")
    try:
        async with asyncio.timeout(0.5):
            with pytest.raises(UnreachableError):
                async with venue.connection.deadline(0.01):
                    await asyncio.get_running_loop().create_future()
    except TimeoutError:
        pytest.fail("still waiting")
    finally:
        await venue.close()


async def loud_loggers_are_pinned(_folder: Path) -> None:
    """The client's logger, which writes keys at DEBUG, stays at WARNING."""
    logger = logging.getLogger("ccxt.base.exchange")
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        pin_loggers()
        assert logger.getEffectiveLevel() >= logging.WARNING
    finally:
        logger.setLevel(before)


async def no_error_quotes_a_signed_address(_folder: Path) -> None:
    """No error of a lost request shows the key, or the address with its signature."""
    async with served() as (server, venue):

        async def drop(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(0, "", dropped=True)

        server.dispatcher.gate = drop
        with pytest.raises(UnreachableError) as caught:
            await venue.observer.wallet("")
        assert "signature" not in str(caught.value)
