"""What people and scripts meet: help, versions, exit codes, one clear message, and never a secret."""

from __future__ import annotations

import asyncio
import inspect
import re
import stat
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keeper import __version__, cli
from keeper.commands import check as check_module
from keeper.commands import loading
from keeper.config import BandConfig, HedgeConfig, load_config
from keeper.config.models import SECTIONS
from keeper.core.courses import Course
from keeper.core.model import HedgeMemory
from keeper.core.targets import Target
from keeper.errors import ConfigError, KeeperError, UnsafeError, VenueStartError
from keeper.journal.sql import SqlJournal
from tests.cli.support import API_KEY, API_SECRET, CREDENTIALS, keeper, process

COMMANDS = (
    *("init", "demo", "run", "plan", "size", "stress", "check", "status", "pause", "resume", "target", "history"),
    *("roll", "sim"),
)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "keeper.toml"
    assert keeper("init", str(path)).exit_code == 0
    return path


def test_help_lists_every_command_and_where_to_start() -> None:
    result = keeper("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command in result.stdout
    assert "--install-completion" in result.stdout
    assert "Start here" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = keeper(command, "--help")
    assert result.exit_code == 0
    assert f"keeper {command}" in result.stdout
    assert "Example" in result.stdout


def test_version() -> None:
    result = keeper("--version")
    assert (result.exit_code, result.stdout) == (0, f"keeper {__version__}\n")


def test_help_waits_for_no_heavy_library() -> None:
    code = (
        "import sys, keeper.cli\n"
        "try: keeper.cli.app(['--help'], prog_name='keeper')\n"
        "except SystemExit: pass\n"
        "heavy = {'ccxt', 'sqlalchemy', 'fastapi', 'pydantic', 'structlog', 'apprise'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    import os
    import subprocess

    root = str(Path(__file__).parents[2])
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", ["frobnicate", "plan --frob", "history --limit 0", "sim --port x"])
def test_usage_errors_exit_2_on_stderr(line: str) -> None:
    result = keeper(*line.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage" in result.stderr


def test_init_writes_a_private_file_and_says_what_next(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keeper.toml"
    result = keeper("init", str(path))
    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for step in ("keeper check", "keeper plan", "keeper run", "KEEPER_VENUES__MAIN__API_KEY"):
        assert step in result.stdout
    path.write_text("mine")
    refused = keeper("init", str(path))
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert path.read_text() == "mine"
    path.chmod(0o644)
    assert keeper("init", str(path), "--force").exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert 'mode = "dry-run"' in path.read_text()


def test_init_where_nothing_can_be_written() -> None:
    result = keeper("init", "/proc/nowhere/keeper.toml")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_check_says_where_a_halt_can_never_strike(config_file: Path) -> None:
    text = config_file.read_text(encoding="utf-8")
    said = "hedges.btc.band.halt: "
    fine = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    assert fine.exit_code == 0
    assert said not in fine.stdout  # what init writes can strike
    for ratio, halt, warns in (("0.5", "0.5", True), ("0.5", "0.49", False), ("0.3", "0.4", True), ("0", "0.4", False)):
        changed = text.replace('ratio = "0.5"', f'ratio = "{ratio}"').replace('halt = "0.30"', f'halt = "{halt}"')
        config_file.write_text(changed, encoding="utf-8")
        told = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
        assert told.exit_code == 0
        assert (said in told.stdout) is warns, (ratio, halt)
        if warns:
            assert f"the largest drift is ratio, {ratio}" in told.stdout


def test_check_shows_the_warn_that_is_in_force(config_file: Path) -> None:
    text = config_file.read_text(encoding="utf-8")
    config_file.write_text(text.replace('warn = "0.02", act = "0.05"', 'act = "0.01"'), encoding="utf-8")
    told = keeper("check", "-c", str(config_file), environ=CREDENTIALS).stdout
    assert "hedges.btc.band.warn = 0.01   (default)" in told


def test_check_says_that_a_target_was_set_and_the_files_does_not_count(config_file: Path) -> None:
    async def set_one() -> None:
        journal = await SqlJournal.open(f"sqlite:///{config_file.parent / 'keeper.db'}")
        goal = Target.ratio(Decimal("0.3"))
        await journal.memory("btc", HedgeMemory(course=Course(goal, goal, 0)))
        await journal.close()

    asyncio.run(set_one())
    told = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    assert told.exit_code == 0
    assert (
        "ratio 0.3 was set with keeper target; the file's ratio 0.5 does not count until: keeper target btc"
        in told.stdout
    )


def test_check_tells_what_is_in_force_and_no_secret(config_file: Path) -> None:
    result = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    assert result.exit_code == 0, result.stderr
    assert "mode dry-run" in result.stdout
    assert "loop.poll_seconds = 5   (default)" in result.stdout
    assert "hedges.btc.ratio = 0.5\n" in result.stdout
    assert "hedges.btc.assets = [BTC]\n" in result.stdout
    assert "journal.url = sqlite:///keeper.db\n" in result.stdout
    assert "leverage and margin_mode not given" in result.stdout
    assert "--connect" in result.stdout
    assert API_KEY not in result.output
    assert API_SECRET not in result.output


def test_check_prints_every_key_that_there_is(config_file: Path) -> None:
    result = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    shown = {line.split(" = ")[0].strip() for line in result.stdout.splitlines() if " = " in line}
    tables = {key.rpartition(".")[0] for key in shown}  # a table is shown by its keys
    for section, model in SECTIONS.items():
        assert {f"{section}.{name}" for name in model.model_fields} <= shown | tables
    assert {f"hedges.btc.{name}" for name in HedgeConfig.model_fields} - shown == {
        *("hedges.btc.name", "hedges.btc.asset", "hedges.btc.band", "hedges.btc.roll", "hedges.btc.execution")
    }
    assert {line for line in shown if ".execution." in line} == {"hedges.btc.execution.style"}, "it has no other"
    assert {f"hedges.btc.band.{name}" for name in BandConfig.model_fields} <= shown
    assert "safety.kill_file = keeper.kill   (default)" in result.stdout


def test_check_prints_values_as_the_file_writes_them(config_file: Path) -> None:
    top_up = (
        '[venues.main.top_up]\nasset = "USDT"\nsource = "main.spot"\nto = "main.linear"\ntrigger = "0.6"\n'
        'target = "0.4"\nmax_per_transfer = "100"\nmax_per_day = "200"\n'
    )
    text = config_file.read_text(encoding="utf-8") + '[margin]\nblock = "off"\nwarn = "0.4"\n' + top_up
    config_file.write_text(text, encoding="utf-8")
    lines = keeper("check", "-c", str(config_file), environ=CREDENTIALS).stdout.splitlines()
    assert "  venues.main.top_up.asset = USDT" in lines
    assert "  margin.block = off" in lines
    assert "  margin.reduce = off   (default)" in lines
    assert "  margin.min_liquidation_distance.warn = off   (default)" in lines
    assert "  hedges.btc.asset = BTC" not in lines, "assets tells it"
    assert not [line for line in lines if re.search(r"\b(True|False)\b", line)]
    assert "  hedges.btc.tailing = false   (default)" in lines


def test_check_tells_forty_addresses_by_their_host(config_file: Path) -> None:
    table = "".join(f'[venues.main.ccxt.urls.api.part{n}]\nx = "http://127.0.0.1:9/{n}"\n' for n in range(40))
    config_file.write_text(config_file.read_text().replace("[[hedges]]", table + "[[hedges]]"))
    result = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    assert "venues.main.ccxt = { urls = 40 addresses on 127.0.0.1:9 }" in result.stdout


def test_check_masks_what_the_client_table_and_file_names_may_hold(config_file: Path) -> None:
    table = 'api_key_file = "pasted-key-0000"\n[venues.main.ccxt]\nhttpsProxy = "http://me:proxy-pass@127.0.0.1:1"\n'
    config_file.write_text(config_file.read_text().replace("[[hedges]]", table + "[[hedges]]"))
    result = keeper("check", "-c", str(config_file), environ=CREDENTIALS)
    assert result.exit_code == 0, result.stderr
    assert "proxy-pass" not in result.output
    assert "pasted-key" not in result.output


def test_check_says_that_shorts_are_unlimited(config_file: Path) -> None:
    config_file.write_text(config_file.read_text().replace("max_short_notional", "# max_short_notional"))
    result = keeper("check", environ={**CREDENTIALS, "KEEPER_CONFIG": str(config_file)})
    assert "max_short_notional: is not set" in result.stdout


def test_check_without_credentials_names_what_to_set(config_file: Path) -> None:
    result = keeper("check", "-c", str(config_file))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "KEEPER_VENUES__MAIN__API_SECRET" in result.stderr
    assert "api_secret_file" in result.stderr


def test_an_unknown_exchange_is_told_with_file_and_key(config_file: Path) -> None:
    config = load_config(config_file, CREDENTIALS)

    def none_known(exchange: str) -> None:
        raise ConfigError(f"no such exchange {exchange}")

    with pytest.raises(ConfigError, match=r"keeper\.toml: venues\.main\.exchange: no such exchange"):
        loading.check_exchanges(config, none_known)


def test_the_default_config_is_in_the_working_directory(tmp_path: Path) -> None:
    done = process("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "keeper.toml: there is no such file; write one with: keeper init" in done.stderr


def _fail_with(error: BaseException) -> Any:
    def body(*_arguments: object) -> int:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeeperError("a"), 1), (ConfigError("a"), 2), (VenueStartError("a"), 3), (UnsafeError("a"), 4)],
)
def test_errors_have_one_message_and_their_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: KeeperError, code: int
) -> None:
    monkeypatch.setattr(check_module, "check", _fail_with(error))
    result = keeper("check")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: a\n")


def test_an_error_wrapped_by_a_task_group_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = ExceptionGroup("tasks", [ExceptionGroup("inner", [UnsafeError("a second keeper")])])
    monkeypatch.setattr(check_module, "check", _fail_with(wrapped))
    result = keeper("check")
    assert (result.exit_code, result.stderr) == (4, "error: a second keeper\n")


def test_hedge_names_complete(config_file: Path) -> None:
    environ = {
        "KEEPER_CONFIG": str(config_file),
        "_KEEPER_COMPLETE": "complete_bash",
        "COMP_WORDS": "keeper pause b",
        "COMP_CWORD": "2",
    }
    assert process(environ=environ).stdout.split() == ["btc"]


def test_ctrl_c_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "check", _fail_with(KeyboardInterrupt()))
    result = keeper("check")
    assert (result.exit_code, result.output) == (130, "")


def test_an_unexpected_fault_is_one_line_and_a_private_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from keeper import logs

    logs.hide(API_SECRET)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(check_module, "check", _fail_with(RuntimeError(f"boom {API_SECRET}")))
    result = keeper("check")
    assert result.exit_code == 1
    assert "an unexpected RuntimeError: boom ***; the details are in" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    (written,) = tmp_path.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "Traceback" in written.read_text()
    assert API_SECRET not in written.read_text()
    loud = keeper("check", environ={"KEEPER_DEBUG": "1"})
    assert "Traceback" in loud.stderr
    assert API_SECRET not in loud.output


BODIES: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("init", "init", (Path("x"), False), {}),
    ("check", "check", (Path("x"), False), {}),
    ("demo", "demo", (None, None), {}),
    ("run", "run", (Path("x"), False), {}),
    ("plan", "plan", (Path("x"), False), {}),
    ("roll", "roll", (Path("x"), None, None, False), {}),
    ("roll", "roll_now", (Path("x"), None, None, True, None, None, False), {}),
    ("status", "status", (Path("x"), False), {}),
    ("status", "pause", (Path("x"), None), {}),
    ("status", "resume", (Path("x"), None), {}),
    ("history", "history", ("sqlite:///x",), {"hedge": None, "limit": 1, "as_json": False}),
    ("sim", "sim", (0, 0, 1, 1.0), {}),
]


@pytest.mark.parametrize(("module", "name", "arguments", "keywords"), BODIES)
def test_bodies_take_what_the_command_line_gives(
    module: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    function = getattr(import_module(f"keeper.commands.{module}"), name)
    inspect.signature(function).bind(*arguments, **keywords)


def test_history_of_a_kept_journal_needs_no_config(tmp_path: Path) -> None:
    result = keeper("history", "--journal", str(tmp_path / "none.db"))
    assert result.exit_code == 2
    assert "none.db" in result.stderr


def test_history_needs_no_credentials(config_file: Path) -> None:
    result = keeper("history", "-c", str(config_file))
    assert result.exit_code == 2
    assert "there is no journal" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("roll", "bct"), 'did you mean "btc"'),
        (("roll", "--horizon", "0"), "--horizon"),
        (("roll", "--horizon", "a month"), "--horizon"),
        (("roll", "btc", "--to", "perpetual"), "--now"),
        (("roll", "--now", "--horizon", "30"), "--horizon"),
    ],
)
def test_a_roll_of_nothing_is_refused_before_a_venue_is_asked(
    config_file: Path, words: tuple[str, ...], says: str
) -> None:
    result = keeper(*words, "-c", str(config_file), environ=CREDENTIALS)
    assert result.exit_code == 2
    assert says in result.stderr


def test_colour_only_on_a_terminal(config_file: Path) -> None:
    assert "\x1b" not in process("check", "-c", str(config_file)).stderr
    assert cli.app.info.name == "keeper"
