"""What a configuration means once it is read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from keeper.config import Mode, config_digest, load_config, secrets
from keeper.config.estimates import Estimated
from keeper.config.holdings import Declared, HoldingsFile
from keeper.core.beta import Method, Terms
from keeper.core.model import AccountId, ExposureMode, InstrumentId, Unlisted
from keeper.errors import ConfigError
from tests.config.support import API_KEY, API_SECRET, CREDENTIALS, HEAD, HEDGE, SMALL, VENUE, parse, refusal

PUBLISHED = """\
mode = "testnet"

[venues.main]
exchange = "bybit"            # a ccxt id
[venues.main.ccxt]            # handed to the ccxt constructor as it is

[[hedges]]
name = "btc"
asset = "BTC"
spot = ["main"]
holdings = { ledger = "2.5" }
instrument = "main:BTC/USDT:USDT"
ratio = "0.6"
exposure = "equity"
band = { warn = "0.02", act = "0.05", halt = "0.50" }

[limits]
max_order_notional = "250000"
max_short_notional = "1000000"

[loop]
poll_seconds = 5

[journal]
url = "sqlite:///keeper.db"
[api]
bind = "127.0.0.1:8787"
[alerts]
urls = []
"""


def test_the_published_contract_is_accepted_as_it_stands() -> None:
    config = parse(PUBLISHED)
    assert config.mode is Mode.TESTNET
    hedge = config.hedges[0]
    assert hedge.spot == (AccountId("main"),)
    assert hedge.instrument == InstrumentId("main", "BTC/USDT:USDT")
    assert (hedge.ratio, hedge.exposure) == (Decimal("0.6"), ExposureMode.EQUITY)
    assert hedge.declared == {"BTC": Decimal("2.5")}
    assert hedge.holdings == {"BTC": {"ledger": Declared(Decimal("2.5"))}}
    assert config.limits.max_short_notional == Decimal(1000000)
    assert config.journal.dsn == "sqlite:///keeper.db"
    assert (config.api.host, config.api.port) == ("127.0.0.1", 8787)
    assert config.warnings == ()


def test_defaults() -> None:
    config = parse(SMALL)
    hedge = config.hedges[0]
    assert (hedge.band.warning, hedge.band.act, hedge.band.halt) == (Decimal("0.02"), Decimal("0.05"), Decimal("0.5"))
    assert hedge.beta == {"BTC": Decimal(1)}
    assert hedge.assets == ("BTC",)
    assert hedge.unlisted is Unlisted.HOLD
    assert hedge.leverage is None
    assert hedge.margin_mode is None
    assert hedge.max_slippage == Decimal("0.001")
    assert config.limits.max_order_notional == Decimal(250000)
    assert config.limits.max_short_notional is None
    assert config.loop.poll_seconds == 5
    assert config.loop.start_patience_seconds == 60
    assert config.safety.confirm_jump_ratio == Decimal("0.2")
    assert config.safety.max_clock_offset_ms == 2500
    assert config.alerts.repeat_seconds == 900
    assert (config.log.level, config.log.format) == ("info", "auto")
    assert config.token_file is None


@pytest.mark.parametrize("written", ["0.1", '"0.1"', "1e-1", '"1E-1"', "0.10"])
def test_quantities_are_exact_however_they_are_written(written: str) -> None:
    assert parse(SMALL.replace('"0.6"', written)).hedges[0].ratio == Decimal("0.1")


def test_a_float_keeps_every_digit_that_was_written() -> None:
    config = parse(SMALL.replace('"0.6"', "0.1000000000000000000001"))
    assert config.hedges[0].ratio == Decimal("0.1000000000000000000001")


def test_warn_follows_a_tight_act() -> None:
    config = parse(SMALL + 'band = { act = "0.01" }\n')
    assert config.hedges[0].band.to_core().warn == Decimal("0.01")


def test_wallets_are_named_after_a_dot() -> None:
    config = parse(SMALL.replace('["main"]', '["main", "main.funding"]'))
    assert config.hedges[0].spot == (AccountId("main"), AccountId("main", "funding"))


BASKET = SMALL.replace('asset = "BTC"', 'assets = ["BTC", "SOL"]')


@pytest.mark.parametrize(
    "holdings",
    [
        '{ ledger = { asset = "BTC", amount = "2" }, cold = { asset = "SOL", amount = 40 } }',
        '{ ledger = { BTC = "2", SOL = "40" } }',
        '{ BTC = "2", SOL = 40 }',
        '{ BTC = { ledger = "1", cold = "1" }, SOL = { ledger = "40" } }',
    ],
)
def test_a_basket_takes_holdings_in_any_clear_shape(holdings: str) -> None:
    config = parse(BASKET + f"holdings = {holdings}\n")
    assert config.hedges[0].declared == {"BTC": Decimal(2), "SOL": Decimal(40)}


def test_beta_for_all_or_for_each() -> None:
    assert parse(BASKET + "beta = 1.2\n").hedges[0].beta == {"BTC": Decimal("1.2"), "SOL": Decimal("1.2")}
    assert parse(BASKET + 'beta = { SOL = "1.3" }\n').hedges[0].beta == {"BTC": Decimal(1), "SOL": Decimal("1.3")}


def test_the_configuration_is_frozen() -> None:
    config = parse(SMALL)
    with pytest.raises(ValidationError):
        config.mode = Mode.LIVE  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.hedges[0].ratio = Decimal(1)  # type: ignore[misc]


def test_the_environment_overrides_any_key() -> None:
    config = parse(
        SMALL,
        {
            **CREDENTIALS,
            "KEEPER_MODE": "testnet",
            "KEEPER_LOOP__POLL_SECONDS": "2.5",
            "KEEPER_HEDGES__BTC__RATIO": "0.10",
            "KEEPER_HEDGES__0__BAND__ACT": "0.07",
            "KEEPER_HEDGES__BTC__SPOT": '["main", "main.earn"]',
            "KEEPER_VENUES__MAIN__PASSWORD": "123456",
            "KEEPER_VENUES__MAIN__CCXT__HTTPSPROXY": "http://127.0.0.1:3128",
            "KEEPER_ALERTS__URLS": '["ntfy://topic"]',
            "KEEPER_PORT": "tcp://10.0.0.1:80",
            "KEEPER_LIMITS__MAX_SHORT_NOTIONAL": "",
        },
    )
    assert config.mode is Mode.TESTNET
    assert config.loop.poll_seconds == 2.5
    assert config.hedges[0].ratio == Decimal("0.1")
    assert config.hedges[0].band.act == Decimal("0.07")
    assert config.hedges[0].spot == (AccountId("main"), AccountId("main", "earn"))
    password = config.venues["main"].password
    assert password is not None
    assert password.get_secret_value() == "123456"
    assert config.venues["main"].ccxt == {"httpsProxy": "http://127.0.0.1:3128"}
    assert config.alerts.urls[0].get_secret_value() == "ntfy://topic"
    assert config.limits.max_short_notional is None


def test_a_dash_in_a_venue_is_an_underscore_in_the_environment() -> None:
    content = SMALL.replace("venues.main", "venues.my-Acc").replace('"main', '"my-Acc')
    config = parse(content, {"KEEPER_VENUES__MY_ACC__API_KEY": API_KEY, "KEEPER_VENUES__MY_ACC__API_SECRET": "x" * 9})
    assert config.venues["my-Acc"].api_key.get_secret_value() == API_KEY


def test_variables_for_a_venue_of_another_keeper_are_a_warning() -> None:
    config = parse(SMALL, {**CREDENTIALS, "KEEPER_VENUES__MIAN__API_KEY": "x"})
    assert any("KEEPER_VENUES__MIAN" in text and 'did you mean "main"' in text for text in config.warnings)


def test_errors_name_the_variable_and_never_its_value() -> None:
    text = refusal(SMALL, {**CREDENTIALS, "KEEPER_LOOP__POLL_SECOND": "5", "KEEPER_LOPP__X": "5"})
    assert "KEEPER_LOOP__POLL_SECOND" in text
    assert 'did you mean "poll_seconds"' in text
    assert "KEEPER_LOPP__X" in text
    assert 'did you mean "loop"' in text
    text = refusal(SMALL, {**CREDENTIALS, "KEEPER_HEDGES__BTC__BAND": "{}", "KEEPER_HEDGES__BTC__BAND__ACT": "5"})
    assert "contradicts KEEPER_HEDGES__BTC__BAND" in text


def test_credentials_from_files_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{API_KEY}\n")
    (tmp_path / "secret").write_text(API_SECRET)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "secret").chmod(0o644)
    content = SMALL.replace(VENUE, VENUE + 'api_key_file = "key"\napi_secret_file = "secret"\n')
    (tmp_path / "keeper.toml").write_text(content)
    config = load_config(tmp_path / "keeper.toml", {})
    assert config.venues["main"].api_key.get_secret_value() == API_KEY
    assert config.path == tmp_path / "keeper.toml"
    assert len(config.warnings) == 1
    assert "venues.main.api_secret_file" in config.warnings[0]
    assert "chmod 600" in config.warnings[0]


@pytest.mark.parametrize("written", ["key", "$CREDENTIALS_DIRECTORY/key", "${CREDENTIALS_DIRECTORY}/key"])
def test_systemd_credentials(tmp_path: Path, written: str) -> None:
    (tmp_path / "credentials").mkdir()
    for name in ("key", "secret"):
        (tmp_path / "credentials" / name).write_text(f"{name}-{API_KEY}")
    content = SMALL.replace(VENUE, VENUE + f'api_key_file = "{written}"\napi_secret_file = "secret"\n')
    config = parse(content, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}, tmp_path)
    assert config.venues["main"].api_key.get_secret_value() == f"key-{API_KEY}"


def test_a_pem_key_may_have_lines(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKq\n-----END PRIVATE KEY-----"
    (tmp_path / "secret").write_text(pem + "\n")
    content = SMALL.replace(VENUE, VENUE + 'api_secret_file = "secret"\n')
    config = parse(content, {"KEEPER_VENUES__MAIN__API_KEY": API_KEY}, tmp_path)
    assert config.venues["main"].api_secret.get_secret_value() == pem
    assert "MC4CAQAwBQYDK2VwBCIEIKq" in secrets(config)


def test_secrets_are_masked_everywhere_and_listed_for_redaction() -> None:
    content = (
        HEAD
        + VENUE
        + '[venues.main.ccxt]\nhttpsProxy = "http://me:proxy-pass@127.0.0.1:3128"\n'
        + HEDGE
        + '[journal]\nurl = "postgresql://keeper:db-pa%24s@localhost/keeper"\n'
        + '[alerts]\nurls = ["tgram://123456789:AAtokentoken/4242424242", "mailto://me:mail-pass@example.com"]\n'
    )
    config = parse(content)
    listed = secrets(config)
    for secret in (API_KEY, API_SECRET, "proxy-pass", "db-pa$s", "db-pa%24s", "AAtokentoken", "mail-pass"):
        assert secret in listed
        assert secret not in repr(config)
        assert secret not in str(config)
        assert secret not in config_digest(config)
    for secret in (API_KEY, API_SECRET, "db-pa", "AAtokentoken", "mail-pass"):
        assert secret not in config.model_dump_json()
    assert "example.com" not in listed


def test_a_password_is_masked_wherever_an_address_has_it() -> None:
    content = (
        HEAD
        + VENUE
        + '[venues.main.ccxt]\nhttpsProxy = "http://proxy-token-1:@127.0.0.1:3128"\n'
        + 'urls.api = "http://me:gateway-pass@127.0.0.1:9000"\n'
        + HEDGE
        + '[journal]\nurl = "postgresql://db/keeper?user=keeper&password=db-pa%24s&sslpassword=ssl-pass"\n'
    )
    config = parse(content)
    for secret in ("proxy-token-1", "gateway-pass", "db-pa$s", "db-pa%24s", "ssl-pass"):
        assert secret in secrets(config)
        assert secret not in repr(config)
    assert "keeper" not in secrets(config)


def test_the_digest_tells_what_matters_apart_and_knows_no_secret() -> None:
    first = config_digest(parse(SMALL))
    assert first == config_digest(parse(SMALL.replace('"0.6"', "0.60")))
    assert first == config_digest(parse(SMALL, {**CREDENTIALS, "KEEPER_VENUES__MAIN__API_KEY": "another-key"}))
    assert first != config_digest(parse(SMALL.replace('"0.6"', '"0.7"')))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keeper init"):
        load_config(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})
    (tmp_path / "binary.toml").write_bytes(b"mode = 1\n\xff\xfe")
    with pytest.raises(ConfigError, match="line 2 is not UTF-8"):
        load_config(tmp_path / "binary.toml", {})


@pytest.mark.parametrize("as_of", ["2026-11-01", '"2026-11-01"', '"2026-11-01T01:00:00+01:00"', "2026-11-01T00:00:00Z"])
def test_a_holding_may_have_an_age(as_of: str) -> None:
    held = f'holdings = {{ ledger = {{ amount = "2.5", as_of = {as_of}, max_age_days = 90 }}, safe = "1" }}\n'
    [hedge] = parse(SMALL + held).hedges
    assert hedge.holdings["BTC"] == {
        "ledger": Declared(Decimal("2.5"), 1_793_491_200_000, 90 * 86_400_000),
        "safe": Declared(Decimal(1)),
    }
    assert hedge.declared == {"BTC": Decimal("3.5")}


def test_a_basket_says_the_age_of_each_holding() -> None:
    held = (
        'holdings = { vault = { asset = "SOL", amount = "40", as_of = 2026-11-01 }, '
        'BTC = { ledger = { amount = "2", as_of = 2026-11-01, max_age_days = 1 } } }\n'
    )
    [hedge] = parse(BASKET + held).hedges
    assert hedge.declared == {"BTC": Decimal(2), "SOL": Decimal(40)}
    assert str(hedge.holdings["BTC"]["ledger"]) == "2 as of 2026-11-01T00:00:00Z, for 1 days"


def test_holdings_files_one_or_several() -> None:
    [hedge] = parse(SMALL + 'holdings_file = { path = "./cold.json" }\n').hedges
    assert hedge.holdings_file == (HoldingsFile("cold.json", ("BTC",), 86_400_000),)
    more = (
        'holdings_file = [{ path = "/srv/a.csv", max_age_seconds = 60, assets = ["SOL"], borrowed = true }, '
        '{ path = "b.json" }]\n'
    )
    config = parse(BASKET + more)
    assert config.hedges[0].holdings_file == (
        HoldingsFile("/srv/a.csv", ("SOL",), 60_000, borrowed=True),
        HoldingsFile("b.json", ("BTC", "SOL"), 86_400_000),
    )
    assert config.beside("b.json") == config.path.parent / "b.json"


def test_a_file_alone_is_something_to_protect() -> None:
    alone = SMALL.replace('spot = ["main"]\n', 'holdings_file = { path = "cold.json" }\n')
    assert parse(alone).hedges[0].spot == ()


def test_a_beta_may_be_estimated_for_all_or_for_one() -> None:
    usual = parse(BASKET + 'beta = { method = "ols" }\n').hedges[0].beta
    assert usual == dict.fromkeys(["BTC", "SOL"], Estimated())
    one = parse(
        BASKET + 'beta = { SOL = { method = "ewma", timeframe = "4h", lookback = 500, lambda = "0.98", min_r2 = "0.5", '
        'min_sample = 60, bounds = ["0.5", "2"], shrink = false, refresh_hours = 12, jump = "0.1", '
        'symbol = "SOL/USDC" } }\n'
    ).hedges[0]
    terms = Terms(Method.EWMA, 14_400_000, 500, 0.98, 0.5, 60.0, 0.5, 2.0, shrink=False, refresh_ms=43_200_000)
    assert one.beta == {"BTC": Decimal(1), "SOL": Estimated(terms, "4h", "SOL/USDC", Decimal("0.1"))}
