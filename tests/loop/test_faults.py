"""Lost replies, late fills, missing readings, crashes: the short peaks and ends at what is right, every time.

The rows are those of the failure catalogue's last table: a correct short is 10 there and 5 here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.core.model import (
    Base,
    HedgeMemory,
    Hold,
    Instrument,
    InstrumentId,
    Intent,
    Mark,
    PlannedOrder,
    Position,
)
from keeper.cycle import ask_again, turn
from keeper.journal.base import JournalError
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    Fill,
    Lookup,
    LookupFailed,
    NotFound,
    Observer,
    PositionBook,
    Submission,
    Trader,
    UnreachableError,
    Wallet,
)
from tests.loop.house import KEY, D, House, linear_key


class CrashError(BaseException):
    """The process dies here."""


class Flaky(LocalVenue):
    """The exchange behind a line that loses what the test tells it to lose."""

    def __init__(self, inner: LocalVenue) -> None:
        self.__dict__.update(inner.__dict__)
        self.lose_reply_after = 0
        self.lose_before = 0
        self.lookups_fail = 0
        self.lookups_blind = 0
        self.fills_fail = False
        self.fills_blind = False
        self.readings: list[Mapping[str, Base]] = []
        self.stale_positions: PositionBook | None = None
        self.stale_position: Position | None = None
        self.down = False
        self.wallet_rows: Mapping[str, Base] | None = None
        self.positions_missing = False
        self.crash_at: str | None = None

    async def submit(self, order: PlannedOrder) -> Submission:
        if self.crash_at == "before submit":
            raise CrashError
        if self.lose_before:
            self.lose_before -= 1
            return Ambiguous("connection reset")
        answer = await super().submit(order)
        if self.crash_at == "after submit":
            raise CrashError
        if self.lose_reply_after:
            self.lose_reply_after -= 1
            return Ambiguous("connection reset")
        return answer

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        if self.down or self.lookups_fail:
            self.lookups_fail = max(0, self.lookups_fail - 1)
            return LookupFailed("no answer")
        if self.lookups_blind:
            self.lookups_blind -= 1
            return NotFound("not found, for now")
        return await super().lookup(instrument, client_id, venue_order_id)

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        if self.down or self.fills_fail:
            raise UnreachableError("no answer")
        return () if self.fills_blind else await super().fills(instrument, since_ms)

    async def wallet(self, wallet: str) -> Wallet:
        if self.down:
            raise UnreachableError("no answer")
        read = await super().wallet(wallet)
        if self.readings:
            return Wallet(read.account, self.readings.pop(0))
        return read if self.wallet_rows is None else Wallet(read.account, self.wallet_rows)

    async def positions(self) -> PositionBook:
        if self.down:
            raise UnreachableError("no answer")
        if self.positions_missing:
            return PositionBook((), ())
        return self.stale_positions or await super().positions()

    async def position(self, instrument: Instrument) -> Position:
        if self.down or self.positions_missing:
            raise UnreachableError("no answer")
        return self.stale_position or await super().position(instrument)

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        if self.down:
            raise UnreachableError("no answer")
        return await super().marks(instruments)


class FlakyHouse(House):
    line: Flaky

    async def start(self, **options: Any) -> None:
        await self.hedge(**options)
        self.line = Flaky(self.venue)

        def wrap(_: LocalVenue) -> tuple[Observer, Trader]:
            return self.line, self.line

        self.wrap = wrap
        await self.open()

    async def turns_watched(self, times: int) -> Decimal:
        """Turns, and the largest short that there was after any of them."""
        peak = D(0)
        for _ in range(times):
            await self.turn()
            peak = max(peak, -self.position())
        return peak


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[FlakyHouse]:
    made = FlakyHouse(tmp_path)
    yield made
    await made.close()


async def test_a_reply_lost_after_accept_is_found_and_not_repeated(house: FlakyHouse) -> None:
    await house.start()
    house.line.lose_reply_after = 1
    assert await house.turns_watched(5) == D(5)
    assert len(house.orders) == 1


async def test_a_reply_lost_before_accept_is_proved_absent_and_sent_anew(house: FlakyHouse) -> None:
    await house.start()
    house.line.lose_before = 1
    assert await house.turns_watched(16) == D(5)
    assert len(house.orders) == 1


async def test_reply_lookups_and_position_all_lost_for_45_seconds(house: FlakyHouse) -> None:
    """The row in which the peer ends 54 times over-hedged."""
    await house.start()
    house.line.lose_reply_after = 1
    house.line.lookups_fail = 60
    house.line.fills_fail = True
    house.line.stale_positions = PositionBook((), ())
    assert await house.turns_watched(9) == D(5)
    house.line.stale_positions, house.line.fills_fail, house.line.lookups_fail = None, False, 0
    assert await house.turns_watched(5) == D(5)
    assert len(house.orders) == 1


async def test_not_found_that_becomes_found_is_no_absence(house: FlakyHouse) -> None:
    """Under load the venue denies the order, its fills and its effect for a while; then shows all three."""
    await house.start()
    house.line.lose_reply_after = 1
    house.line.lookups_blind = 7
    house.line.fills_blind = True
    house.line.stale_positions = PositionBook((), ())
    assert await house.turns_watched(3) == D(5)
    house.line.stale_positions, house.line.fills_blind = None, False
    assert await house.turns_watched(6) == D(5)
    assert len(house.orders) == 1


async def test_an_order_that_only_the_position_betrays_freezes_its_symbol(house: FlakyHouse) -> None:
    """Denied by every look-up and by the fills, but the position moved: no proof of absence, so nothing is sent."""
    await house.start()
    house.line.lose_reply_after = 1
    house.line.lookups_blind = 1_000
    house.line.fills_blind = True
    assert await house.turns_watched(12) == D(5)
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[-1].code == "unresolved_order"
    assert len(house.orders) == 1


async def test_a_single_wild_reading_is_looked_at_twice_and_not_acted_on(house: FlakyHouse) -> None:
    await house.start()
    await house.turn(2)
    house.line.readings = [{"BTC": Base(D(50)), "USDT": Base(D(1))}]
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "unconfirmed_reading"
    assert isinstance((await house.one()).decision, Hold)
    assert len(house.orders) == 1


async def test_a_position_that_shows_the_fill_late_is_waited_for(house: FlakyHouse) -> None:
    await house.start()
    house.line.stale_positions = PositionBook((), ())
    assert await house.turns_watched(4) == D(5)
    house.line.stale_positions = None
    assert await house.turns_watched(3) == D(5)
    assert len(house.orders) == 1


async def test_a_list_from_before_our_cover_has_no_cover_made_twice(house: FlakyHouse) -> None:
    await house.start()
    await house.turn(2)
    before = await house.line.positions()
    house.sell_spot("BTC", "0.6")
    await house.turn(2)
    assert house.position() == D("-4.4")
    house.line.stale_positions = before
    await house.turn(1)
    assert house.position() == D("-4.4"), "a change of 14 % that nobody made: asked for by name first"
    house.line.stale_positions = None
    await house.turn(3)
    assert len(house.orders) == 2


async def test_a_fill_that_never_shows_halts_and_is_never_repeated(house: FlakyHouse) -> None:
    await house.start()
    house.line.stale_positions = PositionBook((), ())
    await house.turns_watched(10)
    assert house.desk is not None
    assert house.desk.memories["btc"].halted is not None
    assert len(house.orders) == 1


async def test_a_cover_that_never_shows_is_not_made_again_and_what_is_sold_later_still_is(house: FlakyHouse) -> None:
    """The venue shows the short as it was for minutes: a halted hedge still covers, and this one has covered."""
    await house.start()
    await house.turn(2)
    house.line.stale_positions = await house.venue.positions()
    house.line.stale_position = await house.venue.position(house.hedges[0].instrument)
    house.sell_spot("BTC", "1")
    await house.turn(30)
    assert house.position() == D(-4)
    house.sell_spot("BTC", "1")
    await house.turn(30)
    assert house.position() == D(-3), "the same coins were bought back again"
    await house.crash()
    await house.open()
    await house.turn(20)
    assert house.position() == D(-3)
    house.line.stale_positions = house.line.stale_position = None
    await house.turn(3)
    assert house.position() == D(-3)
    assert len(house.orders) == 3


async def test_a_whole_look_from_before_our_cover_has_no_cover_made_twice(house: FlakyHouse) -> None:
    """A cache behind the venue's address shows the short of before once more, in the list and by name."""
    await house.start()
    await house.turn(2)
    old, by_name = await house.venue.positions(), await house.venue.position(house.hedges[0].instrument)
    house.sell_spot("BTC", "1")
    await house.turn(3)
    for _ in range(3):
        house.line.stale_positions, house.line.stale_position = old, by_name
        await house.turn()
        house.line.stale_positions = house.line.stale_position = None
        await house.turn(2)
    assert house.position() == D(-4)
    assert len(house.orders) == 2
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-1))
    await house.turn(2)
    assert house.position() == D(-4), "what somebody else sold shows in the next look too"


async def test_an_outage_is_waited_out(house: FlakyHouse) -> None:
    await house.start()
    await house.turn(2)
    house.line.down = True
    house.exchange.deposit(KEY, "BTC", D(1))
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert {reason.code for reason in record.decision.reasons} == {"unreachable"}
    assert await house.turns_watched(8) == D(5)
    house.line.down = False
    assert await house.turns_watched(3) == D(6)


@pytest.mark.parametrize("rows", [{"BTC": Base(D(0)), "USDT": Base(D(1))}, {"USDT": Base(D(1))}])
async def test_a_spot_reading_of_zero_closes_nothing(house: FlakyHouse, rows: dict[str, Base]) -> None:
    await house.start()
    await house.turn(2)
    house.line.wallet_rows = rows
    assert await house.turns_watched(20) == D(5)
    assert house.position() == D(-5)
    house.line.wallet_rows = None
    await house.turn(2)
    assert len(house.orders) == 1


async def test_a_real_sale_of_everything_is_covered_at_once(house: FlakyHouse) -> None:
    await house.start()
    await house.turn(2)
    house.sell_spot("BTC", "5")
    await house.turn(1)
    assert house.position() == D(0)


@pytest.mark.parametrize("rows", [{"USDT": Base(D(1))}, {"BTC": Base(D(-5)), "USDT": Base(D(1))}])
async def test_no_coins_or_less_at_the_very_first_look_covers_nothing(house: FlakyHouse, rows: dict[str, Base]) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-5))
    await house.start()
    house.line.wallet_rows = rows
    await house.turn(5)
    assert house.position() == D(-5)
    house.line.wallet_rows = None
    await house.turn(2)
    assert house.orders == ()


async def test_positions_that_are_never_returned_open_nothing_new(house: FlakyHouse) -> None:
    await house.start(ratio="0.4")  # lower than halt, which would otherwise stop what the missing row would cause
    await house.turn(2)
    house.line.positions_missing = True
    assert await house.turns_watched(8) == D(2)
    house.line.positions_missing = False
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "within_band"
    assert len(house.orders) == 1


async def test_a_short_that_the_first_list_does_not_show_is_asked_for_by_name(house: FlakyHouse) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-5))
    await house.start()
    house.line.stale_positions = PositionBook((), ())
    assert await house.turns_watched(4) == D(5)
    assert house.orders == ()


@pytest.mark.parametrize("point", ["before submit", "after submit"])
async def test_a_crash_around_the_send_loses_and_repeats_nothing(house: FlakyHouse, point: str) -> None:
    await house.start()
    house.line.crash_at = point
    assert house.desk is not None
    house.clock.advance(5)
    with pytest.raises(CrashError):
        await turn(house.desk)
    await house.crash()
    house.line.crash_at = None
    await house.open()
    assert len(house.desk.unresolved) == 1, "the intent was durable before the send"
    assert await house.turns_watched(16) == D(5)
    assert len(house.orders) == 1


async def test_a_crash_between_the_fill_and_the_end_of_the_turn(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restarted on a journal that knows the fill, against a venue that does not show it yet."""
    await house.start()
    desk = house.desk
    assert desk is not None

    async def disk_full(*_: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(desk.journal, "cycle", disk_full)
    with pytest.raises(JournalError):
        await house.turn()
    await house.crash()
    house.line.stale_positions = PositionBook((), ())
    await house.open()
    await house.turn(3)
    house.line.stale_positions = None
    assert await house.turns_watched(3) == D(5)
    assert len(house.orders) == 1


async def test_what_one_hedge_knows_is_written_though_another_s_is_refused(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    await house.turn()
    desk = house.desk
    assert desk is not None
    write, written = desk.journal.memory, []
    mine = list(desk.memories)
    desk.memories = {"first": HedgeMemory(), **desk.memories}

    async def refusing(name: str, memory: HedgeMemory) -> None:
        if name == "first":
            raise JournalError("disk full")
        await write(name, memory)
        written.append(name)

    monkeypatch.setattr(desk.journal, "memory", refusing)
    with pytest.raises(JournalError):
        await ask_again(desk)
    assert written == mine


async def test_without_a_durable_intent_nothing_is_sent(house: FlakyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.start()
    assert house.desk is not None

    async def disk_full(_: Intent) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(house.desk.journal, "intent", disk_full)
    await house.turn(3)
    assert house.orders == ()
    monkeypatch.undo()
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_refused_order_is_not_hammered(house: FlakyHouse) -> None:
    await house.start()
    house.exchange.withdraw(KEY, "USDT", D(5_000_000), WalletKind.USDM)
    codes: list[str] = []
    for _ in range(12):
        record = await house.one()
        if isinstance(record.decision, Hold):
            codes.append(record.decision.reasons[0].code)
    assert house.orders == ()
    assert codes.count("order_refused") >= 8, "a minute of refusals is a few tries, further and further apart"
    house.exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
    await house.turn(60)
    assert house.position() == D(-5)


async def test_an_accepted_order_without_a_report_is_followed(
    house: FlakyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()

    async def terse(order: PlannedOrder) -> Submission:
        answer = await LocalVenue.submit(house.line, order)
        assert isinstance(answer, Accepted)
        return Accepted(answer.venue_order_id)

    monkeypatch.setattr(house.line, "submit", terse)
    record = await house.one()
    assert record.outcomes[0].state.value == "filled"
    await house.turn(2)
    assert len(house.orders) == 1
