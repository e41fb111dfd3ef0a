"""Files that are no files, streams that are closed or full, names that move a cursor: one message and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_errors.support import NEVER, ROOT, command, edited, in_process, judge, state

__all__ = ["state"]
HALF = "size --spot 5 --price 65000 --ratio 0.5 --contract-size 1"


def shell(line: str, cwd: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    return subprocess.run(  # noqa: S603  # our own program
        ["/bin/bash", "-c", line.replace("keeper ", f"'{sys.executable}' -m keeper ")],
        capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
    )  # fmt: skip


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, state: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeper.config.load._PIPE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "keeper.toml")
    done = in_process("check", "-c", str(tmp_path / "keeper.toml"), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=("cannot be read (nothing came out of it",))


def test_a_pipe_that_somebody_writes_to_is_a_configuration(tmp_path: Path, state: dict[str, str]) -> None:
    (tmp_path / "keeper.toml").write_text(edited().replace("PORT", "1"))
    done = shell("keeper check -c <(sleep 0.3; cat keeper.toml)", tmp_path, state)
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete and consistent" in done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pipe.db", "is a pipe or a device; a journal is a file"),
        ("loop.db", "the file cannot be looked at"),
        ("n" * 300, "the file cannot be looked at (File name too long)"),
        ("%00.db", "the file cannot be looked at"),
    ],
)
def test_a_journal_that_is_no_file(name: str, says: str, tmp_path: Path, state: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "loop.db").symlink_to("loop.db")
    (tmp_path / "keeper.toml").write_text(edited(f"keeper.db -> {name}").replace("PORT", "1"))
    for line in ("check", "run", "plan", "history"):
        done = in_process(line, "-c", str(tmp_path / "keeper.toml"), environ=state)
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=("journal", "url: ", says), where=line)
    if "%" not in name:
        done = in_process("history", "--journal", str(tmp_path / name), environ=state)
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(says,))


@pytest.mark.parametrize("line", [("history", "--journal"), ("demo", "--for", "1", "--journal")])
@pytest.mark.parametrize("path", ["~nobody-of-that-name/x.db", "x" * 300, "/dev/full"])
def test_a_journal_named_on_the_command_line(line: tuple[str, ...], path: str) -> None:
    done = in_process(*line, path, environ={})
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=())


def test_a_token_file_that_cannot_be_looked_at(tmp_path: Path, state: dict[str, str]) -> None:
    (tmp_path / "keeper.toml").write_text(edited(f'[api]\ntoken_file = "{"n" * 300}"').replace("PORT", "1"))
    for line in (("status",), ("pause",), ("target", "btc")):
        done = in_process(*line, "-c", str(tmp_path / "keeper.toml"), environ=state)
        judge(done.exit_code, done.stdout, done.stderr, expected=1, says=("could not be read: File name too long",))


def test_names_are_shown_without_moving_the_cursor(tmp_path: Path, state: dict[str, str]) -> None:
    text = edited('"ke\\u001b[2Jy" = 1').replace("PORT", "1") + f"{'long' * 5000} = 1\n"
    (tmp_path / "keeper.toml").write_text(text)
    done = in_process("check", "-c", str(tmp_path / "keeper.toml"), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(r'"ke\u001b[2Jy"', "longlong"))
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 5_000
    gone = in_process("check", "-c", "\x1b[2J.toml", environ=state)
    judge(gone.exit_code, gone.stdout, gone.stderr, expected=2, says=(r"\x1b[2J.toml: there is no such file",))


@pytest.mark.parametrize("line", [f"{HALF} --json", HALF, "--help", "--version", "size --help"])
def test_an_output_that_takes_nothing_more(line: str, tmp_path: Path) -> None:
    full = shell(f"keeper {line} >/dev/full", tmp_path, {})
    judge(full.returncode, full.stdout, full.stderr, expected=1, says=("standard output cannot be written: No space",))
    closed = shell(f"keeper {line} >&-", tmp_path, {})
    assert (closed.returncode, closed.stderr) == (0, "")
    unread = shell(f"set -o pipefail; keeper {line} | head -c 0", tmp_path, {})
    assert (unread.returncode, unread.stderr) == (1, "") or unread.returncode == 0


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_the_exit_code_tells_where_nobody_can_be_told(where: str, tmp_path: Path) -> None:
    done = shell(f"keeper check -c none.toml {where}", tmp_path, {})
    assert done.returncode == 2
    assert not any(word in done.stdout + done.stderr for word in NEVER)


def test_a_closed_stream_leaves_its_number_to_no_file(tmp_path: Path) -> None:
    code = "import os, sys, keeper.stdio as s; s.hold(); sys.exit(os.open('/dev/null', 0) < 3)"
    done = shell(f"'{sys.executable}' -c \"{code}\" <&- >&- 2>&-", tmp_path, {})
    assert done.returncode == 0


def test_a_pasted_key_in_the_place_of_a_file_is_not_repeated(tmp_path: Path, state: dict[str, str]) -> None:
    pem = '"""-----BEGIN PRIVATE KEY-----\nplanted-in-the-wrong-place\n"""'
    for key in ("api_key_file", "password_file"):
        text = edited(f"exchange -> {key} = PASTED\nexchange").replace("PORT", "1").replace("PASTED", pem)
        (tmp_path / "keeper.toml").write_text(text)
        done = command("check", environ=state, cwd=tmp_path)
        judge(done.returncode, done.stdout, done.stderr, expected=2, says=(f"venues.main.{key}: cannot be the name",))
        assert "BEGIN" not in done.stderr


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && keeper history --journal x.db", tmp_path, {})
    judge(done.returncode, done.stdout, done.stderr, expected=2, says=("cannot be looked at (No such file",))


def test_an_interruption_while_the_program_loads_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    done = command("--version", environ={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_configuration_is_written_where_a_file_can_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for name, says in (("x" * 300, "File name too long"), ("pipe.toml", "is a pipe or a device")):
        done = in_process("init", str(tmp_path / name), "--force", environ={})
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(says,), where=name)


@pytest.mark.parametrize("name", ["with space.toml", "bad\\xff.toml", "new\\nline.toml", "it\\x27s\\x01.toml"])
def test_the_next_step_is_one_that_a_shell_takes(name: str, tmp_path: Path, state: dict[str, str]) -> None:
    done = shell(f"export PYTHONUTF8=1; keeper init $'{name}'", tmp_path, state)
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stdout.splitlines() if "keeper plan -c" in line)
    quoted = told.partition("-c ")[2].rpartition("  one look")[0].strip()
    assert shell(f"printf %s {quoted} | cmp - <(printf %s *)", tmp_path, state).returncode == 0, quoted


def test_a_stated_portfolio_in_a_pipe_is_not_waited_for_for_ever(
    tmp_path: Path, state: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeper.config.load._PIPE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "portfolio.toml")
    done = in_process("stress", "--portfolio", str(tmp_path / "portfolio.toml"), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=("cannot be read (nothing came out of it",))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("pause", "../../x"), "is not the name of a hedge"),
        (("target", "../../x", "--ratio", "0.3"), "is not the name of a hedge"),
        (("roll", "../../x", "--now"), "is not the name of a hedge"),
        (("roll", "btc", "--now", "--to", "\udcff"), "name a contract, and this is no text"),
    ],
)
def test_what_can_be_no_name_is_wrong_where_no_keeper_runs_too(
    line: tuple[str, ...], says: str, tmp_path: Path, state: dict[str, str]
) -> None:
    (tmp_path / "keeper.toml").write_text(edited().replace("PORT", "1"))
    done = in_process(*line, "-c", str(tmp_path / "keeper.toml"), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(says,), where=line)


def test_a_journal_that_is_a_directory_is_one_fault_everywhere(tmp_path: Path, state: dict[str, str]) -> None:
    (tmp_path / "keeper.db").mkdir()
    (tmp_path / "keeper.toml").write_text(edited().replace("PORT", "1"))
    for line in ("check", "run", "plan", "roll", "history"):
        done = in_process(line, "-c", str(tmp_path / "keeper.toml"), environ=state)
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=("is a directory; name the file",), where=line)
