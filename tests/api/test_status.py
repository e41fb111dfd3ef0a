"""``keeper status``, ``pause`` and ``resume`` against a real API on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.commands.roll import roll_now
from keeper.commands.status import flatten, pause, resume, status
from keeper.commands.target import TargetFlags, target
from keeper.errors import ConfigError, KeeperError, UnsafeError
from tests.api.running import TOKEN, PaperDaemon, running

CONFIG = Path(__file__).with_name("keeper.toml").read_text(encoding="utf-8")


@pytest.fixture
def daemon() -> PaperDaemon:
    return PaperDaemon()


@pytest_asyncio.fixture(loop_scope="function")
async def config(daemon: PaperDaemon, tmp_path: Path) -> AsyncIterator[Path]:
    """The config of a keeper that runs."""
    async with running(daemon) as where:
        yield written(tmp_path, where, TOKEN)


def written(folder: Path, bind: str, token: str | None) -> Path:
    """A config, and beside its journal a token where there is one."""
    path = folder / "keeper.toml"
    path.write_text(CONFIG.replace("BIND", bind), encoding="utf-8")
    if token is not None:
        (folder / "keeper.token").touch(0o600)
        (folder / "keeper.token").write_text(token + "\n", encoding="utf-8")
    return path


async def test_status_draws_a_picture_without_colours_in_a_pipe(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(status, config, False)
    picture = capsys.readouterr().out
    assert "\x1b" not in picture
    for words in (
        "keeper 0.1.0 · run 3 since 2026-11-20T07:59:00Z",
        "12 cycles, the last one completed 2026-11-20T08:00:00Z",
        "0 / 0.6",
        "act 0.05 halt 0.5",
        "paused",
        "sell 3 contracts",
        "venue main: ok",
        "venue other: not ok: no answer",
        "alerts to log: 4 delivered",
    ):
        assert words in picture
    assert max(map(len, picture.splitlines())) <= 100


async def test_status_as_json_is_one_document_and_nothing_else(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(status, config, True)
    told = capsys.readouterr()
    assert json.loads(told.out) == daemon.state()
    assert told.err == ""


async def test_one_hedge_or_all_of_them_are_paused_and_resumed(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(pause, config, "btc")
    await asyncio.to_thread(resume, config, None)
    assert daemon.told == ["pause btc", "resume btc", "resume eth"]
    assert "btc: paused; no order is sent for it" in capsys.readouterr().out


async def test_in_a_dry_run_nothing_is_said_to_trade(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPER_MODE", "dry-run")
    await asyncio.to_thread(resume, config, "btc")
    await asyncio.to_thread(flatten, config, "btc", True)
    assert daemon.told == ["resume btc", "flatten btc"]
    told = capsys.readouterr().out
    assert "btc: resumed; it plans again" in told
    assert "in dry-run nothing is bought back\n" in told, "into a pipe no line is broken"


def _hung_up(*_: object) -> str:
    raise EOFError


async def test_flatten_asks_first_and_without_a_terminal_wants_to_be_told(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(ConfigError, match="--yes") as caught:
        await asyncio.to_thread(flatten, config, "btc", False)
    assert caught.value.exit_code == 2, "the command line lacks a word, and nothing else is wrong"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", _hung_up)
    with pytest.raises(KeeperError, match="nothing was done"):
        await asyncio.to_thread(flatten, config, "btc", False)
    assert daemon.told == []
    await asyncio.to_thread(flatten, config, "btc", True)
    assert daemon.told == ["flatten btc"]
    assert "target zero until it is resumed" in capsys.readouterr().out


async def test_a_name_that_is_not_there_is_told_with_the_near_one(config: Path, daemon: PaperDaemon) -> None:
    told = r"no hedge is named 'btcc' \(did you mean \"btc\"\?\); it knows: btc, eth"
    for command in (pause, resume, partial(flatten, confirmed=True)):
        with pytest.raises(ConfigError, match=told) as caught:
            await asyncio.to_thread(command, config, "btcc")
        assert caught.value.exit_code == 2, "the name was wrong, and nothing else"
    with pytest.raises(ConfigError, match=told):
        await asyncio.to_thread(target, config, "btcc", TargetFlags(ratio="0.3"), False)
    with pytest.raises(ConfigError, match=told):
        await asyncio.to_thread(roll_now, config, "btcc", None, True, None, None, False)
    assert daemon.told == []
    daemon.names = ("btc",)  # the keeper that runs was started before the config was changed
    with pytest.raises(KeeperError, match="pause: done for btc; not for eth: no hedge is named 'eth'"):
        await asyncio.to_thread(pause, config, None)


async def test_a_target_is_set_and_what_it_means_is_said(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(target, config, "btc", TargetFlags(ratio="0.3", over="6h", steps="4"), False)
    told = capsys.readouterr().out
    for words in (
        "btc: target ratio 0.3, set by the operator",
        "moved from ratio 0.6 to ratio 0.3 in 4 steps, there at 2026-11-20T14:00:00Z",
        "the configuration's ratio 0.6 does not count until:",
        "--configured",
        "paused: it follows once it is resumed",
    ):
        assert words in told
    await asyncio.to_thread(target, config, "btc", TargetFlags(configured=True), True)
    assert json.loads(capsys.readouterr().out)["target_set_by"] == "configuration"
    assert daemon.told == ["target set 0.3 over 21600000 in 4: btc", "target config 0 over 0 in None: btc"]
    await asyncio.to_thread(target, config, "btc", TargetFlags(ratio="0.8999721296296296296296"), False)
    assert "target ratio 0.89997213, set by the operator" in capsys.readouterr().out


async def test_without_a_flag_it_says_where_the_target_is(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(target, config, "btc", TargetFlags(), False)
    assert "btc: target ratio 0.6, set by the configuration" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no hedge is named 'xrp'; it knows: btc"):
        await asyncio.to_thread(target, config, "xrp", TargetFlags(), False)
    assert daemon.told == []


async def test_flags_that_make_no_sense_are_the_command_lines_fault(config: Path, daemon: PaperDaemon) -> None:
    for flags, text in (
        (TargetFlags(ratio="0.3", add="0.1"), "has ratio and add"),
        (TargetFlags(over="6h"), "has none"),
        (TargetFlags(ratio="30 %"), '"0.3"'),
        (TargetFlags(scale="0.5", steps="2"), "steps needs a time"),
    ):
        with pytest.raises(ConfigError, match=text) as caught:
            await asyncio.to_thread(target, config, "btc", flags, False)
        assert caught.value.exit_code == 2
    with pytest.raises(ConfigError, match="outside of min_ratio"):  # it is the keeper that says so, of the same fault
        await asyncio.to_thread(target, config, "btc", TargetFlags(ratio="1.5"), False)
    assert daemon.told == []


def test_what_is_true_of_every_hedge_is_said_once(tmp_path: Path, unused_tcp_port: int) -> None:
    bind = f"127.0.0.1:{unused_tcp_port}"
    with pytest.raises(KeeperError) as caught:
        pause(written(tmp_path, bind, TOKEN), None)
    assert str(caught.value).count("no keeper is listening") == 1
    assert str(caught.value).startswith(f"no keeper is listening on {bind}")


def test_where_no_keeper_runs_the_message_says_how_to_start_one(tmp_path: Path, unused_tcp_port: int) -> None:
    bind = f"127.0.0.1:{unused_tcp_port}"
    with pytest.raises(KeeperError, match=r"has run yet.*keeper run -c") as never:
        status(written(tmp_path, bind, None), False)
    assert never.value.exit_code == 1
    with pytest.raises(KeeperError, match=f"no keeper is listening on {bind}"):
        status(written(tmp_path, bind, TOKEN), True)


async def test_a_token_of_another_keeper_and_one_that_others_can_read(config: Path) -> None:
    token_file = config.with_name("keeper.token")
    token_file.write_text("the-token-of-another-keeper", encoding="utf-8")
    with pytest.raises(KeeperError, match="refuses this token"):
        await asyncio.to_thread(status, config, False)
    token_file.chmod(0o644)
    with pytest.raises(UnsafeError, match="chmod 600"):
        await asyncio.to_thread(status, config, False)


def test_a_config_that_is_wrong_ends_with_its_own_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        status(tmp_path / "nowhere.toml", False)


async def test_a_roll_is_ordered_of_the_running_keeper(
    config: Path, daemon: PaperDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(roll_now, config, "btc", None, True, "BTC/USDT:USDT-270326", None, False)
    assert daemon.told == ["roll to BTC/USDT:USDT-270326 from None: btc"]
    told = capsys.readouterr().out
    assert "btc: rolls from main:BTC/USDT:USDT to main:BTC/USDT:USDT-270326, slice by slice inside its band\n" in told
    assert "paused: it goes on once it is resumed" in told
    with pytest.raises(ConfigError, match="btc cannot be rolled to nowhere"):
        await asyncio.to_thread(roll_now, config, "btc", None, True, "nowhere", None, False)
    with pytest.raises(ConfigError, match="rolls one hedge: name it"):
        await asyncio.to_thread(roll_now, config, None, None, True, None, None, False)
