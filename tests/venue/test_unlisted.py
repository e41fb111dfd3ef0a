"""A venue that knows no such contract for a moment: what is listed is for the list of markets to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.clock import SystemClock
from keeper.core.model import Contracts, InstrumentId, Intent, Outcome, OutcomeState, Snapshot
from keeper.execute import OrderExecutor
from keeper.journal.sql import SqlJournal
from keeper.venue.base import Ambiguous, LookupFailed
from tests.support.desk import D
from tests.support.gate import GateDesk, error
from tests.venue.helpers import marketable, opened
from tests.venue.order_stories import over

SYMBOL = "BTC/USDT:USDT"


async def test_a_passing_no_such_contract_ends_no_order_that_was_taken_in(tmp_path: Path) -> None:
    clock = SystemClock()
    journal = await SqlJournal.open(f"sqlite:///{tmp_path / 'keeper.db'}")
    async with GateDesk() as desk, opened(over(desk)) as venue:
        run = await journal.start_run("testnet", "digest", clock.now_ms())
        executor = OrderExecutor({"main": venue.trader}, journal, clock)
        sent = await marketable(venue, SYMBOL, "100")
        unknown = Outcome(sent.client_id, OutcomeState.UNKNOWN, text="sent; no answer recorded")
        intent = Intent(sent, Contracts(D(0)), run.number, 1, clock.now_ms(), unknown)
        await journal.intent(intent)
        desk.lose_answers()
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        looked = Snapshot(clock.now_ms(), 0.0, 0.0, {}, {}, (), {}, {}, (), (), (), {}, {}, ())
        desk.answer(error("CONTRACT_NOT_FOUND"), path=f"/orders/t-{sent.client_id}", times=2)
        assert venue.observer.instrument(SYMBOL).id == sent.instrument, "it is listed all the while"
        for vouched in (False, True):
            outcome = await executor.resolve(intent, looked, vouched=vouched)
            assert (outcome.state, "CONTRACT_NOT_FOUND" in outcome.text) == (OutcomeState.UNKNOWN, True)
            assert len(await journal.unresolved()) == 1
        outcome = await executor.resolve(intent, looked, vouched=True)
        assert (outcome.state, outcome.filled) == (OutcomeState.FILLED, sent.contracts)
    await journal.close()


@pytest.mark.parametrize(("symbol", "unlisted"), [("ETH/USDT:USDT", True), (SYMBOL, False)])
async def test_only_what_no_list_of_markets_has_is_unlisted(symbol: str, unlisted: bool) -> None:
    async with GateDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error("CONTRACT_NOT_FOUND"), path="/orders/t-" + "a" * 28)
        found = await venue.trader.lookup(InstrumentId("main", symbol), "a" * 28, None)
        assert isinstance(found, LookupFailed)
        assert found.unlisted is unlisted
