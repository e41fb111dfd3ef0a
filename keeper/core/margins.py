"""What a venue says of an account's margin, and where that leaves one contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from keeper.core.instruments import ONE, ZERO, AccountId, Instrument, InstrumentId


@dataclass(frozen=True, slots=True)
class PositionMargin:
    """The margin of one position. Money in units of ``asset``; None where the venue does not say."""

    instrument: InstrumentId
    maintenance: Decimal | None
    liquidation_price: Decimal | None
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """The margin of one account that futures are held on, in units of ``asset`` (USDT, USD for a unified account, BTC).

    ``ratio`` is maintenance margin over equity: 0 nothing at risk, 1 liquidation. ``available`` may be transferred out.
    """

    account: AccountId
    asset: str
    equity: Decimal
    maintenance: Decimal
    available: Decimal | None
    positions: tuple[PositionMargin, ...] = ()

    @property
    def ratio(self) -> Decimal | None:
        """Maintenance over equity; None where there is no equity to compare with."""
        return self.maintenance / self.equity if self.equity > 0 else None


def margin_source(venue: str) -> str:
    """The name, in gaps, of the margin of a venue's accounts."""
    return f"{venue} margin"


class Level(StrEnum):
    """How near liquidation is, by the thresholds of the configuration; each one includes those before it."""

    FINE = "fine"
    WARN = "warn"
    BLOCK = "block"
    REDUCE = "reduce"

    @property
    def rank(self) -> int:
        """For comparing two of them."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where each level begins; None: never."""

    warn: Decimal | None = None
    block: Decimal | None = None
    reduce: Decimal | None = None


@dataclass(frozen=True, slots=True)
class MarginPolicy:
    """``ratio`` is of maintenance over equity, reached from below; ``distance`` is the share of the price that is left
    to liquidation, reached from above. ``required`` says that there are no new shorts while the margin is not known.
    """

    ratio: Thresholds = Thresholds()
    distance: Thresholds = Thresholds()
    required: bool = False

    def level(self, ratio: Decimal | None, distance: Decimal | None, *, exhausted: bool = False) -> Level:
        """The level that is reached; ``exhausted`` accounts owe margin and have no equity left."""
        if exhausted:
            return Level.REDUCE if self.ratio.reduce is not None else Level.BLOCK
        reached = Level.FINE
        for level in (Level.WARN, Level.BLOCK, Level.REDUCE):
            most, least = getattr(self.ratio, level), getattr(self.distance, level)
            near = distance is not None and least is not None and distance <= least
            if near or (ratio is not None and most is not None and ratio >= most):
                reached = level
        return reached


@dataclass(frozen=True, slots=True)
class LegMargin:
    """The margin behind one contract: its account, its own position there, and how far liquidation is.

    ``ratio`` is None where the account has no equity, or the position margin of its own that the venue does not tell.
    ``distance`` is a share of the mark, not negative; None where no price liquidates it, or none is told. ``level`` is
    that of the configuration's thresholds.
    """

    account: AccountMargin
    position: PositionMargin | None
    ratio: Decimal | None
    liquidation_price: Decimal | None
    distance: Decimal | None
    level: Level = Level.FINE

    @property
    def isolated(self) -> bool:
        """Whether the position has margin of its own, apart from the account's."""
        return self.position is not None and self.position.isolated

    @property
    def exhausted(self) -> bool:
        """Whether the account owes margin and has no equity left."""
        return not self.isolated and self.account.equity <= 0 and self.account.maintenance > 0


def margin_of(instrument: Instrument, margins: Iterable[AccountMargin], mark: Decimal | None) -> LegMargin | None:
    """The margin behind ``instrument``; None where no account that carries it was read.

    An account that shows the position is the one; else the one that is kept in the coin that the contract settles in;
    else the venue's unified account, which carries everything.
    """
    ident = instrument.id
    here = [each for each in margins if each.account.venue == ident.venue]
    ranked = (
        [each for each in here if any(row.instrument == ident for row in each.positions)],
        [each for each in here if each.asset == instrument.settle],
        [each for each in here if not each.account.wallet],
    )
    account = next((found[0] for found in ranked if found), None)
    if account is None:
        return None
    row = next((row for row in account.positions if row.instrument == ident), None)
    price = row.liquidation_price if row is not None else None
    price = price if price is not None and price > 0 else None
    distance = None if price is None or mark is None or mark <= 0 else abs(price / mark - ONE)
    return LegMargin(account, row, None if row is not None and row.isolated else account.ratio, price, distance)


AIM_RATIO = Decimal("0.95")
AIM_DISTANCE = Decimal("1.05")
"""A reduction goes this much further than ``block``, so that its own fees do not ask for another one."""


def share_to_cover(margin: LegMargin, notional: Decimal, policy: MarginPolicy, *, linear: bool) -> Decimal:
    """The share of a short of ``notional`` (positive, in units of the account) that brings it back below ``block``.

    Covering leaves the equity and takes maintenance away: (M - f·M_own) / E < block. For the distance d, with the
    slope K = (E - M) / d: (E - M + f·M_own) / (K - f·(N + M_own)) > block, where M_own in the slope is of linear
    contracts alone. Where the venue does not tell the maintenance of the one position, all of the account's is taken
    for the first, and none for the second. A position with margin of its own gives that back when it is covered, so
    that no share helps.
    """
    account = margin.account
    if margin.isolated or notional <= 0:
        return ZERO
    if margin.exhausted:
        return ONE
    equity, needed = account.equity, account.maintenance
    own = margin.position.maintenance if margin.position is not None else None
    shares = [ZERO]
    most = policy.ratio.block
    if most is not None and needed > most * equity:
        part = own if own else needed
        shares.append((needed - AIM_RATIO * most * equity) / part)
    least = policy.distance.block
    if least is not None and margin.distance is not None and ZERO < margin.distance <= least:
        aim, part, free = AIM_DISTANCE * least, own or ZERO, equity - needed
        lost = notional + (part if linear else ZERO)
        shares.append((aim * free / margin.distance - free) / (part + aim * lost))
    return min(ONE, max(shares))
