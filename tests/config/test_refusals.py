"""What is refused, and in which words: file, key, what was wrong, what would be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keeper.config.models import SECTIONS
from keeper.errors import ConfigError
from tests.config.support import API_KEY, API_SECRET, CREDENTIALS, HEAD, HEDGE, SMALL, VENUE, parse, refusal

SECOND = HEDGE.replace('"btc"', '"two"').replace("main:BTC", "main:ETH")


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (('mode = "dry-run"', 'mode = "paper"'), "venues.main.paper", 'seed = "account", or balances'),
        (('mode = "dry-run"', 'mode = "lvie"'), "mode", 'did you mean "live"'),
        (('mode = "dry-run"', ""), "mode", "is missing"),
        (('exchange = "somewhere"', "exchange = 5"), "venues.main.exchange", "must be text"),
        (('exchange = "somewhere"', 'exchnge = "somewhere"'), "venues.main.exchnge", 'did you mean "exchange"'),
        (('exchange = "somewhere"', ""), "venues.main.exchange", "is missing"),
        (('ratio = "0.6"', 'ratio = "1.5"'), "hedges[0].ratio", "at most 1"),
        (('ratio = "0.6"', 'ratio = "0,6"'), "hedges[0].ratio", '"0.6"'),
        (('ratio = "0.6"', "ratio = nan"), "hedges[0].ratio", "not a finite number"),
        (('ratio = "0.6"', "ratio = inf"), "hedges[0].ratio", "not a finite number"),
        (('ratio = "0.6"', "ratio = true"), "hedges[0].ratio", "true or false"),
        (('ratio = "0.6"', "ratio = -0.1"), "hedges[0].ratio", "at least 0"),
        (('ratio = "0.6"', "ratio = 1e999"), "hedges[0].ratio", "too large"),
        (('ratio = "0.6"', "ratio = 2020-01-01"), "hedges[0].ratio", "a date or time"),
        (('ratio = "0.6"', "ratio = 0x" + "f" * 6000), "hedges[0].ratio", "is 0xffffffffff"),
        (
            ('ratio = "0.6"', 'ratio = "0.6"\nholdings = { l = { amount = 1, as_of = 0001-01-01T00:00:00+23:59 } }'),
            "hedges[0].holdings.l.as_of",
            "which cannot be meant; give a time from 1970 to 2199",
        ),
        (
            ('ratio = "0.6"', 'ratio = "0.6"\nholdings = { l = { amount = 1, as_of = 9999-12-31T23:59:59-23:59 } }'),
            "hedges[0].holdings.l.as_of",
            "which cannot be meant",
        ),
        (
            ('ratio = "0.6"', 'ratio = "0.6"\n[safety]\nkill_file = "~nobody-here/x"'),
            "safety.kill_file",
            "write the path",
        ),
        (('ratio = "0.6"', 'ratio = "٣"'), "hedges[0].ratio", "not a finite number"),
        (('ratio = "0.6"', ""), "hedges[0].ratio", "is missing"),
        (('asset = "BTC"', ""), "hedges[0]", "needs asset"),
        (('asset = "BTC"', 'asset = "BTC"\nassets = ["SOL"]'), "hedges[0]", "both asset and assets"),
        (('asset = "BTC"', 'aset = "BTC"'), "hedges[0].aset", 'did you mean "asset"'),
        (('spot = ["main"]', 'spot = "main"'), "hedges[0].spot", "must be a list"),
        (('spot = ["main"]', 'spot = ["mian"]'), "hedges[0].spot[0]", 'did you mean "main"'),
        (('spot = ["main"]', 'spot = ["main", "main"]'), "hedges[0]", "twice"),
        (('spot = ["main"]', ""), "hedges[0].spot", "nothing to protect"),
        (('spot = ["main"]', 'exposure = "spot"'), "hedges[0].exposure", "neither spot nor holdings"),
        (("main:BTC/USDT:USDT", "BTC/USDT:USDT"), "hedges[0].instrument", "main:BTC/USDT:USDT"),
        (("main:BTC/USDT:USDT", "main:BTC/USDT"), "hedges[0].instrument", "spot market"),
        (("main:BTC/USDT:USDT", "mian:BTC/USDT:USDT"), "hedges[0].instrument", 'did you mean "main"'),
    ],
)
def test_a_bad_key_is_named_with_its_remedy(change: tuple[str, str], key: str, says: str) -> None:
    assert change[0] in SMALL
    text = refusal(SMALL.replace(*change, 1))
    assert re.search(rf"keeper\.toml: {re.escape(key)}( \(hedge \"btc\"\))?: ", text), text
    assert says in text


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("holdings = { ledger = { amount = 1, max_age_days = 9 } }", "hedges[0].holdings.ledger", "no as_of"),
        ("holdings = { ledger = { amount = 1, as_of = 5 } }", "hedges[0].holdings.ledger.as_of", "must be a date"),
        (
            'holdings = { l = { amount = 1, as_of = "2026-11-01T08:00" } }',
            "hedges[0].holdings.l.as_of",
            "add its offset",
        ),
        ("holdings = { ledger = { amount = 1, as_off = 5 } }", "hedges[0].holdings.ledger.as_off", '"as_of"'),
        ("holdings = { ledger = { amount = -1 } }", "hedges[0].holdings.ledger.amount", "at least 0"),
        ('holdings_file = "cold.json"', "hedges[0].holdings_file", "must be a table"),
        ("holdings_file = { max_age_seconds = 5 }", "hedges[0].holdings_file", "names no path"),
        ('holdings_file = { path = "a", max_age = 5 }', "hedges[0].holdings_file.max_age", '"max_age_seconds"'),
        (
            'holdings_file = { path = "a", max_age_seconds = 0 }',
            "hedges[0].holdings_file.max_age_seconds",
            "at least 1",
        ),
        ('holdings_file = { path = "a", assets = ["ETH"] }', "hedges[0].holdings_file.assets[0]", "does not protect"),
        ('holdings_file = { path = "a", borrowed = "yes" }', "hedges[0].holdings_file.borrowed", "true or false"),
        ('holdings_file = [{ path = "a" }, { path = "./a" }]', "hedges[0].holdings_file", "one file twice"),
        ("beta = { method = 'olss' }", "hedges[0].beta.method", 'did you mean "ols"'),
        ("beta = { lookback = 100 }", "hedges[0].beta", "names no method"),
        ("beta = { method = 'ols', timeframe = '2h' }", "hedges[0].beta.timeframe", "choose one of"),
        ("beta = { method = 'ols', lookback = 50 }", "hedges[0].beta", "50 candles never weigh more than 50"),
        ("beta = { method = 'ols', lambda = 0.9 }", "hedges[0].beta", 'only method = "ewma"'),
        ("beta = { method = 'ewma', min_sample = 100 }", "hedges[0].beta", "never weigh more than 32.33"),
        ("beta = { method = 'ols', bounds = [2, 3] }", "hedges[0].beta.bounds", "1 has to lie between"),
        ("beta = { method = 'ols', bounds = 2 }", "hedges[0].beta.bounds", "two numbers"),
        ("beta = { method = 'ols', min_r2 = 1 }", "hedges[0].beta.min_r2", "less than 1"),
        ("beta = { BTC = { method = 'ols', look_back = 720 } }", "hedges[0].beta.BTC.look_back", '"lookback"'),
        ("band = { act = 0 }", "hedges[0].band.act", "more than 0"),
        ("band = { warn = 0.06, act = 0.05 }", "hedges[0].band", "warn <= act < halt"),
        ("band = { act = 0.5 }", "hedges[0].band", "warn <= act < halt"),
        ("band = { atc = 0.5 }", "hedges[0].band.atc", 'did you mean "act"'),
        ('unlisted = "cuont"', "hedges[0].unlisted", 'did you mean "count"'),
        ('margin_mode = "crossed"', "hedges[0].margin_mode", 'did you mean "cross"'),
        ("leverage = 0.5", "hedges[0].leverage", "at least 1"),
        ("max_slippage = 0.1", "hedges[0].max_slippage", "less than 0.1"),
        ("beta = { ETH = 1 }", "hedges[0].beta.ETH", "does not protect"),
        ("beta = 0", "hedges[0].beta", "more than 0"),
        ("holdings = { ledger = -1 }", "hedges[0].holdings.ledger", "at least 0"),
        ("holdings = { ledger = { ETH = 1 } }", "hedges[0].holdings.ledger.ETH", "does not protect"),
        ("holdings = 5", "hedges[0].holdings", "must be a table"),
        ("[limits]\nmax_order_notional = 0", "limits.max_order_notional", "more than 0"),
        ("[loop]\npoll_second = 5", "loop.poll_second", 'did you mean "poll_seconds"'),
        ("[loop]\npoll_seconds = 0", "loop.poll_seconds", "at least 0.01"),
        ("[safety]\nconfirm_jump_ratio = 2", "safety.confirm_jump_ratio", "at most 1"),
        ("[safety]\nmax_clock_offset_ms = 1.5", "safety.max_clock_offset_ms", "whole number"),
        ('[journal]\nurl = "mysql://x/y"', "journal.url", "must begin with"),
        ('[journal]\nurl = "sqlite://keeper.db"', "journal.url", "three slashes"),
        ('[journal]\nurl = "postgresql:///"', "journal.url", "names no server"),
        ('[api]\nbind = "0.0.0.0:8787"', "api.bind", "only this machine"),
        ('[api]\nbind = "127.0.0.1"', "api.bind", "without a port"),
        ('[api]\nbind = "127.0.0.1:99999"', "api.bind", "without a port"),
        ('[alerts]\nurls = "ntfy://x"', "alerts.urls", "must be a list"),
        ('[alerts]\nurls = ["nonsense"]', "alerts.urls", "number 1"),
        ('[log]\nlevel = "verbose"', "log.level", "choose one of"),
        ("[lop]\npoll_seconds = 5", "lop", 'did you mean "loop"'),
        ("[limits]\n[loop]\n[limits.x]", "limits.x", "not a known key"),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(line: str, key: str, says: str) -> None:
    text = refusal(f"{SMALL}{line}\n")
    assert re.search(rf"keeper\.toml: {re.escape(key)}( \(hedge \"btc\"\))?: ", text), text
    assert says in text


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("verbose = true", "verbose"),
        ("enableRateLimit = false", "enableRateLimit"),
        ("maxRetriesOnFailure = 0", "maxRetriesOnFailure"),
        ('options = { "fapi/order" = { maxRetriesOnFailure = 3 } }', 'options."fapi/order".maxRetriesOnFailure'),
        ("options = { list = [{ enableRateLimit = false }] }", "options.list[0].enableRateLimit"),
        ("options = { sandbox = true }", "options.sandbox"),
        ('apiKey = "planted-key-4711"', "apiKey"),
        ('options = { deep = { privateKey = "planted-key-4711" } }', "options.deep.privateKey"),
        ('walletAddress = "planted-key-4711"', "walletAddress"),
        ('headers = { "X-API-KEY" = "planted-key-4711" }', "headers.X-API-KEY"),
        ('httpsProxy = "planted-key-4711"', "httpsProxy"),
        ('urls = { api = "planted-key-4711" }', "urls.api"),
        ('urls = { test = "https://example.com" }', "urls.test"),
        ('proxyUrl = "https://example.com/?u="', "proxyUrl"),
        ("timeout = 0", "timeout"),
        ('timeout = "10000"', "timeout"),
        ("rateLimit = 0", "rateLimit"),
        ("options = { since = 2020-01-01 }", "options"),
        ("options = { x = nan }", "options"),
        ("tiemout = 5", "tiemout"),
    ],
)
def test_the_client_gets_nothing_that_leaks_retries_or_switches(line: str, key: str) -> None:
    text = refusal(SMALL.replace(HEDGE, f"[venues.main.ccxt]\n{line}\n{HEDGE}"))
    assert f"venues.main.ccxt.{key}: " in text


def test_the_client_gets_the_rest_as_it_is() -> None:
    table = (
        "[venues.main.ccxt]\ntimeout = 10000\nrateLimit = 2.5\n"
        'urls = { api = { public = "http://127.0.0.1:9000", ws = { private = "ws://127.0.0.1:9001" } } }\n'
        'options = { recvWindow = 5000, nested = { share = 0.5, flags = [true, "x"] } }\n'
        'headers = { "X-Desk" = "treasury" }\nsocksProxy = "socks5h://127.0.0.1:1080"\n'
    )
    assert parse(SMALL.replace(HEDGE, table + HEDGE)).venues["main"].ccxt == {
        "timeout": 10000,
        "rateLimit": 2.5,
        "urls": {"api": {"public": "http://127.0.0.1:9000", "ws": {"private": "ws://127.0.0.1:9001"}}},
        "options": {"recvWindow": 5000, "nested": {"share": 0.5, "flags": [True, "x"]}},
        "headers": {"X-Desk": "treasury"},
        "socksProxy": "socks5h://127.0.0.1:1080",
    }


def test_all_problems_are_told_at_once() -> None:
    text = refusal(
        SMALL.replace('"0.6"', '"7"').replace('["main"]', '["mian"]').replace("dry-run", "dry") + "[loop]\nx = 1\n", {}
    )
    assert "has 6 problems" in text
    for part in ("hedges[0].ratio", "hedges[0].spot[0]", ": mode:", "loop.x", "api_key", "api_secret"):
        assert part in text
    assert text.count("keeper.toml") == 7


@pytest.mark.parametrize("mode", ["dry-run", "testnet", "live"])
def test_missing_credentials_name_variables_and_file_keys(mode: str) -> None:
    text = refusal(SMALL.replace("dry-run", mode), {})
    for part in ("KEEPER_VENUES__MAIN__API_KEY", "KEEPER_VENUES__MAIN__API_SECRET", "api_key_file", "api_secret_file"):
        assert part in text


def test_commands_that_meet_no_venue_do_without_credentials() -> None:
    from keeper.config import parse_config

    config = parse_config(SMALL, "keeper.toml", Path("/nowhere/keeper.toml"), {}, need_credentials=False)
    assert config.journal_url == "sqlite:////nowhere/keeper.db"


@pytest.mark.parametrize("key", ["api_key", "apiKey", "secret", "password", "api_secret"])
def test_credentials_in_the_file_are_refused_and_not_repeated(key: str) -> None:
    text = refusal(SMALL.replace(VENUE, f'{VENUE}{key} = "planted-key-4711"\n'))
    assert f"venues.main.{key}" in text
    assert "no place for one" in text


def test_a_key_pasted_where_a_file_name_belongs_is_not_repeated() -> None:
    text = refusal(SMALL.replace(VENUE, f'{VENUE}api_key_file = "planted-key-4711"\n'), {})
    assert "venues.main.api_key_file" in text
    assert "looked in /nowhere" in text


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "   "])
def test_credentials_are_one_word(value: str) -> None:
    text = refusal(SMALL, {**CREDENTIALS, "KEEPER_VENUES__MAIN__API_KEY": value})
    assert "KEEPER_VENUES__MAIN__API_KEY" in text
    assert value.strip() == "" or value not in text


def test_a_credential_file_may_be_neither_empty_nor_huge_nor_a_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "huge").write_text("x" * 100_000)
    (tmp_path / "directory").mkdir()
    for name, says in (("empty", "is empty"), ("huge", "too large"), ("directory", "not a plain file")):
        content = SMALL.replace(VENUE, f'{VENUE}api_key_file = "{name}"\n')
        assert says in refusal(content, {"KEEPER_VENUES__MAIN__API_SECRET": "abc-def"}, tmp_path)


def test_syntax_errors_have_line_and_column() -> None:
    text = refusal('mode = "dry-run"\n[venues.main\n')
    assert "line 2, column 13" in text
    assert "TOML" in refusal("x = " + "[" * 5000)
    assert "TOML" in refusal("x = " + "9" * 5000)


def test_two_hedges_share_neither_name_nor_contract() -> None:
    assert "is the name of hedges[0] too" in refusal(SMALL + SECOND.replace('"two"', '"BTC"').replace("0.6", "0.1"))
    assert 'carries the hedge "btc" already' in refusal(SMALL + HEDGE.replace('"btc"', '"x"').replace("0.6", "0.1"))


def test_the_same_coins_are_not_sold_twice() -> None:
    trading = SMALL.replace("dry-run", "testnet")
    text = refusal(trading + SECOND)
    assert 'hedges[1].ratio (hedge "two")' in text
    assert "adds up to 1.2" in text
    parse(trading + SECOND.replace("0.6", "0.4"))
    parse(trading + SECOND.replace('["main"]', '["main.funding"]'))
    parse(trading + SECOND.replace('asset = "BTC"', 'asset = "ETH"'))
    assert "holdings.x" in refusal(
        trading.replace('spot = ["main"]', "holdings = { x = 1 }")
        + SECOND.replace('spot = ["main"]', "holdings = { x = 1 }")
    )


def test_where_nothing_is_sold_the_same_coins_may_be_looked_at_twice() -> None:
    (warning,) = (text for text in parse(SMALL + SECOND).warnings if "adds up to" in text)
    assert warning.startswith('hedges[1].ratio: adds up to 1.2 with "btc" over the same BTC in main')


def test_one_account_has_one_name() -> None:
    content = SMALL.replace(HEDGE, '[venues.again]\nexchange = "somewhere"\n' + HEDGE)
    environ = {**CREDENTIALS, **{name.replace("MAIN", "AGAIN"): value for name, value in CREDENTIALS.items()}}
    assert "same exchange and API key as venues.main" in refusal(content, environ)


def test_venue_names_can_be_told_apart_in_the_environment() -> None:
    assert "cannot tell apart" in refusal(SMALL + '[venues.MAIN]\nexchange = "somewhere"\n')
    assert "venues" in refusal(SMALL + '[venues."a.b"]\nexchange = "somewhere"\n')
    assert "venues" in refusal(SMALL + '[venues.a__b]\nexchange = "somewhere"\n')


def test_live_credentials_do_not_travel_in_clear() -> None:
    table = '[venues.main.ccxt]\nurls = { api = "http://gateway.example:9000" }\n'
    assert "clear text" in refusal(SMALL.replace("dry-run", "live").replace(HEDGE, table + HEDGE))
    parse(SMALL.replace("dry-run", "testnet").replace(HEDGE, table + HEDGE))
    parse(SMALL.replace("dry-run", "live").replace(HEDGE, table.replace("gateway.example", "127.0.0.1") + HEDGE))


def test_nothing_at_all_is_refused_too() -> None:
    text = refusal("")
    for part in ("mode", "venues", "hedges"):
        assert f"{part}: is missing" in text
    assert "[[hedges]]" in refusal(HEAD + VENUE + '[hedges]\nname = "x"\n')


def test_warnings() -> None:
    content = SMALL.replace("BTC/USDT:USDT", "BTC/USD:BTC") + 'exposure = "spot"\n'
    config = parse(
        content.replace(HEAD, HEAD + '[venues.idle]\nexchange = "elsewhere"\n'),
        {
            **CREDENTIALS,
            "KEEPER_VENUES__IDLE__API_KEY": "abc",
            "KEEPER_VENUES__IDLE__API_SECRET": "def",
        },
    )
    assert any("venues.idle: no hedge uses" in text for text in config.warnings)
    assert any("swept out" in text for text in config.warnings)


def test_a_coin_margined_hedge_needs_no_spot() -> None:
    parse(SMALL.replace("BTC/USDT:USDT", "BTC/USD:BTC").replace('spot = ["main"]\n', ""))


def test_a_key_of_many_parts_is_refused_before_it_is_parsed() -> None:
    text = refusal(SMALL + ".".join("a" * 90_000) + " = 1\n")
    assert "line 10 holds a key of more than 100 parts" in text
    assert "line 1 holds" in refusal('"a"' + " . 'b'" * 90_000 + " = 1\n" + SMALL)
    parse(SMALL.replace(HEAD, HEAD + "# " + "a." * 90 + "a\n"))


def test_a_variable_of_many_parts_is_refused() -> None:
    text = refusal(SMALL, {**CREDENTIALS, "KEEPER_LIMITS__" + "__".join("A" * 20_000): "1"})
    assert "has 20001 parts, and no key is nested so deep" in text
    assert len(text) < 500


def test_the_environment_reaches_every_table() -> None:
    for table in SECTIONS:
        text = refusal(SMALL, {**CREDENTIALS, f"KEEPER_{table.upper()}__NO_KEY": "1"})
        assert f"for {table}.no_key: is not a known key" in text


def test_errors_carry_exit_code_2() -> None:
    assert ConfigError("x").exit_code == 2


def test_the_same_file_is_not_sold_twice_over() -> None:
    held = 'holdings_file = { path = "cold.json" }\n'
    trading = SMALL.replace("dry-run", "testnet")
    text = refusal(trading + held + SECOND.replace('spot = ["main"]\n', 'holdings_file = { path = "./cold.json" }\n'))
    assert "over the same BTC in cold.json" in text


@pytest.mark.parametrize("name", ["file", "declared"])
def test_a_venue_has_no_name_that_holdings_outside_of_venues_have(name: str) -> None:
    text = refusal(SMALL + f'[venues.{name}]\nexchange = "somewhere"\n')
    assert f"venues.{name}: is a name that keeper uses" in text


@pytest.mark.parametrize("name", ["VENUES__MAIN__EXCHANGE", "HEDGES__0__RATIO", "MODE"])
def test_a_credential_under_another_name_is_not_repeated(name: str) -> None:
    assert "***" in refusal(SMALL, {**CREDENTIALS, f"KEEPER_{name}": API_SECRET})


LONG = "CANARYkeyOfSixtyFourCharactersAsSomeVenuesGiveThem0123456789abcd"
WRONG = ["VENUES__MAIN__EXCHANGE", "HEDGES__0__RATIO", "HEDGES__0__INSTRUMENT", "HEDGES__0__NAME", "MODE", "API__BIND"]


@pytest.mark.parametrize("name", WRONG)
def test_of_a_long_credential_no_half_is_repeated(name: str) -> None:
    """Values are cut before they are told, and half of a credential would not be known for one."""
    for value in (LONG, f"x{LONG}", f"{LONG.upper()} {LONG}"):
        environ = {"KEEPER_VENUES__MAIN__API_SECRET": LONG, f"KEEPER_{name}": value}
        assert "canary" not in refusal(SMALL, {**CREDENTIALS, **environ}).lower()


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    "url",
    [
        "tgram://123456:CANARYtoken/chat",
        "tgram://CANARYtoken/chat",
        "ntfy://CANARYtopic",
        "discord://webhook/CANARYtoken/?a=b",
        "postgresql://keeper:CANARYpw@localhost/keeper",
        "https://hooks.example.com/services/CANARYtoken",
        "https://CANARYuser@example.com",
    ],
)
def test_an_address_under_another_name_is_told_by_its_scheme(name: str, url: str) -> None:
    """Whether or not anything knows it for a secret: nobody gave it where it belongs."""
    text = refusal(SMALL + '[limits]\nmax_order_notional = "x"\n', {**CREDENTIALS, f"KEEPER_{name}": url})
    assert "CANARY" not in text


def test_an_address_of_a_host_alone_is_told_whole() -> None:
    assert "is 'http://127.0.0.1:8787/'" in refusal(
        SMALL, {**CREDENTIALS, "KEEPER_API__BIND": "http://127.0.0.1:8787/"}
    )


@pytest.mark.parametrize(
    ("more", "secret"),
    [
        ('[alerts]\nurls = ["tgram://CANARYtoken1/chat"]\n', "CANARYtoken1"),
        ('[alerts]\nurls = "tgram://CANARYtoken1/chat"\n', "CANARYtoken1"),
        ('[journal]\nurl = "postgresql://keeper:CANARYpw@localhost/keeper"\n', "CANARYpw"),
        ('[venues.main.ccxt]\nhttpProxy = "http://CANARYuser:CANARYpw@localhost"\n', "CANARYuser CANARYpw"),
        ('[venues.other]\nexchange = "somewhere"\nsecretKey = "CANARYsec"\n', "CANARYsec"),
    ],
)
def test_no_secret_of_another_table_is_repeated(more: str, secret: str) -> None:
    text = refusal(SMALL + more, {**CREDENTIALS, "KEEPER_HEDGES__0__RATIO": secret})
    assert "hedges[0].ratio" in text
    assert "CANARY" not in text


def test_no_credential_is_repeated_of_a_venue_that_the_file_does_not_have(tmp_path: Path) -> None:
    gone = {"KEEPER_VENUES__GONE__API_SECRET": "CANARYsec", "KEEPER_HEDGES__0__RATIO": "CANARYsec"}
    assert "CANARY" not in refusal(SMALL, {**CREDENTIALS, **gone})
    (tmp_path / "secret").write_text("CANARYsec\n")
    by_file = SMALL.replace(VENUE, VENUE + 'api_secret_file = "secret"\n').replace('"0.6"', '"CANARYsec"')
    key_alone = {"KEEPER_VENUES__MAIN__API_KEY": API_KEY}
    assert "CANARY" not in refusal(by_file, key_alone, tmp_path)


def test_the_file_is_named_whatever_a_password_is() -> None:
    journal = '[journal]\nurl = "postgresql://k:keeper@localhost/keeper"\n'
    assert "keeper.toml: hedges[0].ratio" in refusal((SMALL + journal).replace('"0.6"', '"x"'))
