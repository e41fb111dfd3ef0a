"""The whole keeper on a stand-in for Deribit: coin-margined, in USD, orders by GET that are found by their label."""

from __future__ import annotations

from pathlib import Path

from keeper.venue.deribit import DERIBIT
from tests.e2e.grounds import KEY, SECRET, hedge_toml
from tests.process.keepers import FAST, Keeper, free_port, holds, keeping, write_config
from tests.support.deribit import PERPETUAL, DeribitDesk, result
from tests.support.desk import D, Told

SHORT = D(-300_000)
"""Five coins at 60,000, in USD."""


ENV = {"KEEPER_VENUES__MAIN__API_KEY": KEY, "KEEPER_VENUES__MAIN__API_SECRET": SECRET}


def configured(desk: DeribitDesk, folder: Path) -> Path:
    hedge = hedge_toml("BTC/USD:BTC", more='exposure = "equity"')
    return write_config(
        folder,
        f"""
mode = "testnet"
[loop]
poll_seconds = 0.2
start_patience_seconds = 1
read_timeout_seconds = 2
order_timeout_seconds = 1
[journal]
url = "sqlite:///{folder / "keeper.db"}"
[api]
bind = "127.0.0.1:{free_port()}"
{FAST}
[limits]
max_order_notional = "400000"
[venues.main]
exchange = "deribit"
[venues.main.ccxt]
rateLimit = 1
urls = {{ api = "{desk.url}" }}
{hedge}
""",
    )


async def in_order(keeper: Keeper, desk: DeribitDesk) -> None:
    """The short is right and was never deeper, one order made it, and turns that begin now hold."""
    await keeper.until(lambda: desk.positions.get(PERPETUAL) == SHORT, "a short of five coins")
    before = (await keeper.turns(1))["cycles"]
    await keeper.until_state(lambda state: state["cycles"] > before + 1 and holds(state), "a hold")
    assert (desk.positions[PERPETUAL], desk.worst, len(desk.orders)) == (SHORT, SHORT, 1)
    (row,) = await keeper.orders()
    assert row.intent.client_id == DERIBIT.decode(desk.orders[0].client_id)
    assert row.intent.outcome.filled == D(30_000)


async def test_an_order_whose_answer_and_fill_are_both_lost_is_the_only_one(tmp_path: Path) -> None:
    async with DeribitDesk() as desk:
        desk.lose_answers(None)
        for path in ("/get_order_state_by_label", "/get_order_history_by_instrument"):
            desk.answer(Told(200, result([])), path=path, times=None)
        desk.answer(Told(200, result({"trades": []})), path="/get_user_trades_by_instrument_and_time", times=None)
        async with keeping(configured(desk, tmp_path), ENV) as keeper:
            await keeper.until_reason("unresolved_order")
            await keeper.turns(10)
            assert len(desk.sent()) == 1, "nothing more is sent while one order is unknown"
            desk.heal()
            await in_order(keeper, desk)


async def test_a_wallet_that_reads_zero_closes_no_hedge(tmp_path: Path) -> None:
    async with DeribitDesk() as desk, keeping(configured(desk, tmp_path), ENV) as keeper:
        await in_order(keeper, desk)
        summaries = desk.routes()["GET /api/v2/private/get_account_summaries"]({})
        for row in summaries["result"]["summaries"]:
            row.update(equity=0.0, balance=0.0, margin_balance=0.0)
        desk.answer(Told(200, summaries), path="/get_account_summaries", times=None)
        await keeper.until_reason("unexplained_zero")
        await keeper.turns(5)
        assert len(desk.sent()) == 1
        desk.heal()
        await in_order(keeper, desk)
