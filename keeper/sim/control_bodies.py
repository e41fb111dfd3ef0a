"""What the control API takes: amounts in asset units, prices in quote units, as strings or numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from keeper.sim.fault_kinds import FaultKind
from keeper.sim.types import MarketKind, WalletKind

Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Asset = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]

PLAY_MAX_SECONDS = 86_400
FRAMES_MAX = 1_000
SCHEDULE_MAX = 1_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Body):
    """Set an asset's index price, quote units."""

    asset: Asset
    price: Positive


class Play(_Body):
    """Play a path over ``seconds``; a keyframe is (fraction of that time, price)."""

    asset: Asset = "BTC"
    path: str | None = None
    keyframes: (
        Annotated[list[tuple[Annotated[float, Field(ge=0, le=1)], Positive]], Field(max_length=FRAMES_MAX)] | None
    ) = None
    seconds: Annotated[float, Field(gt=0, le=PLAY_MAX_SECONDS)] = 60.0


class Money(_Body):
    """Money that arrives or leaves, asset units."""

    asset: Asset
    amount: Positive
    wallet: WalletKind = WalletKind.SPOT


class Transfer(_Body):
    """Money that moves between two wallets, asset units."""

    asset: Asset
    amount: Positive
    source: WalletKind
    target: WalletKind


class SpotTrade(_Body):
    """A trade of the account's owner on spot, base units."""

    side: Literal["buy", "sell"]
    asset: Asset
    amount: Positive
    quote: Asset = "USDT"


class Funding(_Body):
    """A funding rate, a fraction of notional; > 0: longs pay shorts."""

    symbol: str
    rate: Annotated[Decimal, Field(ge=-1, le=1, allow_inf_nan=False)]
    settle: bool = True


class Basis(_Body):
    """A contract's premium over the index, a fraction of it; a dated one's shrinks from there to its expiry."""

    symbol: str
    ratio: Annotated[Decimal, Field(gt=-1, le=1, allow_inf_nan=False)]


Moments = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=SCHEDULE_MAX)]

Waits = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1, max_length=SCHEDULE_MAX)]


class Schedule(_Body):
    """When a fault is to strike: at exchange times, so many seconds from now, or at the nth opportunities."""

    at_ms: Moments | None = None
    after_seconds: Waits | None = None
    at_event: Moments | None = None


class Fault(_Body):
    """A fault to arm: how often at most (``count``), or with what chance, or when; without any of them, once.

    ``probability`` is a fraction ("1/20") or a decimal. ``symbol`` keeps it to one market of ``product``.
    """

    kind: FaultKind
    count: Annotated[int, Field(ge=1)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[Fraction, Field(gt=0, le=1)] | None = None
    schedule: Schedule | None = None
    symbol: str | None = None
    product: MarketKind = MarketKind.LINEAR
    parameters: dict[str, bool | int | Decimal | str] = {}
