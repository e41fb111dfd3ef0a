"""A configuration that is wrong: every command that reads it says where and what, and asks no venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_errors.support import CREDENTIALS, command, edited, in_process, judge, no_id, silent_venue

READERS = (("check", "--connect"), ("plan", "--json"), ("run",))
WITHOUT_CREDENTIALS = (("status",), ("pause", "btc"), ("resume",), ("history",))

Row = tuple[tuple[str, ...], tuple[str, ...]]
"""Edits of the base configuration, and what standard error says besides the file's name."""

ROWS: list[Row] = [
    # TOML
    (("foo",), ("is not valid TOML", "at line 14")),
    (("ratio = 1",), ("is not valid TOML", "at line 14")),
    (("name = [",), ("is not valid TOML",)),
    # keys
    (("ratio = -> ratoi =",), ('hedges[0].ratoi (hedge "btc")', 'did you mean "ratio"')),
    (("[limit]\nx = 1",), ("limit: is not a known key", 'did you mean "limits"')),
    (("[loop]\npoll_second = 5",), ("loop.poll_second", 'did you mean "poll_seconds"')),
    (('-exchange = "bybit"\n',), ("venues.main.exchange: is missing",)),
    (("[venues.main]\n -> [venues.main]\nexchnge = 1\n",), ("venues.main.exchnge", 'did you mean "exchange"')),
    (("[venues.main.ccxt]\n -> [venues.main.ccxt]\ntimout = 1\n",), ("ccxt.timout", 'did you mean "timeout"')),
    (("band = { atc = 0.5 }",), ("hedges[0].band.atc", 'did you mean "act"')),
    (("[[hedges]] -> [hedges]",), ("hedges: must be tables headed [[hedges]]",)),
    (("[venues.main.ccxt]\n -> [venues.main.ccxt]\nverbose = true\n",), ("ccxt.verbose", "remove it")),
    # mode
    (('-mode = "testnet"\n',), ('mode: is missing; add mode = "dry-run"',)),
    (("testnet -> lvie",), ('did you mean "live"',)),
    (("testnet -> paper",), ("venues.main.paper: is missing", 'seed = "account", or balances')),
    # exchange
    (('"bybit" -> "bibyt"',), ('venues.main.exchange: unknown exchange "bibyt"', "did you mean", "bybit")),
    (('"bybit" -> "Bybit"',), ("venues.main.exchange: is 'Bybit'", 'in lower case, "bybit"')),
    (('"bybit" -> 5',), ("venues.main.exchange: must be text in quotes", "is a number")),
    # types
    (('"0.6" -> true',), ("hedges[0].ratio", "must be a number", "is true or false")),
    (('"0.6" -> 2026-11-20',), ("hedges[0].ratio", "is a date or time")),
    (('"0.6" -> [0.6]',), ("hedges[0].ratio", "is a list")),
    (('["main"] -> "main"',), ('hedges[0].spot (hedge "btc"): must be a list, such as ["main"]',)),
    (("holdings = 2",), ("hedges[0].holdings", "must be a table", "is a number")),
    (("band = 0.05",), ("hedges[0].band", "must be a table")),
    (("[alerts]\nurls = 'ntfy://x'",), ("alerts.urls: must be a list",)),
    (("[api]\nbind = 8787",), ("api.bind: must be text in quotes", "127.0.0.1:8787")),
    # ranges
    (('"0.6" -> "1.5"',), ("hedges[0].ratio", "at least 0 and at most 1")),
    (('"0.6" -> -1',), ("hedges[0].ratio", "at least 0 and at most 1")),
    (('"0.6" -> nan',), ("hedges[0].ratio", "not a finite number")),
    (('"0.6" -> "1e400"',), ("hedges[0].ratio", "too large to be meant")),
    (('"0.6" -> "60%"',), ('write it as a share of 1, "0.6"',)),
    (('"0.6" -> "0,6"',), ('write a decimal point, "0.6"',)),
    (('band = { warn = "0.10", act = "0.05" }',), ("hedges[0].band", "must satisfy warn <= act < halt")),
    (('band = { act = "0.9" }',), ("must satisfy warn <= act < halt", "halt 0.50")),
    (('band = { act = "0" }',), ("hedges[0].band.act", "more than 0")),
    (("[loop]\npoll_seconds = 0",), ("loop.poll_seconds", "at least 0.01")),
    (("leverage = 500",), ("hedges[0].leverage", "at most 125")),
    (("max_slippage = 0.5",), ("hedges[0].max_slippage", "less than 0.1")),
    (('margin_mode = "crossed"',), ('did you mean "cross"',)),
    (('exposure = "equty"',), ('did you mean "equity"',)),
    (('[log]\nlevel = "warn"',), ("log.level", 'did you mean "warning"')),
    # what refers to what
    (("main:BTC -> mani:BTC",), ("hedges[0].instrument", "names the venue 'mani'", 'did you mean "main"')),
    (('["main"] -> ["mian"]',), ("hedges[0].spot[0]", 'did you mean "main"')),
    (("BTC/USDT:USDT -> BTC/USDT",), ("hedges[0].instrument", "names a spot market", 'as in "main:BTC/USDT:USDT"')),
    (("main:BTC/USDT:USDT -> BTCUSDT",), ("hedges[0].instrument", 'as in "main:BTC/USDT:USDT"')),
    (('-spot = ["main"]\n',), ("hedges[0].spot", "is missing", "holdings")),
    (
        ('[[hedges]]\nname = "BTC"\nasset = "BTC"\nspot = ["main"]\ninstrument = "main:BTC/USDT:USDT"\nratio = 0.6',),
        ("3 problems", "hedges[1].name", "two hedges cannot share one position", "adds up to 1.2"),
    ),
    # the rest of the house
    (("sqlite:///keeper.db -> mysql://x",), ("journal.url: must begin with", "sqlite:///keeper.db")),
    (("sqlite:///keeper.db -> sqlite:///:memory:",), ("journal.url: names no file",)),
    (('[api]\nbind = "0.0.0.0:80"',), ("api.bind", "only this machine", "127.0.0.1:8787")),
    (('[venues.main.extra]\nx = "1"',), ("venues.main.extra: is not a known key",)),
    (("[venues.main]\n -> [venues.main]\napi_key = 'pasted'\n",), ("venues.main.api_key: is a credential",)),
]


@pytest.mark.parametrize(("edits", "says"), ROWS, ids=no_id)
def test_every_command_refuses_it_alike(
    edits: tuple[str, ...], says: tuple[str, ...], tmp_path: Path, state: dict[str, str]
) -> None:
    file = tmp_path / "my keeper.toml"
    with silent_venue() as (port, callers):
        file.write_text(edited(*edits).replace("PORT", str(port)))
        for line in READERS:
            done = in_process(*line, "-c", str(file), environ=state)
            judge(
                done.exit_code,
                done.stdout,
                done.stderr,
                expected=2,
                says=(f"error: {file}", *says),
                where=(line, edits),
            )
            assert done.stdout == "", line
            assert "pasted" not in done.stderr
    assert not callers
    assert [path for path in tmp_path.iterdir() if path.name != "my keeper.toml"] == [], "nothing was written"


@pytest.mark.parametrize("edits", [("foo",), ('"0.6" -> "1.5"',), ("ratio = -> ratoi =",)], ids=no_id)
@pytest.mark.parametrize("line", WITHOUT_CREDENTIALS, ids=no_id)
def test_commands_that_meet_no_venue_refuse_it_too(
    line: tuple[str, ...], edits: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "keeper.toml"
    file.write_text(edited(*edits))
    done = in_process(*line, "-c", str(file), environ={})
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(str(file),))


def test_missing_credentials_name_the_variable_and_the_file_key(tmp_path: Path) -> None:
    file = tmp_path / "keeper.toml"
    with silent_venue() as (port, callers):
        file.write_text(edited().replace("PORT", str(port)))
        for line in READERS:
            done = in_process(*line, "-c", str(file), environ={})
            says = (
                "2 problems",
                "venues.main.api_secret: is missing",
                "KEEPER_VENUES__MAIN__API_SECRET",
                "api_key_file",
            )
            judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(str(file), *says), where=line)
        for name, value, text in (
            ("api_key_file", "gone", "venues.main.api_key_file: names a file that cannot be read (No such file"),
            ("api_secret_file", ".", "venues.main.api_secret_file: names something that is not a plain file"),
        ):
            file.write_text(
                edited(f'[venues.main]\n -> [venues.main]\n{name} = "{value}"\n').replace("PORT", str(port))
            )
            done = in_process("plan", "-c", str(file), environ={})
            judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(text,))
    assert not callers


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("KEEPER_LOOP__POLL_SECONDS", "abc", ("variable KEEPER_LOOP__POLL_SECONDS, for loop.poll_seconds", "'abc'")),
        ("KEEPER_LOOP__POL_SECONDS", "1", ('did you mean "poll_seconds"',)),
        ("KEEPER_LOPO__X", "1", ("KEEPER_LOPO__X names no table", 'did you mean "loop"')),
        (
            "KEEPER_HEDGES__BTC__RATIO",
            "2",
            ('KEEPER_HEDGES__BTC__RATIO, for hedges[0].ratio (hedge "btc")', "at most 1"),
        ),
        ("KEEPER_HEDGES__BTC__SPOT", "main", ("KEEPER_HEDGES__BTC__SPOT", "must be a list")),
        ("KEEPER_MODE", "lvie", ("KEEPER_MODE", 'did you mean "live"')),
        ("KEEPER_VENUES__MAIN__API_KEY", "two words", ("KEEPER_VENUES__MAIN__API_KEY", "blanks")),
        ("KEEPER_VENUES__MAIN__EXCHANGE", "bibyt", ("unknown exchange", "bybit")),
    ],
)
def test_a_wrong_variable_is_named(
    variable: str, value: str, says: tuple[str, ...], tmp_path: Path, state: dict[str, str]
) -> None:
    file = tmp_path / "keeper.toml"
    file.write_text(edited().replace("PORT", "1"))
    for line in (("check",), ("plan",)):
        done = in_process(*line, "-c", str(file), environ={**state, variable: value})
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=says)
        assert "two words" not in done.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ("mode: is missing", "venues: is missing", "hedges: is missing")),
        (b"\xff\xfe", ("line 1 is not UTF-8 text",)),
        (b"#" * 2_000_000, ("is larger than",)),
        (b"\x00", ("is not valid TOML",)),
        (b"a = " + b"[" * 5_000, ("is not valid TOML",)),
    ],
    ids=["empty", "not text", "huge", "zero", "deep"],
)
def test_a_file_that_is_no_configuration(
    content: bytes, says: tuple[str, ...], tmp_path: Path, state: dict[str, str]
) -> None:
    file = tmp_path / "keeper.toml"
    file.write_bytes(content)
    for line in (("check",), ("run",), ("plan", "--json")):
        done = in_process(*line, "-c", str(file), environ=state)
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(str(file), *says))
        assert done.stdout == ""
        assert "environment variable" not in done.stderr, "credentials that are set are no fault of an empty file"


@pytest.mark.parametrize("line", [("check",), ("plan",), ("run",), ("status",), ("pause",), ("history",)], ids=no_id)
def test_a_file_that_is_not_there(line: tuple[str, ...], tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "none.toml", "there is no such file; write one with: keeper init"),
        (tmp_path, "directory"),
    ):
        done = in_process(*line, "-c", str(path), environ={})
        judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(str(path), says))
        named = in_process(*line, environ={"KEEPER_CONFIG": str(path)})
        judge(named.exit_code, named.stdout, named.stderr, expected=2, says=(str(path), says))


@pytest.mark.parametrize("line", [("check",), ("run",)], ids=no_id)
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/deep/keeper.db", "the directory /nowhere/deep does not exist; create it first"),
        ("sqlite:///{folder}", "is a directory; name the file"),
        ("postgresql://u:planted-secret-0815-abcdef@127.0.0.1:1/db", "asyncpg"),
    ],
)
def test_a_journal_that_cannot_be_kept(
    line: tuple[str, ...], url: str, says: str, tmp_path: Path, state: dict[str, str]
) -> None:
    import importlib.util

    if "asyncpg" in says and importlib.util.find_spec("asyncpg") is not None:
        pytest.skip("the driver is installed here")
    file = tmp_path / "keeper.toml"
    with silent_venue() as (port, callers):
        text = edited(f"sqlite:///keeper.db -> {url.format(folder=tmp_path)}")
        file.write_text(text.replace("PORT", str(port)))
        done = in_process(*line, "-c", str(file), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=2, says=(f"{file}: journal.url:", says))
    assert not callers


def test_an_alert_url_that_no_service_takes_is_found_by_check(tmp_path: Path, state: dict[str, str]) -> None:
    file = tmp_path / "keeper.toml"
    file.write_text(
        edited('[alerts]\nurls = ["ntfy://topic", "tgrm://planted-token-000000/chat"]').replace("PORT", "1")
    )
    done = command("check", "-c", str(file), environ=state)  # apart: the library's own imports warn
    says = (f"{file}: alerts.urls[1]", 'did you mean "tgram"')
    judge(done.returncode, done.stdout, done.stderr, expected=2, says=says)
    assert "planted-token" not in done.stdout + done.stderr


def test_live_needs_both_and_nothing_is_asked(tmp_path: Path, state: dict[str, str]) -> None:
    file = tmp_path / "keeper.toml"
    with silent_venue() as (port, callers):
        for edits, line, says in (
            (("testnet -> live",), ("run",), ('mode is "live"', "keeper run --live")),
            ((), ("run", "--live"), ("--live was given", 'mode is "testnet"')),
        ):
            file.write_text(edited(*edits).replace("PORT", str(port)))
            done = in_process(*line, "-c", str(file), environ=state)
            judge(done.exit_code, done.stdout, done.stderr, expected=4, says=(str(file), *says))
    assert not callers


@pytest.mark.parametrize("line", [("plan",), ("run",), ("check", "--connect")], ids=no_id)
def test_a_live_host_in_testnet_is_refused_before_anything_is_asked(
    line: tuple[str, ...], tmp_path: Path, state: dict[str, str]
) -> None:
    file = tmp_path / "keeper.toml"
    file.write_text(edited("http://127.0.0.1:PORT -> https://api.bybit.com"))
    done = in_process(*line, "-c", str(file), environ=state)
    judge(done.exit_code, done.stdout, done.stderr, expected=4, says=("urls.api", "live host", "mode is testnet"))


def test_the_same_as_a_process(tmp_path: Path, state: dict[str, str]) -> None:
    """A few rows over, as a shell would start them: streams, exit code, colours."""
    (tmp_path / "keeper.toml").write_text(edited('"0.6" -> "1.5"').replace("PORT", "1"))
    done = command("plan", environ=state, cwd=tmp_path)
    judge(done.returncode, done.stdout, done.stderr, expected=2, says=("error: keeper.toml: hedges[0].ratio",))
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    missing = command("history", "-c", "none.toml", environ=CREDENTIALS, cwd=tmp_path)
    judge(missing.returncode, missing.stdout, missing.stderr, expected=2, says=("none.toml: there is no such file",))
