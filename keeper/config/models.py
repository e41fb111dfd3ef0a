"""The configuration as frozen models: what every key means, its unit, its default and its bounds.

Only facts that the file itself can settle are judged here and in ``crosschecks``; whether an exchange, a wallet or a
symbol exists is the venue's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from keeper.config.client_options import client_options
from keeper.config.estimates import Estimated
from keeper.config.execution import ExecutionConfig
from keeper.config.holdings import Holdings, HoldingsFile, read_betas, read_files, read_holdings
from keeper.config.instruments import VENUE_NAME, Choice, first_instrument, read_instruments
from keeper.config.margin import MarginConfig
from keeper.config.paper import PaperConfig
from keeper.config.rolls import RollConfig
from keeper.config.section import Section
from keeper.config.targets import Coins, Notional, Ratio, TransitionConfig, one_target
from keeper.config.top_up import TopUpConfig
from keeper.config.values import file_name, kind_of, nearest, number, one_of, seconds, sequence, shown, text, whole
from keeper.core.model import AccountId, Band, ExposureMode, InstrumentId, Unlisted
from keeper.core.targets import Target

_JOURNAL_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql", "postgresql+asyncpg")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Mode(StrEnum):
    """What a keeper may do: look only, trade on paper, trade test money, or trade."""

    DRY_RUN = "dry-run"
    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


def mode_of(value: object) -> Mode:
    """The mode that a word names; raises :class:`ValueError` with what to write instead."""
    return Mode(one_of(*Mode)(value))


def _exchange(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, the exchange's id in ccxt, and is {kind_of(value)}")
    if not re.fullmatch(r"[a-z0-9_]{2,40}", value, re.ASCII):
        lower = value.strip().lower()
        meant = f', "{lower}"' if re.fullmatch(r"[a-z0-9_]{2,40}", lower, re.ASCII) else ""
        raise ValueError(f"is {shown(value)}; write the exchange's id in ccxt, in lower case{meant}")
    return value


def _account(value: object) -> AccountId:
    name = text(rf"{VENUE_NAME}(\.[A-Za-z0-9_-]+)?", "main")(value)
    venue, _, wallet = name.partition(".")
    return AccountId(venue, wallet)


def _hedged(info: ValidationInfo) -> tuple[str, ...]:
    """The assets as read so far; empty when they could not be read, which is then the one problem to report."""
    asset = info.data.get("asset")
    return info.data.get("assets") or (() if asset is None else (asset,))


def _betas(value: object, info: ValidationInfo) -> Mapping[str, Decimal | Estimated]:
    assets = _hedged(info)
    return read_betas(value, assets) if assets else {}


def _holdings(value: object, info: ValidationInfo) -> Holdings:
    assets = _hedged(info)
    return read_holdings(value, assets) if assets else {}


def _holdings_files(value: object, info: ValidationInfo) -> tuple[HoldingsFile, ...]:
    assets = _hedged(info)
    return read_files(value, assets) if assets else ()


Share = Annotated[Decimal, BeforeValidator(number(at_least="0", unit="(a drift ratio: 0.05 is 5 %)"))]
Money = Annotated[Decimal, BeforeValidator(number(above="0", unit="(quote money)"))]
Leverage = Annotated[Decimal, BeforeValidator(number(at_least="1", at_most="125"))]
Asset = Annotated[str, BeforeValidator(text(r"[A-Za-z0-9._-]{1,24}", "BTC"))]
_UPTO_HOUR = BeforeValidator(seconds(at_least="0.01", at_most="3600"))
_UPTO_MINUTES = BeforeValidator(seconds(at_least="0.01", at_most="300"))
_UPTO_DAY = BeforeValidator(seconds(at_least="0", at_most="86400"))
UptoHour = Annotated[float, _UPTO_HOUR]
UptoMinutes = Annotated[float, _UPTO_MINUTES]
UptoDay = Annotated[float, _UPTO_DAY]
FileName = Annotated[str, BeforeValidator(file_name("/run/credentials/keeper/api_key"))]


class VenueConfig(Section):
    """One account at one exchange. The three credentials never come from the file itself."""

    exchange: Annotated[str, BeforeValidator(_exchange)]
    api_key: SecretStr
    api_secret: SecretStr
    password: SecretStr | None = None
    api_key_file: FileName | None = None
    api_secret_file: FileName | None = None
    password_file: FileName | None = None
    ccxt: Annotated[dict[str, Any], PlainValidator(client_options)] = Field(default_factory=dict, repr=False)
    top_up: TopUpConfig | None = None
    paper: PaperConfig | None = None


class BandConfig(Section):
    """Thresholds on the absolute drift ratio. ``warn`` left out is 0.02, or ``act`` where that is lower."""

    warn: Share | None = None
    act: Annotated[Decimal, BeforeValidator(number(above="0", unit="(a drift ratio: 0.05 is 5 %)"))] = Decimal("0.05")
    halt: Share = Decimal("0.50")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.warning <= self.act < self.halt:
            raise ValueError(
                f"must satisfy warn <= act < halt, and is warn {self.warning}, act {self.act}, halt "
                f'{self.halt}; write it as in {{ warn = "0.02", act = "0.05", halt = "0.50" }}'
            )
        return self

    @property
    def warning(self) -> Decimal:
        """The drift ratio beyond which an alert goes out."""
        return min(Decimal("0.02"), self.act) if self.warn is None else self.warn

    def to_core(self) -> Band:
        """The band as the core knows it."""
        return Band(warn=self.warning, act=self.act, halt=self.halt)


class HedgeConfig(Section):
    """One hedge: what is protected, with which contract, and how closely.

    Once read, ``assets`` names the one asset too, ``beta`` maps every asset to its slope per unit of notional, or to
    how that is estimated, ``holdings`` maps asset -> label -> coins, ``holdings_file`` lists files, and ``instrument``
    is the first of ``instruments`` where those are given.
    """

    name: Annotated[str, BeforeValidator(text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", "btc"))]
    asset: Asset | None = None
    assets: Annotated[tuple[Asset, ...], BeforeValidator(sequence('["BTC", "SOL"]'))] = ()
    beta: Annotated[Mapping[str, Decimal | Estimated], PlainValidator(_betas), PlainSerializer(dict)] = Field(
        default="1", validate_default=True
    )
    spot: Annotated[
        tuple[Annotated[AccountId, PlainValidator(_account), PlainSerializer(str)], ...],
        BeforeValidator(sequence('["main"]')),
    ] = ()
    holdings: Annotated[Holdings, PlainValidator(_holdings), PlainSerializer(dict)] = Field(default_factory=dict)
    holdings_file: Annotated[tuple[HoldingsFile, ...], PlainValidator(_holdings_files), PlainSerializer(list)] = ()
    instruments: Annotated[
        tuple[Choice, ...], PlainValidator(read_instruments), PlainSerializer(lambda several: [*map(str, several)])
    ] = ()
    instrument: Annotated[InstrumentId, PlainValidator(first_instrument), PlainSerializer(str)] = Field(
        default=None, validate_default=True
    )
    tailing: bool = False
    ratio: Ratio | None = None
    quantity: Coins | None = None
    notional: Notional | None = None
    min_ratio: Ratio = Decimal(0)
    max_ratio: Ratio = Decimal(1)
    transition: TransitionConfig | None = None
    exposure: Annotated[ExposureMode, BeforeValidator(one_of(*ExposureMode))] = ExposureMode.EQUITY
    band: BandConfig = BandConfig()
    unlisted: Annotated[Unlisted, BeforeValidator(one_of(*Unlisted))] = Unlisted.HOLD
    leverage: Leverage | None = None
    margin_mode: Annotated[Literal["cross", "isolated"], BeforeValidator(one_of("cross", "isolated"))] | None = None
    max_slippage: Annotated[Decimal, BeforeValidator(number(above="0", below="0.1"))] = Decimal("0.001")
    roll: RollConfig = RollConfig()
    execution: ExecutionConfig = ExecutionConfig()

    @field_validator("margin_mode", mode="before")
    @classmethod
    def _margin_mode(cls, value: object) -> object:
        return None if value is None else one_of("cross", "isolated")(value)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.asset is not None and self.assets not in ((), (self.asset,)):
            raise ValueError("gives both asset and assets; keep asset for one coin, or assets for a basket")
        if self.asset is None and not self.assets:
            raise ValueError('needs asset = "BTC", or assets = ["BTC", "SOL"] for a basket')
        # The one asset is shown as a list too, so that nobody has to look in two places. pydantic runs this again
        # when the whole is put together.
        object.__setattr__(self, "assets", self.assets or (self.asset,))
        bound = self.execution.escalate_drift
        if bound is not None and bound <= self.band.act:
            raise ValueError(f"has execution.escalate_drift {bound}, which has to be above band.act {self.band.act}")
        for what, names in (("assets", self.assets), ("spot", tuple(map(str, self.spot)))):
            if len(set(names)) != len(names):
                raise ValueError(f"names something twice in {what}; keep it once")
        _ = self.target
        return self

    @property
    def target(self) -> Target:
        """The one target that is given."""
        given = {"ratio": self.ratio, "quantity": self.quantity, "notional": self.notional}
        return one_target(given, self.assets, self.min_ratio, self.max_ratio)

    @property
    def declared(self) -> Mapping[str, Decimal]:
        """Coins held elsewhere, summed per asset; an asset of which nothing is declared is absent."""
        return {
            asset: sum((each.amount for each in labels.values()), Decimal(0)) for asset, labels in self.holdings.items()
        }

    @property
    def carriers(self) -> tuple[Choice, ...]:
        """Every contract that may carry the hedge."""
        return self.instruments or (Choice(self.instrument),)

    @property
    def looks_coin_margined(self) -> bool:
        """Whether the symbol of one of its contracts says that it settles in its own coin."""
        symbols = (choice.instrument.symbol.partition(":") for choice in self.carriers)
        return any(settle.partition("-")[0] == pair.partition("/")[0] for pair, _, settle in symbols)

    @property
    def looks_dated(self) -> bool:
        """Whether the symbol of one of its contracts says that it expires."""
        return any("-" in choice.instrument.symbol.rpartition(":")[2] for choice in self.carriers)


class LimitsConfig(Section):
    """Hard limits that no hedge can exceed: quote money, a count, and a fraction of the price."""

    max_order_notional: Money = Decimal(250000)
    max_short_notional: Money | None = None
    max_orders_per_hour: Annotated[int, BeforeValidator(whole(at_least=1, at_most=100000, unit="orders"))] = 120
    max_daily_turnover: Money | None = None
    max_slippage: Annotated[Decimal, BeforeValidator(number(above="0", below="0.1"))] = Decimal("0.02")


class LoopConfig(Section):
    """The pace of the loop, in seconds."""

    poll_seconds: UptoHour = 5.0
    read_timeout_seconds: UptoMinutes = 10.0
    order_timeout_seconds: UptoMinutes = 10.0
    start_patience_seconds: UptoDay = 60.0


class SafetyConfig(Section):
    """When a reading is not believed, or not believed yet."""

    confirm_jump_ratio: Annotated[Decimal, BeforeValidator(number(above="0", at_most="1"))] = Decimal("0.2")
    unexplained_zero_seconds: UptoDay = 600.0
    stale_price_seconds: UptoHour = 30.0
    position_lag_seconds: UptoHour = 30.0
    visibility_seconds: UptoHour = 10.0
    max_clock_offset_ms: Annotated[int, BeforeValidator(whole(at_least=1, at_most=60000, unit="milliseconds"))] = 2500
    max_foreign_change: Annotated[Decimal, BeforeValidator(number(at_least="0", at_most="1"))] = Decimal("0.25")
    kill_file: FileName = "keeper.kill"
    min_free_mb: Annotated[int, BeforeValidator(whole(at_least=0, at_most=1000000, unit="megabytes"))] = 100


class JournalConfig(Section):
    """Where the record is kept. The URL may hold a password and is masked; :attr:`dsn` is the text of it."""

    url: SecretStr = SecretStr("sqlite:///keeper.db")

    @field_validator("url", mode="before")
    @classmethod
    def _scheme(cls, value: object) -> object:
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(plain, str):
            raise ValueError(f'must be text in quotes, such as "sqlite:///keeper.db", and is {kind_of(value)}')
        scheme, separator, rest = plain.partition("://")
        if not separator or scheme not in _JOURNAL_SCHEMES:
            hint = nearest(scheme, _JOURNAL_SCHEMES) if separator else ""
            raise ValueError(
                f"must begin with one of {', '.join(s + '://' for s in _JOURNAL_SCHEMES)}{hint}; "
                'the default is "sqlite:///keeper.db"'
            )
        if not plain.isprintable():
            raise ValueError("holds a line break or another character that cannot be printed")
        if scheme.startswith("sqlite") and not rest.startswith("/"):
            raise ValueError(
                'needs three slashes before a relative path, four before an absolute one, as in "sqlite:///keeper.db"'
            )
        if scheme.startswith("sqlite") and rest in ("/", "//", "/:memory:"):
            raise ValueError('names no file; a journal has to survive a crash: write "sqlite:///keeper.db"')
        if scheme.startswith("postgres") and not _has_host(plain):
            raise ValueError('names no server; write it as in "postgresql://keeper@localhost/keeper"')
        return value

    @property
    def dsn(self) -> str:
        """The URL in clear, for the one who connects."""
        return self.url.get_secret_value()


class ApiConfig(Section):
    """The HTTP and WebSocket interface, on this machine only."""

    bind: str = "127.0.0.1:8787"
    token_file: FileName | None = None

    @field_validator("bind", mode="before")
    @classmethod
    def _loopback(cls, value: object) -> str:
        example = 'write it as in "127.0.0.1:8787"'
        if not isinstance(value, str):
            raise ValueError(f"must be text in quotes, and is {kind_of(value)}; {example}")
        host, separator, port = value.rpartition(":")
        if not separator or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
            raise ValueError(f"is {shown(value)}, without a port from 0 to 65535; {example}")
        if host.strip("[]") not in _LOOPBACK:
            raise ValueError(
                f"is {shown(value)}; only this machine may reach the interface, so {example}, and reach "
                "it from elsewhere through ssh -L or a reverse proxy that authenticates"
            )
        return value

    @property
    def host(self) -> str:
        """The loopback host, without brackets."""
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0 takes any that is free."""
        return int(self.bind.rpartition(":")[2])


class AlertsConfig(Section):
    """Where alerts go. The URLs hold tokens and are masked."""

    urls: Annotated[tuple[SecretStr, ...], BeforeValidator(sequence('["ntfy://topic"]'))] = ()
    repeat_seconds: UptoDay = 900.0

    @field_validator("urls", mode="after")
    @classmethod
    def _schemes(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for index, url in enumerate(urls):
            scheme, separator, rest = url.get_secret_value().partition("://")
            if not (separator and rest and scheme.isascii() and scheme.isalnum()):
                raise ValueError(f'has an entry, number {index + 1}, that is not an apprise URL such as "ntfy://topic"')
        return urls


class LogConfig(Section):
    """What is logged, to stderr."""

    level: Annotated[str, BeforeValidator(one_of("debug", "info", "warning", "error"))] = "info"
    format: Annotated[str, BeforeValidator(one_of("auto", "json", "console"))] = "auto"


class Config(Section):
    """The whole configuration, checked."""

    mode: Annotated[Mode, BeforeValidator(mode_of)]
    venues: dict[str, VenueConfig]
    hedges: tuple[HedgeConfig, ...]
    limits: LimitsConfig = LimitsConfig()
    loop: LoopConfig = LoopConfig()
    safety: SafetyConfig = SafetyConfig()
    margin: MarginConfig = MarginConfig()
    journal: JournalConfig = JournalConfig()
    api: ApiConfig = ApiConfig()
    alerts: AlertsConfig = AlertsConfig()
    log: LogConfig = LogConfig()

    _path: Path = PrivateAttr(default=Path("keeper.toml"))
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def path(self) -> Path:
        """The file that this was read from."""
        return self._path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, and worth a second look."""
        return self._warnings

    @property
    def journal_url(self) -> str:
        """The journal's URL in clear, a relative SQLite path taken from the config file's directory."""
        scheme, separator, path = self.journal.dsn.partition(":///")
        if not separator or not scheme.startswith("sqlite") or path.startswith("/"):
            return self.journal.dsn
        return f"{scheme}:///{self._path.parent / path}"

    @property
    def token_file(self) -> Path | None:
        """Where the API's token is kept, relative to the config file; None: beside the journal."""
        return None if self.api.token_file is None else self._path.parent / Path(self.api.token_file).expanduser()

    @property
    def kill_file(self) -> Path:
        """The file that stops all orders while it exists, relative to the config file."""
        return self._path.parent / Path(self.safety.kill_file).expanduser()

    def beside(self, path: str) -> Path:
        """A path of the file, relative to the config file."""
        return self._path.parent / Path(path).expanduser()

    def hedge(self, name: str) -> HedgeConfig | None:
        """The hedge of that name."""
        return next((hedge for hedge in self.hedges if hedge.name == name), None)

    def remember(self, path: Path, warnings: tuple[str, ...]) -> None:
        """Note where this came from; the loader's business."""
        self._path = path
        self._warnings = warnings


SECTIONS: Mapping[str, type[Section]] = {
    "limits": LimitsConfig,
    "loop": LoopConfig,
    "safety": SafetyConfig,
    "margin": MarginConfig,
    "journal": JournalConfig,
    "api": ApiConfig,
    "alerts": AlertsConfig,
    "log": LogConfig,
}


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname or parts.query) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
