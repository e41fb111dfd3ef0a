"""The story of a roll, whole: a coin-margined hedge that no price asks to trade, and the contract it moves into."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.clock import ManualClock, SystemClock
from keeper.commands.demo import demo
from keeper.demo.books import Books
from keeper.demo.stories import DEFAULT, STORIES, staged
from keeper.journal.reader import JournalReader
from keeper.sim.types import WalletKind, inverse

D = Decimal


async def orders_of(journal: Path) -> list[tuple[str, str, Decimal]]:
    """Contract, side and contracts of every order that filled, oldest first."""
    async with await JournalReader.open(f"sqlite:///{journal}") as reader:
        intents = [row.intent for row in await reader.orders(500, "btc-coin")]
    return [
        (intent.order.instrument.symbol, intent.order.side.value, intent.outcome.filled)
        for intent in sorted(intents, key=lambda each: each.cycle)
        if intent.outcome.filled
    ]


def test_the_hedge_is_opened_once_and_rolled_step_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = tmp_path / "demo.db"
    assert demo(30, str(journal), "roll") == 0
    (near, side, opened), *rolled = asyncio.run(orders_of(journal))
    assert side == "sell"
    assert abs(opened - 3250) <= 10
    said = capsys.readouterr().out
    before, _, after = said.partition("expiry nears")
    assert before.count("; no order, drift") == 2, "neither a rally nor a sell-off asks for a trade"
    assert "rolls from" in after
    (far,) = {contract for contract, _, _ in rolled} - {near}
    steps = [(contract == far, side) for contract, side, _ in rolled]
    assert set(steps) <= {(True, "sell"), (False, "buy")}
    assert {(True, "sell"), (False, "buy")} <= set(steps)
    largest = max(filled for contract, _, filled in rolled if contract == near)
    assert largest < opened / 10, "the band leaves room for small steps only"
    assert "Every hedge ended inside" in said


def test_every_story_is_set_with_the_coins_that_it_hedges() -> None:
    for name in STORIES:
        staging = staged(name, SystemClock(), "key", "secret")
        books = Books(staging.exchange, "key", staging.hedges)
        assert all(books.standing(hedge).drift == hedge.ratio for hedge in staging.hedges)
        assert set(staging.story.paths) == {hedge.asset for hedge in staging.hedges}
    assert next(iter(STORIES)) == DEFAULT


@pytest.mark.parametrize("hours", range(0, 24, 5))
def test_at_any_hour_the_contract_expires_within_its_window_and_the_next_one_later(hours: int) -> None:
    clock = ManualClock()
    clock.advance(hours * 3600)
    staging = staged("roll", clock, "key", "secret")
    (hedge,) = staging.hedges
    near, far, perpetual = Books(staging.exchange, "key", staging.hedges).contracts(hedge)
    assert near.left_ms is not None
    assert far.left_ms is not None
    assert 30 <= near.left_ms / 3_600_000 <= 54
    assert far.left_ms - near.left_ms > 30 * 86_400_000
    assert perpetual.left_ms is None
    assert perpetual.mark < near.mark < far.mark


def test_what_a_contract_brought_is_counted_whichever_carries_the_hedge() -> None:
    clock = ManualClock()
    staging = staged("roll", clock, "key", "secret")
    (hedge,) = staging.hedges
    exchange, books = staging.exchange, Books(staging.exchange, "key", staging.hedges)
    exchange.foreign_trade("key", hedge.market, D(-3250))
    exchange.foreign_trade("key", hedge.market, D(1250))
    exchange.foreign_trade("key", hedge.later[0], D(-1250))
    standing = books.standing(hedge)
    assert standing.drift is not None
    assert abs(standing.drift) < D("0.02")
    assert [each.contracts for each in books.contracts(hedge)] == [-2000, -1250, 0]
    exchange.set_price("BTC", D(50_000))
    assert books.result(hedge).moves == pytest.approx(5 * D(15_000), rel=D("0.02"))
    assert abs(books.money().hedged) < 1_500
    books.deposit("BTC", D(1), WalletKind.COINM)
    assert exchange.truth("key").coinm["BTC"] > D("5.9")
    assert abs(books.money().hedged) < 1_500, "money that comes in is no gain"
    assert books.price(hedge) == exchange.mark_price(inverse("BTCUSD_PERP"))
