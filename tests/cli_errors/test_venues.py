"""Venues that are wrong, over sockets, on both grounds: what each command says, and that it sent nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli_errors.support import ROOT, in_process, judge
from tests.cli_errors.venues import OPENERS, Stage, staged
from tests.e2e.grounds import config_text, environment, hedge_toml, venue_toml

PLAN, CONNECT, RUN = ("plan",), ("check", "--connect"), ("run",)
ALL = (PLAN, CONNECT, RUN)


@pytest.fixture(scope="module", params=sorted(OPENERS))
def opened(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(request.param) as stage:
        yield stage


@dataclass(slots=True)
class Desk:
    """A configuration for the venue of this test, and commands that read it."""

    stage: Stage
    folder: Path
    environ: dict[str, str]

    @property
    def file(self) -> Path:
        return self.folder / "keeper.toml"

    def write(self, hedges: str = "", *, head: str = 'mode = "testnet"', swap: tuple[str, str] = ("", "")) -> None:
        text = config_text(self.stage.ground, self.folder, hedges or hedge_toml(ratio="0.6"), head=head)
        self.file.write_text(re.sub(*swap, text) if swap[0] else text)

    def keeper(self, *line: str, **environ: str) -> Any:
        return in_process(*line, "-c", str(self.file), environ={**self.environ, **environ})

    def refused(self, line: tuple[str, ...], code: int, *says: str, **environ: str) -> str:
        """The command ends with ``code``, names the file and says this; no order was asked for."""
        done = self.keeper(*line, **environ)
        judge(done.exit_code, done.stdout, done.stderr, expected=code, says=(str(self.file), *says), where=line)
        if line[0] == "plan":
            assert done.stdout == ""
        for text in (*self.environ.values(), *environ.values()):
            assert not text or text.startswith("/") or text not in done.output, "a credential is shown"
        assert self.stage.now(self.stage.trouble.orders_asked) == 0
        return str(done.stderr)


@pytest.fixture
def desk(opened: Stage, tmp_path: Path) -> Desk:
    opened.now(opened.trouble.well)
    made = Desk(opened, tmp_path, {**environment(opened.ground), "XDG_STATE_HOME": str(tmp_path / "state")})
    made.write()
    return made


def asked(desk: Desk) -> int:
    return len(desk.stage.now(desk.stage.ground.requests))


# -- what cannot be used: exit 3 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"), [("API_KEY", "planted-bad-key-123"), ("API_SECRET", "planted-bad-secret-123")]
)
def test_bad_credentials_name_where_they_came_from(desk: Desk, variable: str, value: str) -> None:
    name = f"KEEPER_VENUES__MAIN__{variable}"
    for line in ALL:
        desk.refused(line, 3, "venues.main: the venue refuses the credentials", name, **{name: value})
    (desk.folder / "key").write_text(value + "\n")
    desk.write(swap=(r"(exchange = .*)", rf'\1\n{variable.lower()}_file = "key"'))
    if variable == "API_KEY":
        desk.refused(PLAN, 3, "refuses the credentials", "api_key_file", **{name: ""})


def test_a_venue_that_refuses_the_key_hides_no_other_one(desk: Desk) -> None:
    ground = desk.stage.ground
    hedges = hedge_toml(ratio="0.6") + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH", venue="other")
    desk.write(venue_toml(ground, "other") + hedges)
    refused = {name: f"planted-bad-{name[-6:]}-123" for name in environment(ground, "other")}
    name = "KEEPER_VENUES__OTHER__API_KEY"
    says = (str(desk.file), "venues.other: the venue refuses the credentials", name)
    for line in (("plan", "--json"), ("stress", "--moves=10", "--json"), PLAN):
        done = desk.keeper(*line, **refused)
        judge(done.exit_code, done.stdout, done.stderr, expected=3, says=says, where=line)
        if line == PLAN:
            assert "btc: main:BTC/USDT:USDT" in done.stdout
            assert "credentials_refused" in done.stdout
            continue
        btc, eth = json.loads(done.stdout)["hedges"]
        told = [each["text"] for each in eth["reasons"] if each["code"] == "credentials_refused"]
        assert any("other" in text and "check the key, what it may do" in text for text in told), eth["reasons"]
        assert "credentials_refused" not in {each["code"] for each in btc["reasons"]}
        if line[0] == "plan":
            assert (btc["decision"], btc["drift_base"], len(btc["orders"])) == ("rebalance", "3", 1)
            assert (eth["decision"], eth["spot_base"], eth["futures_base"]) == ("hold", "40", None)
        else:
            assert [each["value"] is None for each in (btc, eth)] == [False, True]
        assert not any(value in done.output for value in refused.values())
    for line in (CONNECT, RUN):
        desk.refused(line, 3, *says[1:], **refused)
    both = {**refused, **dict.fromkeys(environment(ground), "planted-bad-main-123")}
    desk.refused(PLAN, 3, "venues.main: the venue refuses the credentials", **both)
    assert desk.stage.now(desk.stage.trouble.orders_asked) == 0


@pytest.mark.parametrize("milliseconds", [-60_000, 60_000])
def test_a_wrong_clock(desk: Desk, milliseconds: int) -> None:
    desk.stage.now(lambda: desk.stage.trouble.skew(milliseconds))
    for line in ALL if milliseconds < 0 else (PLAN,):
        desk.refused(line, 3, "venues.main: the venue refuses our time", "set this machine's clock")


@pytest.mark.parametrize(("status", "body"), [(503, "<html>sorry</html>"), (200, "<html>maintenance</html>")])
def test_an_answer_that_is_none(desk: Desk, status: int, body: str) -> None:
    desk.stage.now(lambda: desk.stage.trouble.answer(status, body))
    says = "503" if status == 503 else "no JSON"
    for line in ALL:
        desk.refused(line, 3, "venues.main: the venue cannot be used", says, "urls.api", "the venue's status")


@pytest.mark.parametrize("line", [PLAN, CONNECT, ("plan", "--json")], ids=str)
def test_a_closed_port(desk: Desk, line: tuple[str, ...]) -> None:
    desk.write(swap=(r"127\.0\.0\.1:(?!0\")\d+", "127.0.0.1:1"))
    desk.refused(line, 3, "venues.main: the venue cannot be used", "check the network", "urls.api")
    assert asked(desk) == 0


def test_run_tries_for_as_long_as_it_was_told(desk: Desk) -> None:
    if desk.stage.ground.exchange_id != "bybit":
        pytest.skip("the same code, and seconds of waiting")
    desk.write(swap=(r"127\.0\.0\.1:(?!0\")\d+", "127.0.0.1:1"))
    desk.file.write_text(desk.file.read_text().replace("start_patience_seconds = 1", "start_patience_seconds = 2.5"))
    began = time.perf_counter()
    said = desk.refused(RUN, 3, "venues.main: the venue cannot be used (tried for 2 s)")
    assert time.perf_counter() - began >= 2
    assert said.count("venue_not_there_yet") == 1


# -- what the venue does not have: exit 2 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "asset", "says"),
    [
        ("BTC/USTD:USTD", "BTC", ('has no contract "BTC/USTD:USTD"', "BTC/USDT:USDT")),
        ("BTCUSDT", "BTC", ('has no contract "BTCUSDT"', "BTC/USDT:USDT")),
        ("DOGE/USDT:USDT", "DOGE", ('has no contract "DOGE/USDT:USDT"', "the nearest are")),
        ("BTC/USDT", "BTC", ("names a spot market", 'as in "main:BTC/USDT:USDT"')),
    ],
)
def test_a_symbol_that_is_no_contract_here(desk: Desk, symbol: str, asset: str, says: tuple[str, ...]) -> None:
    desk.write(hedge_toml(symbol, asset=asset))
    for line in ALL if symbol == "BTCUSDT" else (PLAN,):
        said = desk.refused(line, 2, 'hedges[0].instrument (hedge "btc")', *says)
        assert said.count("BTC/USD:BTC") <= 1, "the near names are told once"


@pytest.mark.parametrize("asset", ["DOGE", "btc", "ETH"])
def test_an_asset_that_its_instrument_does_not_hedge(desk: Desk, asset: str) -> None:
    desk.write(hedge_toml(asset=asset))
    for line in ALL if asset == "DOGE" else (PLAN,):
        desk.refused(line, 2, 'hedges[0].asset (hedge "btc")', f"{asset} is not what BTC/USDT:USDT hedges", "beta")


def test_a_wallet_that_the_venue_does_not_have(desk: Desk) -> None:
    desk.write(hedge_toml(spot='["main", "main.eran"]'))
    for line in ALL:
        desk.refused(
            line, 2, 'hedges[0].spot[1] (hedge "btc"): main has no wallet "eran"', "did you mean earn", '"main.funding"'
        )


def test_every_fault_of_every_hedge_at_once(desk: Desk) -> None:
    desk.write(hedge_toml("BTC/USTD:USTD") + hedge_toml("ETH/USDT:USDT", name="eth", asset="SOL"))
    desk.refused(PLAN, 2, "hedges[0].instrument", 'hedges[1].asset (hedge "eth")')


# -- what is unsafe --------------------------------------------------------------------------------------------------


def shown(desk: Desk, *codes: str) -> dict[str, Any]:
    """A plan that could look: exit 0, one JSON document, the figures, the reasons, and no order."""
    done = desk.keeper("plan", "--json")
    assert done.exit_code == 0, done.stderr
    (hedge,) = json.loads(done.stdout)["hedges"]
    assert (hedge["exposure_base"], hedge["drift_base"]) == ("5", "3")
    assert (hedge["decision"], hedge["orders"]) == ("hold", [])
    assert set(codes) <= {reason["code"] for reason in hedge["reasons"]}
    human = desk.keeper("plan")
    assert all(code in human.stdout for code in codes)
    assert asked(desk) > 0
    return dict(hedge)


def test_a_key_that_may_withdraw(desk: Desk) -> None:
    desk.stage.now(desk.stage.trouble.may_withdraw)
    shown(desk, "withdrawal_permission")
    desk.refused(RUN, 4, "venues.main: the key may withdraw", "make one at the venue")
    done = desk.keeper(*CONNECT)
    assert done.exit_code == 4
    assert "fail main: the key may withdraw" in done.stdout


def test_an_account_in_two_sided_mode(desk: Desk) -> None:
    desk.stage.now(desk.stage.trouble.two_sided)
    shown(desk, "position_mode")
    done = desk.keeper(*CONNECT)
    assert done.exit_code == 4
    assert "fail main: position mode is hedge mode" in done.stdout


def test_a_key_that_may_only_read(desk: Desk) -> None:
    desk.stage.now(desk.stage.trouble.read_only)
    shown(desk, "no_trade_permission")
    done = desk.keeper(*CONNECT)
    assert done.exit_code == 4
    assert "fail main: the key may not trade futures" in done.stdout


def test_a_leverage_that_is_not_what_the_config_says(desk: Desk) -> None:
    before = desk.stage.now(desk.stage.trouble.leverage)
    desk.write(hedge_toml(ratio="0.6", more="leverage = 7"))
    shown(desk, "settings_mismatch")
    done = desk.keeper(*CONNECT)
    assert (done.exit_code, f"leverage is {before} and the config says 7" in done.stdout) == (4, True)
    assert desk.stage.now(desk.stage.trouble.leverage) == before, "looking sets nothing"


def run_until(desk: Desk, event: str) -> tuple[int, str]:
    """``keeper run`` as a process that is told to end when its log has this; its exit code and its log."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    environ = {**kept, **desk.environ, "PYTHONPATH": str(ROOT)}
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "keeper", "run", "-c", str(desk.file)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if f'"event": "{event}"' in line:
                process.send_signal(signal.SIGTERM)
    return process.returncode, "".join(lines)


def test_run_sets_the_leverage_and_reads_it_back(desk: Desk) -> None:
    desk.write(hedge_toml(ratio="0", more="leverage = 7"))
    code, said = run_until(desk, "api")
    assert code == 0, said
    assert "leverage is 7" in said
    assert desk.stage.now(desk.stage.trouble.leverage) == Decimal(7)


def test_a_start_that_waits_for_its_venue_ends_when_it_is_told(desk: Desk) -> None:
    if desk.stage.ground.exchange_id == "bybit":
        pytest.skip("the same code, and a process more")
    desk.write(swap=(r"127\.0\.0\.1:(?!0\")\d+", "127.0.0.1:1"))
    desk.file.write_text(desk.file.read_text().replace("start_patience_seconds = 1", "start_patience_seconds = 60"))
    code, said = run_until(desk, "venue_not_there_yet")
    assert code == 0, said
    assert "before the first turn; no order was sent" in said
    assert "Traceback" not in said


# -- and when nothing is wrong ---------------------------------------------------------------------------------------


FIGURES = (
    *("spot_base", "collateral_base", "exposure_base", "futures_base", "beta", "hedge_ratio", "target_ratio"),
    *("target_base", "drift_base", "drift_ratio", "drift_notional"),
)
FIGURE_KEYS = [*FIGURES[:7], "target", *FIGURES[7:]]
HEDGE_KEYS = [
    "name",
    "asset",
    "instrument",
    *FIGURE_KEYS,
    "decision",
    "reasons",
    "orders",
    "residual_base",
    "legs",
    "margin",
]
ORDER_KEYS = [
    *("symbol", "side", "contracts", "amount_base", "notional", "type", "time_in_force", "price", "reduce_only"),
]
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")


def test_the_json_of_a_plan_is_the_contract(desk: Desk) -> None:
    """One document on stdout and nothing else; logs on stderr; every key, in order, every number a plain decimal."""
    desk.write(hedge_toml(ratio="0.6") + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH"))
    done = desk.keeper("plan", "--json", KEEPER_LOG__LEVEL="debug")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == ["mode", "taken_at", "hedges"]
    assert document["mode"] == "testnet"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["taken_at"])
    for hedge in document["hedges"]:
        assert list(hedge) == HEDGE_KEYS
        for name in (*FIGURES, "residual_base"):
            assert DECIMAL.fullmatch(hedge[name]), (name, hedge[name])
        assert all(list(reason) == ["code", "text"] for reason in hedge["reasons"])
        (order,) = hedge["orders"]
        assert list(order) == ORDER_KEYS
        assert all(DECIMAL.fullmatch(order[name]) for name in ("contracts", "amount_base", "notional", "price"))
        assert (order["type"], order["time_in_force"], order["reduce_only"]) == ("limit", "IOC", False)
    btc = document["hedges"][0]
    assert [btc[name] for name in FIGURES] == ["5", "0", "5", "0", "1", "0", "0.6", "-3", "3", "0.6", "195000"]
    assert btc["reasons"] == [{"code": "drift_above_act", "text": "drift 0.60 is above act 0.05"}]
    assert (btc["orders"][0]["contracts"], btc["orders"][0]["notional"], btc["residual_base"]) == ("3", "195000", "0")
    slip = 1 - Decimal(btc["orders"][0]["price"]) / 65000
    assert Decimal("0.0009") < slip < Decimal("0.0013"), "a tenth of a percent below the bid"
    for line in done.stderr.splitlines():
        assert json.loads(line)["level"], "only logs go to standard error"
    assert desk.stage.now(desk.stage.trouble.orders_asked) == 0


def test_check_connect_tells_what_the_venue_says(desk: Desk) -> None:
    done = desk.keeper(*CONNECT)
    assert done.exit_code == 0, done.output
    for part in (
        "ok   main: clock is", "ok   main: read,", "Ready: ", "position mode is one-way", "the key may trade futures",
        "the key may not withdraw", "margin mode cross", "hedges.btc.max_slippage = 0.001   (default)",
    ):  # fmt: skip
        assert part in done.stdout, part
    assert {method for method, _ in desk.stage.now(desk.stage.ground.requests)} == {"GET"}
    assert sorted(path.name for path in desk.folder.iterdir()) == ["keeper.toml"], "looking writes nothing"


def test_an_api_port_in_use(desk: Desk) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        desk.file.write_text(desk.file.read_text().replace('bind = "127.0.0.1:0"', f'bind = "{address}"'))
        done = desk.keeper("run")
    judge(done.exit_code, done.stdout, done.stderr, expected=1, says=(address, "in use already", "[api] bind"))
    assert desk.stage.now(desk.stage.trouble.orders_asked) == 0
