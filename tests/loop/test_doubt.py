"""What the simulation found: lies told twice, intents written unsaid, orders that nothing more can be learnt about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.core.model import (
    Base,
    Contracts,
    Hold,
    Instrument,
    InstrumentId,
    Intent,
    Mark,
    OutcomeState,
    Position,
    Rebalance,
    Unlisted,
)
from keeper.journal.base import JournalError
from keeper.sim.types import WalletKind
from keeper.sim.types import inverse as inverse_key
from keeper.sim.types import linear as linear_key
from keeper.venue.base import PositionBook, UnreachableError, Wallet
from tests.loop.house import KEY, D, House
from tests.loop.test_faults import FlakyHouse


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[FlakyHouse]:
    made = FlakyHouse(tmp_path)
    yield made
    await made.close()


async def resume(house: House) -> None:
    await house.told("resume")


def code(decision: object) -> str:
    assert isinstance(decision, Hold), decision
    return decision.reasons[0].code


async def test_an_intent_whose_writing_seemed_to_fail_is_closed_and_leaves_no_question(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    assert house.desk is not None
    write = house.desk.journal.intent

    async def answer_lost(intent: Intent) -> None:
        await write(intent)
        raise JournalError("the answer was lost")

    monkeypatch.setattr(house.desk.journal, "intent", answer_lost)
    await house.turn()
    monkeypatch.undo()
    assert house.orders == ()
    assert len(await house.desk.journal.unresolved()) == 1
    await house.turn(2)
    assert await house.desk.journal.unresolved() == ()
    assert [each.outcome.state for each in await house.desk.journal.intents_since(0)] == [
        OutcomeState.ABSENT,
        OutcomeState.FILLED,
    ]
    assert house.position() == D(-5)


async def test_nothing_is_sent_while_nobody_knows_whether_an_intent_was_written(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    assert house.desk is not None

    async def fails(*_: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(house.desk.journal, "intent", fails)
    await house.turn()
    monkeypatch.undo()
    monkeypatch.setattr(house.desk.journal, "unresolved", fails)
    assert code((await house.one()).decision) == "journal_failed"
    monkeypatch.undo()
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_person_ends_the_wait_for_a_lost_order_beside_which_others_have_traded(house: FlakyHouse) -> None:
    """The venue knows nothing of the order, but the position is not what it was: only somebody who looks can tell."""
    await house.start(ratio="0.6")
    house.line.lose_before = 1
    await house.turn()
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-1))
    await house.turn(20)
    assert code((await house.one()).decision) == "unresolved_order"
    await resume(house)
    await house.turn(3)
    assert house.position() == D(-3)
    assert len(house.orders) == 1


async def test_a_person_cannot_hurry_a_venue_that_has_not_denied_the_order_for_long_enough(house: FlakyHouse) -> None:
    await house.start()
    house.line.lose_reply_after = 1
    house.line.lookups_blind = 7
    house.line.fills_blind = True
    await house.turn()
    await resume(house)
    await house.turn()
    assert code((await house.one()).decision) in ("unresolved_order", "order_resolved")
    house.line.fills_blind = False
    await house.turn(4)
    assert house.position() == D(-5)
    assert len(house.orders) == 1


async def test_resuming_a_hedge_does_not_send_a_fill_that_is_not_shown_yet_again(house: FlakyHouse) -> None:
    await house.start()
    house.line.stale_positions = PositionBook((), ())
    await house.turn()
    await resume(house)
    await house.turn(2)
    assert len(house.orders) == 1
    house.line.stale_positions = None
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_short_that_two_readings_of_one_look_deny_is_not_opened_again(house: FlakyHouse) -> None:
    await house.start(ratio="0.2")
    await house.turn(2)
    position = house.position()
    real = house.line.position

    async def denied(instrument: object) -> object:
        shown = await real(instrument)  # type: ignore[arg-type]
        return type(shown)(shown.instrument, D(0))  # type: ignore[arg-type]

    house.line.stale_positions = PositionBook((), ())
    house.line.position = denied  # type: ignore[method-assign,assignment]
    assert code((await house.one()).decision) == "foreign_change"
    house.line.stale_positions = None
    del house.line.position
    record = await house.one()
    assert not isinstance(record.decision, Rebalance)
    assert house.position() == position
    assert len(house.orders) == 1


@pytest.mark.parametrize("seen", ["in both", "in neither"])
async def test_coins_that_move_between_wallets_during_a_look_are_counted_once(house: FlakyHouse, seen: str) -> None:
    """Seen in both wallets they would be hedged twice, seen in neither the hedge would be opened."""
    house.exchange.deposit(KEY, "BTC", D(3), WalletKind.COINM)
    await house.start(symbol="BTC/USD:BTC")
    await house.turn(40)
    sent = len(house.orders)
    wallet = house.line.wallet
    moves = [(WalletKind.SPOT, WalletKind.COINM) if seen == "in both" else (WalletKind.COINM, WalletKind.SPOT)]

    async def torn(name: str) -> Wallet:
        read = await wallet(name)
        if not name and moves:
            house.exchange.transfer(KEY, "BTC", D("0.5"), *moves.pop())
        return read

    house.line.wallet = torn  # type: ignore[method-assign,assignment]
    record = await house.one()
    assert isinstance(record.decision, Hold)
    await house.turn(4)
    assert len(house.orders) == sent
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(40)
    assert len(house.orders) > sent, "what is really new is hedged"


async def test_a_zero_is_not_explained_by_a_sale_that_was_much_smaller(house: FlakyHouse) -> None:
    """The owner sold a tenth; the venue shows nothing left. Only the tenth is on record."""
    await house.start()
    await house.turn(2)
    house.exchange.withdraw(KEY, "BTC", D("0.5"))
    house.line.wallet_rows = {"USDT": Base(D(1))}
    await house.turn(3)
    assert house.position() == D(-5), "nothing is covered on a zero that no record bears out"
    house.line.wallet_rows = None
    await house.turn(3)
    assert house.position() == D("-4.5")


async def test_a_record_that_comes_late_still_explains_the_zero(house: FlakyHouse) -> None:
    await house.start()
    await house.turn(2)
    records, house.line.outflow = house.line.outflow, no_records  # type: ignore[method-assign,assignment]
    house.exchange.withdraw(KEY, "BTC", D(5))
    await house.turn(4)
    assert house.position() == D(-5)
    house.line.outflow = records  # type: ignore[method-assign]
    await house.turn(2)
    assert house.position() == D(0)


async def no_records(*_: object) -> Base:
    return Base(D(0))


async def test_a_counted_position_that_the_list_leaves_out_is_asked_for_by_name(house: FlakyHouse) -> None:
    """A list cut short hides a position that no hedge names; its delta still counts, and nothing is covered."""
    await house.start(unlisted=Unlisted.COUNT, ratio="0.5")
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    house.exchange.foreign_trade(KEY, inverse_key("BTCUSD_PERP"), D(650))
    await house.turn(3)
    assert house.position() == D("-3.5"), "half of five, and one for the coin that the other contract is long"
    whole = await house.venue.positions()
    kept = tuple(each for each in whole.positions if each.instrument.id == house.hedges[0].instrument.id)
    house.line.stale_positions = PositionBook(kept, ())
    sent = len(house.orders)
    await house.turn(3)
    assert len(house.orders) == sent
    house.line.stale_positions = None
    house.exchange.foreign_trade(KEY, inverse_key("BTCUSD_PERP"), D(-650))
    await house.turn(3)
    assert house.position() == D("-2.5"), "really closed, it counts no more"


@pytest.mark.parametrize("again", [False, True], ids=["once", "and the next list too"])
async def test_a_counted_short_that_two_answers_deny_is_not_made_up_for_at_once(house: FlakyHouse, again: bool) -> None:
    """The list and the question by name may be wrong together; what others closed is still closed in the next look."""
    await house.start(unlisted=Unlisted.COUNT, ratio="0.9")
    house.exchange.deposit(KEY, "USDT", D(100_000), WalletKind.USDM)
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    house.exchange.foreign_trade(KEY, inverse_key("BTCUSD_PERP"), D(-650))
    await house.turn(3)
    held, sent = house.position(), len(house.orders)
    assert held == D("-3.5"), "nine tenths of five, and one is short already"
    whole = await house.venue.positions()
    kept = tuple(each for each in whole.positions if each.instrument.id == house.hedges[0].instrument.id)
    house.line.stale_positions = PositionBook(kept, ())
    real = house.line.position

    async def flat(instrument: Instrument) -> Position:
        return Position(instrument, Contracts(D(0)))

    house.line.position = flat  # type: ignore[method-assign]
    assert code((await house.one()).decision) == "foreign_change"
    house.line.position = real  # type: ignore[method-assign]
    if again:
        await house.turn()
    house.line.stale_positions = None
    await house.turn(3)
    assert (house.position(), len(house.orders)) == (held, sent)
    house.exchange.foreign_trade(KEY, inverse_key("BTCUSD_PERP"), D(650))
    await house.turn(3)
    assert house.position() == D("-4.5")


async def test_a_position_seen_for_the_first_time_is_asked_for_by_name_before_it_is_traded_on(
    house: FlakyHouse,
) -> None:
    """A short that the list gives the wrong sign would be shorted once more, twice its size."""
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-3))
    await house.start()
    whole = await house.venue.positions()
    wrong = tuple(replace(each, contracts=Contracts(-each.contracts)) for each in whole.positions)
    house.line.stale_positions = PositionBook(wrong, ())
    seen = await house.one()
    assert code(seen.decision) == "unconfirmed_reading"
    assert house.orders == ()
    house.line.stale_positions = None
    await house.turn(3)
    assert house.position() == D(-5)


async def test_a_first_position_that_cannot_be_read_by_name_is_shown_and_neither_traded_on_nor_remembered(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-3))
    await house.start()

    async def refused(*_: object) -> Position:
        raise UnreachableError("by name it cannot be reached")

    monkeypatch.setattr(house.line, "position", refused)
    for _ in range(2):
        seen = await house.one()
        assert isinstance(seen.decision, Hold)
        assert {reason.code for reason in seen.decision.reasons} == {"unreachable", "unconfirmed_position"}
        assert seen.exposure.futures_base == D(-3)
    assert house.orders == ()
    monkeypatch.undo()
    await house.turn(3)
    assert house.position() == D(-5)


async def test_a_price_older_than_the_one_before_it_sizes_nothing(house: FlakyHouse) -> None:
    """An answer from before our last order is no reading of after it, young as it may be."""
    await house.start()
    await house.turn(2)
    assert house.desk is not None
    observatory = house.desk.observatory
    marks = await house.venue.marks([house.hedges[0].instrument])
    old = {ident: replace(mark, at_ms=(mark.at_ms or 0) - 6_000) for ident, mark in marks.items()}
    house.exchange.deposit(KEY, "BTC", D(1))
    real = house.line.marks
    house.line.marks = older(old)  # type: ignore[method-assign, assignment]
    seen = await house.one()
    assert code(seen.decision) == "stale_price"
    assert seen.exposure.mark is not None, "it is shown all the same"
    house.line.marks = real  # type: ignore[method-assign]
    await house.turn(2)
    assert house.position() == D(-6)
    assert observatory is house.desk.observatory


def older(
    marks: Mapping[InstrumentId, Mark],
) -> Callable[[Sequence[Instrument]], Coroutine[Any, Any, Mapping[InstrumentId, Mark]]]:
    async def read(_: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        return marks

    return read


async def test_a_stamp_from_the_future_does_not_make_what_comes_after_it_old(house: FlakyHouse) -> None:
    """A venue's clock that is wrong for one answer, between two measurements of it."""
    await house.start()
    await house.turn(2)
    marks = await house.venue.marks([house.hedges[0].instrument])
    real = house.line.marks
    ahead = {ident: replace(mark, at_ms=(mark.at_ms or 0) + 60_000) for ident, mark in marks.items()}
    house.line.marks = older(ahead)  # type: ignore[method-assign, assignment]
    await house.turn()
    house.line.marks = real  # type: ignore[method-assign]
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(2)
    assert house.position() == D(-6)


async def test_a_list_without_the_row_does_not_bear_out_that_a_short_is_gone(house: FlakyHouse) -> None:
    """Three wrong answers in two looks: two lists cut short, and between them an old answer by name."""
    await house.start(ratio="0.2")
    await house.turn(2)
    held, real, asked = house.position(), house.line.position, 0

    async def old_once(instrument: Instrument) -> Position:
        nonlocal asked
        asked += 1
        shown = await real(instrument)
        return replace(shown, contracts=Contracts(D(0))) if asked == 1 else shown

    house.line.stale_positions = PositionBook((), ())
    house.line.position = old_once  # type: ignore[method-assign]
    sent = len(house.orders)
    await house.turn(3)
    assert asked >= 2, "it is asked for by name at the second look too"
    assert (len(house.orders), house.position()) == (sent, held)


async def test_a_coin_that_the_first_list_leaves_out_is_not_gone_because_another_hedges_coin_is_there(
    house: FlakyHouse,
) -> None:
    house.exchange.deposit(KEY, "ETH", D(50))
    house.exchange.foreign_trade(KEY, linear_key("ETHUSDT"), D(-30))
    await house.hedge("ETH/USDT:USDT", "0.6", name="eth")
    await house.start()
    house.line.readings = [{"BTC": Base(D(5))}] * 2
    record = await house.turn()
    assert {code(each.decision) for each in record.hedges} == {"unexplained_zero"}, "an answer that is doubted, whole"
    assert house.orders == ()
    await house.turn(3)
    assert house.position() == D(-5)
    assert house.position("ETHUSDT") == D(-30)


async def test_a_zero_at_the_first_look_is_asked_for_again_also_where_declared_coins_explain_it(
    house: FlakyHouse,
) -> None:
    """Of five coins and half a one elsewhere all are short: nine tenths of the half alone would be bought back to."""
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D("-0.5"))
    await house.start(declared={"BTC": Base(D("0.5"))}, ratio="0.9")
    house.line.readings = [{"BTC": Base(D(0))}]
    cycle = await house.one()
    assert code(cycle.decision) == "unconfirmed_reading"
    assert house.position() == D("-0.5"), "one wrong answer buys nothing back"
    await house.turn(3)
    assert house.position() == D("-4.95")


async def test_a_debt_at_the_first_look_is_doubted_also_where_coins_are_held_elsewhere(house: FlakyHouse) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-5))
    await house.start(declared={"ledger": Base(D("0.5"))})
    house.line.readings = [{"BTC": Base(D(-5))}] * 2
    cycle = await house.one()
    assert code(cycle.decision) == "unexplained_zero"
    assert house.position() == D(-5), "an answer of the wrong sign buys nothing back"
    assert cycle.exposure.spot_base == -5, "what was read is shown, with the reason beside it"
    house.line.readings = [{"BTC": Base(D(-5))}] * 2
    assert code((await house.one()).decision) == "unexplained_zero", "and it is not what the next look is judged by"
    assert code((await house.one()).decision) != "unexplained_zero"


async def test_a_debt_at_the_first_look_is_doubted_also_beside_the_coins_of_the_margin_wallet(
    house: FlakyHouse,
) -> None:
    house.exchange.deposit(KEY, "BTC", D(3), WalletKind.COINM)
    house.exchange.foreign_trade(KEY, inverse_key("BTCUSD_PERP"), D(-100))
    await house.start(symbol="BTC/USD:BTC")
    house.line.readings = [{"BTC": Base(D(-5))}, {"BTC": Base(D(-5))}, {"BTC": Base(D(3))}]
    cycle = await house.one()
    assert code(cycle.decision) == "unexplained_zero"
    assert house.position("BTCUSD_PERP") == D(-100)
    assert house.orders == ()
