"""Money goes to a margin account that runs short: once, within its caps, and never twice for a lost answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.alerts.rules import Severity, alerts_for
from keeper.core.margins import MarginPolicy, Thresholds
from keeper.core.model import AccountId, Base, CycleRecord, Reason
from keeper.core.topup import TopUp
from keeper.doubt import Standing
from keeper.sim.local import LocalVenue
from keeper.sim.types import Movement, MovementKind, WalletKind, linear
from keeper.topping import TopUps
from keeper.venue.base import NotPermittedError, UnreachableError, VenueError, Wallet
from tests.loop.house import KEY, D, House
from tests.loop.test_margin import rally

SPOT, LINEAR, COINS = AccountId("main"), AccountId("main", "linear"), AccountId("main", "inverse")
RULE = TopUp("USDT", SPOT, LINEAR, D("0.6"), D("0.4"), D(100_000), D(200_000))


class Mover(LocalVenue):
    """The simulated venue with a hand on its transfers."""

    refuse: VenueError | None = None
    lose_before = False
    lose_after = False
    blind = False
    frozen: dict[str, Wallet] | None = None
    asked = 0

    async def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> str | None:
        self.asked += 1
        if self.refuse is not None:
            raise self.refuse
        if self.lose_before:
            raise UnreachableError("connection reset")
        answer = await super().transfer(asset, amount, source, target)
        if self.lose_after:
            raise UnreachableError("connection reset")
        return answer

    async def wallet(self, wallet: str) -> Wallet:
        if self.blind:
            raise UnreachableError("no answer")
        read = await super().wallet(wallet)
        return read if self.frozen is None else self.frozen.setdefault(wallet, read)


class ToppedHouse(House):
    """A full hedge of five coins at 65,000, with little money behind it and some beside."""

    mover: Mover

    async def begin(self, rule: TopUp = RULE, *, money: str = "30000", beside: str = "50000") -> None:
        self.exchange.set_price("BTC", D(65000))
        self.exchange.withdraw(KEY, "USDT", D(5_000_000) - D(money), WalletKind.USDM)
        if D(beside):
            self.exchange.deposit(KEY, "USDT", D(beside))
        self.exchange.set_permissions(KEY, replace(self.exchange.permissions(KEY), transfers=True))
        self.limits = replace(self.limits, margin=MarginPolicy(Thresholds(D("0.5"), D("0.7"))))
        self.venue = self.mover = Mover("main", self.exchange, KEY, self.clock)
        self.rule = rule
        await self.hedge()
        await self.start()
        await self.turn(3)
        assert self.position() == -5

    async def start(self) -> None:
        desk = await self.open()
        desk.observatory.reads_margins = True
        desk.top_ups = TopUps({"main": self.rule}, {"main": self.mover}, {"main": self.mover}, desk.journal, self.clock)
        await desk.top_ups.restore()

    @property
    def moved(self) -> list[Movement]:
        return [each for each in self.exchange.movements(KEY) if each.kind is MovementKind.TRANSFER]

    def ratio(self) -> Decimal:
        account = self.exchange.futures_account(KEY, linear("BTCUSDT").kind)
        [row] = [each for each in account.balances if each.asset == "USDT"]
        return row.maintenance_margin / row.margin_balance


def notes(record: CycleRecord) -> list[str]:
    return [reason.code for _, reason in record.snapshot.notes]


@pytest.fixture
def house(tmp_path: Path) -> ToppedHouse:
    return ToppedHouse(tmp_path)


async def test_it_moves_what_brings_the_margin_down_to_its_target(house: ToppedHouse) -> None:
    await house.begin()
    await rally(house, "0.59")
    await house.turn(2)
    assert not house.moved, "not due yet"
    await rally(house, "0.65")
    await house.turn()
    [moved] = house.moved
    assert (moved.asset, moved.source, moved.target) == ("USDT", WalletKind.SPOT, WalletKind.USDM)
    assert abs(house.ratio() - D("0.4")) < D("0.001")
    record = await house.turn()
    assert notes(record) == ["transfer_moved"]
    [alert] = [each for each in alerts_for({}, record) if each.key == "main/top-up"]
    assert (alert.severity, alert.hedge) == (Severity.INFO, None)
    assert notes(await house.turn(5)) == []
    assert len(house.moved) == 1
    await house.close()


async def test_it_is_on_disk_before_it_is_asked_for(house: ToppedHouse) -> None:
    await house.begin()
    assert house.desk is not None
    journal, seen = house.desk.journal, []
    real = house.mover.transfer

    async def looking(*words: object) -> str | None:
        seen.append([event.detail for event in await journal.events("transfer", "main", 10)])
        return await real(*words)  # type: ignore[arg-type]

    house.mover.transfer = looking  # type: ignore[method-assign, assignment]
    await rally(house, "0.65")
    await house.turn()
    [[asked]] = seen
    assert '"state":"asked"' in asked
    await house.close()


@pytest.mark.parametrize("crash", [False, True])
async def test_an_answer_that_was_lost_is_moved_once(house: ToppedHouse, crash: bool) -> None:
    await house.begin(replace(RULE, max_per_transfer=D(50)))
    house.mover.lose_after = True
    await rally(house, "0.65")
    await house.turn()
    assert len(house.moved) == 1
    house.mover.blind = True
    if crash:
        await house.crash()
        await house.start()
    for _ in range(3):
        assert "transfer_pending" in notes(await house.turn())
    assert house.mover.asked == 1, "due all the while, and the wallets could not be read"
    house.mover.blind = house.mover.lose_after = False
    assert "transfer_moved" in notes(await house.turn())
    assert house.mover.asked == 2, "the next part goes once the first is understood"
    await house.close()


async def test_a_request_that_was_lost_is_asked_again_only_when_both_wallets_have_said_so(house: ToppedHouse) -> None:
    await house.begin()
    house.mover.lose_before = True
    await rally(house, "0.65")
    await house.turn()
    house.mover.lose_before = False
    await house.turn(5)
    assert (house.mover.asked, house.moved) == (1, []), "it may still be on its way"
    house.clock.advance(60)
    assert "transfer_absent" in notes(await house.turn())
    assert len(house.moved) == 1
    await house.close()


async def test_what_may_have_moved_counts_against_the_day(house: ToppedHouse) -> None:
    await house.begin(replace(RULE, max_per_transfer=D(60), max_per_day=D(120)))
    await rally(house, "0.65")
    record = await house.turn(8)
    assert [each.amount for each in house.moved] == [D(60), D(60)]
    assert notes(record) == ["top_up_capped"]
    await house.crash()
    await house.start()
    await house.turn(4)
    assert len(house.moved) == 2, "the cap is the day's and not the process's"
    house.clock.advance(86_400)
    await house.turn()
    assert len(house.moved) == 3
    await house.close()


async def test_wallets_that_stand_still_do_not_have_an_accepted_transfer_made_again(house: ToppedHouse) -> None:
    """The venue took it in and shows both wallets as they were, for as long as you like."""
    await house.begin(replace(RULE, max_per_transfer=D(60), max_per_day=D(120)))
    house.mover.frozen = {}
    await rally(house, "0.65")
    await house.turn()
    house.clock.advance(600)
    record = await house.turn(3)
    assert notes(record) == ["transfer_unexplained"]
    assert len(house.moved) == 1
    house.mover.frozen = None
    await house.turn(3)
    assert len(house.moved) == 2
    await house.close()


async def test_wallets_that_stand_still_and_lost_answers_move_no_more_than_the_days_cap(house: ToppedHouse) -> None:
    await house.begin(replace(RULE, max_per_transfer=D(60), max_per_day=D(120)))
    house.mover.frozen, house.mover.lose_after = {}, True
    await rally(house, "0.65")
    for _ in range(10):
        record = await house.turn()
        house.clock.advance(61)
    assert sum(each.amount for each in house.moved) == D(120)
    assert notes(record) == ["top_up_capped"]
    await house.close()


async def test_a_wallet_that_changed_otherwise_is_a_persons_affair(house: ToppedHouse) -> None:
    await house.begin()
    house.mover.lose_before = True
    await rally(house, "0.65")
    await house.turn()
    house.exchange.withdraw(KEY, "USDT", D(20_000))
    house.clock.advance(120)
    record = await house.turn(3)
    assert notes(record) == ["transfer_unexplained"]
    [alert] = [each for each in alerts_for({}, record) if each.key == "main/top-up"]
    assert alert.severity is Severity.CRITICAL
    assert house.mover.asked == 1
    house.mover.lose_before = False
    assert house.desk is not None
    house.desk.vouched.add("btc")
    assert "transfer_moved" in notes(await house.turn()), "somebody has looked; it counts as moved"
    await house.turn()
    assert house.mover.asked == 2
    await house.close()


async def test_a_key_that_may_not_transfer_is_asked_once_and_told_of(house: ToppedHouse) -> None:
    await house.begin()
    house.mover.refuse = NotPermittedError("this key may not transfer")
    await rally(house, "0.65")
    await house.turn()
    house.clock.advance(3_600)
    record = await house.turn(3)
    assert notes(record) == ["transfer_refused"]
    assert "allow transfers, or remove top_up" in record.snapshot.notes[0][1].text
    assert house.mover.asked == 1
    await house.close()


async def test_a_refusal_is_waited_out_and_counts_for_nothing(house: ToppedHouse) -> None:
    await house.begin(replace(RULE, max_per_day=D(100_000)))
    house.mover.refuse = VenueError("not now")
    await rally(house, "0.65")
    await house.turn(10)
    assert house.mover.asked == 1
    house.clock.advance(300)
    house.mover.refuse = None
    await house.turn(2)
    assert len(house.moved) == 1
    await house.close()


@pytest.mark.parametrize(("beside", "code"), [("0", "top_up_short"), ("200", None)])
async def test_it_moves_no_more_than_there_is(house: ToppedHouse, beside: str, code: str | None) -> None:
    await house.begin(beside=beside)
    await rally(house, "0.65")
    record = await house.turn(2)
    assert [each.amount for each in house.moved] == ([] if code else [D(200)])
    assert code is None or notes(record) == [code]
    await house.close()


async def test_nothing_moves_under_the_kill_file_or_without_a_margin(house: ToppedHouse) -> None:
    await house.begin()
    assert house.desk is not None
    house.desk.observatory.brakes = lambda: Standing(blocks=(("*", Reason("kill_file", "keeper.kill exists")),))
    await rally(house, "0.65")
    await house.turn(3)
    assert house.mover.asked == 0
    house.desk.observatory.brakes = Standing
    house.desk.observatory.reads_margins = False
    await house.turn(3)
    assert house.mover.asked == 0
    await house.close()


async def test_coins_on_their_way_between_two_counted_wallets_are_not_traded_upon(tmp_path: Path) -> None:
    """A coin-margined short beyond its collateral is topped up with coins that are hedged themselves."""
    house = ToppedHouse(tmp_path, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(60000))
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    house.exchange.set_permissions(KEY, replace(house.exchange.permissions(KEY), transfers=True))
    house.venue = house.mover = Mover("main", house.exchange, KEY, house.clock)
    house.rule = TopUp("BTC", SPOT, COINS, D("0.015"), D("0.008"), D(1), D(2))
    await house.hedge("BTC/USD:BTC")
    await house.start()
    await house.turn(3)
    sent = len(house.orders)
    house.mover.lose_after = True
    house.exchange.set_price("BTC", D(90000))
    await house.turn()
    assert len(house.moved) == 1
    [cycle] = (await house.turn()).hedges
    assert [reason.code for reason in cycle.decision.reasons] == ["transfer_pending"]  # type: ignore[union-attr]
    await house.turn(4)
    assert len(house.orders) == sent, "not one order, though the coins changed wallets"
    assert cycle.exposure.holdings_base is not None
    assert abs(cycle.exposure.holdings_base - Base(D(2))) < D("0.01")
    await house.close()
