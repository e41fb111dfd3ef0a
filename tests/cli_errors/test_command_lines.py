"""A command line that is wrong, and the small things that a shell does to a program."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_errors.support import ROOT, command, edited, in_process, judge, no_id

HALF = "--spot 5 --price 65000 --ratio 0.5 --contract-size 1"
INDEX = "--kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        # no such thing
        ("sise", ("No such command 'sise'", "Did you mean 'size'")),
        ("plan --josn", ("No such option: --josn", "--json")),
        ("--config x plan", ("No such option: --config",)),
        ("check -c", ("'-c' requires an argument",)),
        (f"size {HALF} extra", ("unexpected extra argument", "extra")),
        # size
        ("size", ("--ratio is missing", "--spot is missing", "--price is missing", "--contract-size is missing")),
        ("size --kind index", ("--value is missing", "--index is missing", "--multiplier is missing")),
        (f"size {HALF} --index 5 --value 5", ("--value does not belong to --kind linear", "--index does not belong")),
        (f"size --kind index {HALF}", ("--spot does not belong to --kind index", "--value is missing")),
        (f"size --kind linaer {HALF}", ('did you mean "linear"',)),
        ("size --spot five --price 1 --ratio 1 --contract-size 1", ("--spot is 'five'", "not a finite number")),
        ("size --spot NaN --price 1 --ratio 1 --contract-size 1", ("--spot is 'NaN'",)),
        ("size --spot -inf --price 1 --ratio 1 --contract-size 1", ("--spot is '-inf'",)),
        ("size --spot 1e400 --price 1 --ratio 1 --contract-size 1", ("--spot is '1e400'", "too large to be meant")),
        ("size --spot 1e-400 --price 1 --ratio 1 --contract-size 1", ("--spot is '1e-400'", "more than 24 digits")),
        ("size --spot 5,5 --price 1 --ratio 1 --contract-size 1", ('write a decimal point, "5.5"',)),
        ("size --spot 0x10 --price 1 --ratio 1 --contract-size 1", ("--spot is '0x10'",)),
        ("size --spot ５ --price 1 --ratio 1 --contract-size 1", ("--spot is '５'",)),
        ("size --spot 5 --price -1 --ratio 1 --contract-size 1", ("--price is '-1'", "more than 0")),
        ("size --spot 5 --price 1 --ratio 50% --contract-size 1", ('write it as a share of 1, "0.5"',)),
        ("size --spot 5 --price 1 --ratio 60 --contract-size 1", ("--ratio is '60'", "at most 1")),
        (f"size {HALF} --step -1", ("--step is '-1'", "at least 0")),
        (f"size {HALF} --beta 0", ("--beta is '0'", "more than 0")),
        (f"size {HALF} --min-notional -1", ("--min-notional is '-1'",)),
        (f"size {INDEX} --futures -2", ("--futures is in base units", "--asset-price")),
        # history
        ("history --limit 0", ("--limit", "greater than or equal to 1")),
        ("history --limit many", ("--limit", "valid integer")),
        ("history --journal none/keeper.db", ("there is no journal at", "none/keeper.db")),
        ("history --journal .", ("is a directory; name the file of the journal in it",)),
        ("history --journal=~/none/keeper.db", ("there is no journal at", "/none/keeper.db")),
        ("history --journal mysql://x/y", ('"mysql" is not supported', "sqlite:///PATH")),
        # what asks first has nobody to ask here
        ("flatten", ("asks first", "without a terminal, say so with --yes")),
        ("flatten btc -c none.toml", ("--yes",)),
        # sim and demo
        ("sim --port 70000", ("--port", "65535")),
        ("sim --speed -1", ("--speed", "greater than or equal to 0")),
        ("sim --seed x", ("--seed", "valid integer")),
        ("demo --for -1", ("--for", "greater than or equal to 0")),
        ("demo --for soon", ("--for", "valid number")),
        ("demo --for nan", ("--for",)),
        ("demo --journal none/x.db", ("--journal none/x.db", "create it first")),
        ("demo --journal .", ("--journal .", "name a file")),
        ("init /proc/x/keeper.toml", ("/proc/x/keeper.toml: cannot be written",)),
    ],
    ids=no_id,
)
def test_bad_command_lines_exit_2_and_say_what_to_do(
    line: str, says: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = in_process(*line.split(), environ={})
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=says, where=line)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"size {HALF} --step 1000", "No order: what is left to trade is smaller than one step"),
        (
            "size --spot -5 --price 65000 --ratio 0.5 --contract-size 1",
            "Nothing to hedge: the exposure is not above zero",
        ),
        (f"size {HALF} --futures -2.5", "Nothing to trade: the futures are at their target"),
        (f"size {HALF} --futures -9", "Buy back 6.5 contracts"),
        (f"size {HALF} --futures 3", "Sell 5.5 contracts"),
        ("size --spot 5 --price 65_000 --ratio 0.5 --contract-size 1", "Sell 2.5 contracts"),
    ],
)
def test_odd_and_right(line: str, says: str) -> None:
    done = in_process(*line.split(), environ={})
    assert (done.exit_code, done.stderr) == (0, "")
    assert says in done.stdout


def test_init_says_commands_that_a_shell_takes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "keeper.toml"
    done = in_process("init", str(path), environ={})
    assert done.exit_code == 0
    assert f"keeper check -c '{path}' --connect" in done.stdout
    again = in_process("init", str(path), environ={})
    judge(again.exit_code, again.stdout, again.stderr, expected=2, says=(str(path), "--force"))


GOLDEN = {
    "--spot 5 --price 65000 --ratio 1 --contract-size 1": ("5", "sell", "0"),
    "--spot 5 --price 65000 --ratio 0.5 --contract-size 1 --step 1": ("2", "sell", "0.5"),
    "--spot 3 --price 65000 --ratio 1 --contract-size 1 --futures -5": ("2", "buy", "0"),
    "--kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100": ("1.25", "sell", None),
    "--spot 1.2349 --price 65000 --ratio 1 --contract-size 1 --step 0.001": ("1.234", "sell", "0.0009"),
    "--kind inverse --spot 5 --price 65000 --ratio 1 --contract-size 100 --step 1": ("3250", "sell", "0"),
}


def test_the_golden_numbers_of_real_processes() -> None:
    running = {
        text: subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "keeper", "size", *text.split(), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for text in GOLDEN
    }  # fmt: skip
    for text, process in running.items():
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stderr) == (0, ""), text
        document = json.loads(stdout)
        assert (document["contracts"], document["side"], document["residual_base"]) == GOLDEN[text], text


def test_head_may_close_the_pipe() -> None:
    shell = f"'{sys.executable}' -m keeper size {HALF} | head -n 1"
    done = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.split()[:2] == ["contracts", "2.5"]
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_terminal_without_our_signs_is_no_failure(tmp_path: Path) -> None:
    done = command("init", "keeper.toml", environ={"PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "KEEPER_VENUES__MAIN__API_KEY=?" in done.stdout


def test_narrow_terminals_lose_no_word() -> None:
    done = in_process("size", *HALF.split(), environ={"COLUMNS": "30"})
    assert "amount_base" in done.stdout
    assert "residual_base" in done.stdout
    wrong = command("plan", "--josn", environ={"COLUMNS": "30", "TERM": "xterm"})
    judge(wrong.returncode, wrong.stdout, wrong.stderr, expected=2, says=("--josn", "--json"))


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = command("sim", "--port", port, environ={})
    judge(done.returncode, done.stdout, done.stderr, expected=2, says=(f"--port {port}", "name another, or 0"))


def test_no_keeper_to_talk_to(tmp_path: Path) -> None:
    file = tmp_path / "keeper.toml"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        file.write_text(edited(f'[api]\nbind = "127.0.0.1:{port}"').replace("PORT", "1"))
        for line in (("status",), ("status", "--json"), ("pause", "btc"), ("resume",)):
            done = in_process(*line, "-c", str(file), environ={})
            says = ("no keeper of this config has run yet", f"127.0.0.1:{port}", "keeper run")
            judge(done.exit_code, done.stdout, done.stderr, expected=1, says=says)
    token = tmp_path / "keeper.token"
    token.write_text("t" * 40)
    token.chmod(0o600)
    done = in_process("status", "-c", str(file), environ={})
    judge(done.exit_code, done.stdout, done.stderr, expected=1, says=("no keeper is listening on", "keeper run"))
    token.chmod(0o644)
    done = in_process("status", "-c", str(file), environ={})
    judge(done.exit_code, done.stdout, done.stderr, expected=4, says=(str(token), "chmod 600"))


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    """A file of somebody else's is left as it is: exit 1, and its name."""
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, only words, and many of them. " * 40)
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE t (a)").connection.close()
    for path in (text, other):
        before = path.read_bytes()
        done = in_process("history", "--journal", str(path), environ={})
        assert done.exit_code in (1, 2), done.output
        judge(done.exit_code, done.stdout, done.stderr, expected=done.exit_code, says=(str(path),))
        assert path.read_bytes() == before
