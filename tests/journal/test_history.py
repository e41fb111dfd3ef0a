"""`keeper history`: why did it not trade, what did it send, and what came of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.commands.history import history
from keeper.core.model import Contracts, Outcome, OutcomeState
from keeper.errors import ConfigError, KeeperError
from keeper.journal.base import Event, FundingEntry
from keeper.journal.reader import JournalReader
from tests.journal.story import BTC, NOTHING, SELL, START_MS, cycle, fill, intent, opened, url_of


@pytest.fixture
def journal_url(tmp_path: Path) -> str:
    """One sale between three holds and two, an order that the venue refused, and one settlement."""

    async def told() -> None:
        journal = await opened(tmp_path)
        for number in (1, 2, 3):
            await journal.cycle(cycle(number, drift=f"0.0{number}"), NOTHING)
        await journal.cycle(cycle(4, SELL, drift="0.6"), NOTHING)
        await journal.intent(intent(4))
        filled = Outcome(intent(4).client_id, OutcomeState.FILLED, Contracts(Decimal(3)), Decimal("64935.0"))
        await journal.outcome(filled, START_MS + 20_100)
        await journal.intent(intent(5))
        refused = Outcome(intent(5).client_id, OutcomeState.REJECTED, text="[bold]-2010[/bold]\tno margin")
        await journal.outcome(refused, START_MS + 20_200)
        await journal.fills([dataclasses.replace(fill("t-1"), client_id=intent(4).client_id)])
        await journal.funding([FundingEntry("f-1", BTC, Decimal("1.50"), "USDT", START_MS)])
        for number in (5, 6):
            await journal.cycle(cycle(number), NOTHING)
        await journal.close()

    asyncio.run(told())
    return url_of(tmp_path)


def printed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_a_quiet_time_is_one_line_that_says_why(journal_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(journal_url, hedge=None, limit=20, as_json=False)
    lines = printed(capsys)
    assert lines[:2] == [
        ["# cycles"],
        ["from", "to", "cycles", "hedge", "decision", "exposure_base", "futures_base", "hedge_ratio", "target_ratio",
         "drift_ratio", "why"],
    ]  # fmt: skip
    quiet, sale, after = lines[2:5]
    assert quiet == [
        "2025-11-20T12:00:05.000Z", "2025-11-20T12:00:15.000Z", "3", "btc", "hold", "", "-3", "0.6", "0.6", "0.03",
        "drift 0.01 is within act 0.05 (within_band)",
    ]  # fmt: skip
    assert (sale[2], sale[4], sale[10]) == ("1", "rebalance", "drift 0.60 is above act 0.05 (drift_above_act)")
    assert (after[2], after[4]) == ("2", "hold")


def test_orders_and_fills_say_what_became_of_them(journal_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(journal_url, hedge="btc", limit=20, as_json=False)
    lines = printed(capsys)
    filled, refused = lines[lines.index(["# orders"]) + 2 :][:2]
    assert filled[2:9] == ["main:BTC/USDT:USDT", "sell", "3", "64935", "filled", "3", "64935"]
    assert (refused[6], refused[10]) == ("rejected", "[bold]-2010[/bold] no margin")
    (execution,) = lines[lines.index(["# fills"]) + 2 :][:1]
    assert execution[3:7] == ["1.5", "64935.5", "-0.01 USDT", "t-1"]
    assert lines[-1] == ["main:BTC/USDT:USDT", "1.5", "USDT"]


def test_a_pipe_has_figures_without_a_tail_and_json_all_of_their_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detail = {"verb": "set", "from": None, "to": "ratio 0.3", "over_seconds": 60, "steps": None}

    async def told() -> None:
        journal = await opened(tmp_path)
        await journal.cycle(cycle(1, drift="0.1428571428571428571428571429"), NOTHING)
        await journal.cycle(cycle(2, SELL, drift="0.00000000000000001"), NOTHING)
        await journal.cycle(cycle(3, drift="0.100000"), NOTHING)
        await journal.event(Event("target", "btc", START_MS, json.dumps(detail)))
        await journal.close()

    asyncio.run(told())
    history(url_of(tmp_path), hedge=None, limit=3, as_json=False)
    lines = printed(capsys)
    assert [line[9] for line in lines[2:5]] == ["0.142857142857", "0.00000000000000001", "0.1"]
    [asked] = lines[lines.index(["# targets that were set"]) + 2 :]
    assert asked[5] == "0.016666666667"
    history(url_of(tmp_path), hedge=None, limit=3, as_json=True)
    cycles = json.loads(capsys.readouterr().out)["cycles"]
    assert [row["drift_ratio"] for row in cycles][::2] == ["0.1428571428571428571428571429", "0.100000"]


def test_what_was_chosen_beside_orders_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimate = {"r2": 0.49312, "outside": {"ratio": 0.5121, "low": 0.4, "high": 0.6}}
    slopes = [
        {"asset": "SOL", "method": "ols", "beta": "0.72681", "estimate": estimate, "refused": None},
        {"asset": "ETH", "method": "stated", "beta": "1.1", "estimate": None, "refused": None},
        {"asset": "XRP", "method": "ewma", "beta": None, "estimate": None, "refused": "too little is known"},
    ]
    wallets = {"": {"BTC": "5", "USDT": "100000"}, "linear": {"USDT": "2.50"}}
    positions = {"BTC/USDT:USDT": {"contracts": "-3", "entry": "65000"}}
    moved = {"amount": "10.0", "asset": "USDT", "source": {"venue": "main", "wallet": ""}, "state": "moved"}
    moved["target"] = {"venue": "main", "wallet": "linear"}
    told = (
        ("beta", {"slopes": slopes[:2]}, "SOL 0.7268 (ols, R² 0.493, 0.512 out of sample); ETH 1.1 (stated)"),
        ("beta", {"slopes": slopes[2:]}, "XRP ? (ewma), refused: too little is known"),
        ("paper_account", {"at_ms": 1, "read": None, "wallets": {"": wallets[""]}, "positions": {}},
         "began with BTC 5, USDT 100000"),
        ("paper_account", {"at_ms": 1, "read": [""], "wallets": wallets, "positions": positions},
         "began with BTC 5, USDT 100000, USDT 2.5 in linear, BTC/USDT:USDT -3 at 65000, read of the real account"),
        ("transfer", moved, "10 USDT from main to main.linear: moved"),
        ("later", {"unknown": 1}, '{"unknown": 1}'),
    )  # fmt: skip

    async def written() -> None:
        journal = await opened(tmp_path)
        for place, (kind, detail, _) in enumerate(told):
            await journal.event(Event(kind, "x", START_MS + place, json.dumps(detail)))
        await journal.close()

    asyncio.run(written())
    history(url_of(tmp_path), hedge=None, limit=9, as_json=False)
    lines = printed(capsys)
    shown = lines[lines.index(["# chosen and done beside orders"]) + 2 :]
    assert [line[3] for line in shown] == [words for _, _, words in told]


def test_the_limit_counts_lines_and_keeps_the_newest(journal_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(journal_url, hedge=None, limit=1, as_json=False)
    lines = printed(capsys)
    assert [line[4] for line in lines[2 : lines.index(["# orders"])]] == ["hold"]
    assert lines[lines.index(["# orders"]) + 2][6] == "rejected"


def test_json_is_one_document_with_exact_numbers(journal_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(journal_url, hedge=None, limit=3, as_json=True)
    document = json.loads(capsys.readouterr().out)
    parts = ["journal", "summary", "cycles", "orders", "fills", "funding", "costs", "targets", "events"]
    assert list(document) == parts
    assert document["summary"]["tag"] == "c0ffee"
    assert [row["cycle"] for row in document["cycles"]] == [4, 5, 6]
    first = document["cycles"][0]
    assert (first["taken_at"], first["drift_ratio"], first["collateral_base"]) == (
        "2025-11-20T12:00:20.000Z", "0.6", None,
    )  # fmt: skip
    assert first["reasons"] == [{"code": "drift_above_act", "text": "drift 0.60 is above act 0.05"}]
    order = document["orders"][0]
    assert (order["price"], order["position_before"], order["created_at"]) == (
        "64935.0", "-0.00000001", "2025-11-20T12:00:00.000Z",
    )  # fmt: skip
    assert order["outcome"]["state"] == "filled"
    assert document["fills"][0]["instrument"] == "main:BTC/USDT:USDT"
    assert document["funding"] == [{"instrument": "main:BTC/USDT:USDT", "asset": "USDT", "total": "1.50"}]


def test_json_tells_what_an_order_cost_and_what_is_not_known_of_it(
    journal_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three contracts were sold at the mid of the look and half of the executions are on record."""
    history(journal_url, hedge=None, limit=3, as_json=True)
    document = json.loads(capsys.readouterr().out)
    sold, refused = document["orders"]
    assert sold["cost"] == {
        "style": "market", "arrival_mid": "65000", "expected_slippage": "0.0008", "average_price": "64935.0",
        "slippage": "0.001", "fees": {"USDT": "-0.01"}, "fees_complete": False, "seconds": "20.1",
    }  # fmt: skip
    assert refused["cost"]["slippage"] in ("", None)
    assert refused["cost"]["seconds"] is None
    assert document["costs"] == [
        {
            "hedge": "btc", "orders": 1, "measured": 1, "filled_notional": "195000.1", "mean_slippage": "0.001",
            "fees": {"USDT": "-0.01"}, "fees_complete": False,
        }
    ]  # fmt: skip


def test_on_a_terminal_there_are_tables(
    journal_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "220")
    history(journal_url, hedge=None, limit=20, as_json=False)
    page = capsys.readouterr().out
    assert "6 cycles, 2 orders, 1 fills" in page
    assert "(within_band)" in page
    assert "[bold]-2010[/bold]" in page, "what a venue says is never taken for markup"


def test_a_narrow_terminal_goes_without_figures_so_that_words_have_room(
    journal_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    history(journal_url, hedge=None, limit=20, as_json=False)
    page = capsys.readouterr().out
    assert "exposure" not in page
    assert "(within_band)" in page, "no word is broken"
    bare = re.sub(r"\x1b\[[0-9;]*m", "", page)
    assert [line for line in bare.splitlines() if len(line.rstrip()) > 80] == []


def test_a_journal_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no journal at .*keeper.db; `keeper run` makes it") as missing:
        history(url_of(tmp_path), hedge=None, limit=1, as_json=True)
    assert missing.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_hedge_that_it_does_not_know_is_named_with_those_it_knows(journal_url: str) -> None:
    with pytest.raises(ConfigError, match="no hedge is named 'eth'; it knows: btc"):
        history(journal_url, hedge="eth", limit=1, as_json=False)
    with pytest.raises(ConfigError, match="--limit 0"):
        history(journal_url, hedge=None, limit=0, as_json=False)


def test_a_damaged_journal_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "keeper.db").write_bytes(b"x" * 5000)
    with pytest.raises(KeeperError, match="not a database") as failure:
        history(url_of(tmp_path), hedge=None, limit=1, as_json=False)
    assert failure.value.exit_code == 1


async def test_events_are_read_back_by_kind_and_subject_oldest_first(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    told = [Event("roll", "btc", 1_000 + step, f'{{"step": "{step}"}}') for step in range(3)]
    for event in (*told, Event("roll", "eth", 5_000, "{}"), Event("beta", "btc", 6_000, "{}")):
        await journal.event(event)
    assert await journal.events("roll", "btc", limit=2) == tuple(told[1:])
    assert await journal.events("roll", "sol") == ()
    await journal.close()
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert [event.subject for event in await reader.events("roll", limit=9)] == ["btc", "btc", "btc", "eth"]
        rest = await reader.events(None, limit=2, but=("beta",))
        assert [event.kind for event in rest] == ["roll", "roll"], "as many as are asked for, of what is shown"


def test_what_was_chosen_is_told_with_its_reason_and_kept_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = {
        "name": "btc",
        "decision": "roll",
        "target": "main:BTC/USDT:USDT",
        "reasons": [{"code": "roll_cheapest", "text": "it earns 2.70 % a year"}],
    }

    async def told() -> None:
        journal = await opened(tmp_path)
        await journal.cycle(cycle(1), NOTHING)
        await journal.event(Event("roll", "btc", START_MS, json.dumps(choice)))
        await journal.event(Event("transfer", "eth", START_MS, '{"amount":"1"}'))
        await journal.close()

    asyncio.run(told())
    history(url_of(tmp_path), hedge=None, limit=5, as_json=False)
    lines = printed(capsys)
    assert lines[-2][1:] == ["roll", "btc", "roll to main:BTC/USDT:USDT: it earns 2.70 % a year (roll_cheapest)"]
    assert lines[-1][1:] == ["transfer", "eth", '{"amount":"1"}']
    history(url_of(tmp_path), hedge="btc", limit=5, as_json=True)
    [event] = json.loads(capsys.readouterr().out)["events"]
    assert (event["kind"], event["detail"]) == ("roll", choice)
