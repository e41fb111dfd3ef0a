"""What a move of prices would do to a hedged portfolio, before it happens.

A move is a share of the contracts' prices, the same for all of them; a coin moves by its β times as much, and not below
zero. All figures are quote money against now: ``spot = Σ β·V·m``, ``futures = N·m`` with the signed notional N (for a
coin-margined contract its profit in coins at the price reached: n·size·(1/P - 1/P')·P' = N·m), ``net`` their sum. The
value after it is the value of the coins now plus the net. The ratio is that of the hedge, -Σ D·P / Σ β·V. Nothing is
traded meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from keeper.core.margin import NOTHING, Curve
from keeper.core.model import ONE, Kind

DEFAULT_MOVES = tuple(Fraction(percent, 100) for percent in (-50, -20, -10, 10, 20, 50))


@dataclass(frozen=True, slots=True)
class Coins:
    """Coins by their worth in quote money now (negative: owed). ``counted`` ones are what the hedge protects."""

    worth: Fraction
    beta: Decimal | Fraction = ONE
    counted: bool = True

    def worth_at(self, move: Fraction) -> Fraction:
        """What they are worth after the move."""
        return self.worth * max(NOTHING, 1 + Fraction(self.beta) * move)


@dataclass(frozen=True, slots=True)
class Leg:
    """A position: signed notional in quote money now (short < 0), and the account that margins it.

    ``gains_count`` says that the profit of a coin-margined contract is part of what the hedge protects.
    """

    kind: Kind
    notional: Fraction
    pool: str
    gains_count: bool = True

    def delta_at(self, move: Fraction) -> Fraction:
        """Its delta in quote money after the move: a coin-margined contract keeps its dollars, others their coins."""
        return self.notional if self.kind is Kind.INVERSE else self.notional * (1 + move)


@dataclass(frozen=True, slots=True)
class Pool:
    """A margin account: its curve, or where only the price of liquidation is known, the move that leads there."""

    curve: Curve | None = None
    liquidation_move: Fraction | None = None

    def ratio_at(self, move: Fraction) -> Fraction | None:
        """Maintenance over equity; None where it is not known, or no equity is left."""
        return None if self.curve is None else self.curve.ratio_at(move)

    def distance_at(self, move: Fraction) -> Fraction | None:
        """How far the price still is from liquidation, a share of the price after the move; up is positive."""
        if self.curve is not None:
            return self.curve.distance_at(move)
        return None if self.liquidation_move is None else (1 + self.liquidation_move) / (1 + move) - 1

    def liquidated_at(self, move: Fraction) -> bool | None:
        """Whether the move leads to or beyond liquidation; None where that is not known."""
        if self.curve is not None:
            return self.curve.liquidated_at(move)
        end = self.liquidation_move
        return None if end is None else (move >= end if end > 0 else move <= end)


@dataclass(frozen=True, slots=True)
class Line:
    """One hedge of a portfolio."""

    name: str
    coins: tuple[Coins, ...]
    legs: tuple[Leg, ...]

    @property
    def worth(self) -> Fraction:
        """Quote money that its coins are worth now."""
        return sum((each.worth for each in self.coins), NOTHING)


@dataclass(frozen=True, slots=True)
class Step:
    """One move and what it does; quote money. None is "not known" or "does not exist", never zero.

    ``hedge_ratio`` is what is then hedged, null where nothing is left to protect. Of several accounts, margin ratio and
    distance are those of the one in most danger. ``liquidated`` says that a position would not have lived to see it.
    """

    move: Fraction
    spot_pnl: Fraction
    futures_pnl: Fraction
    value: Fraction
    hedge_ratio: Fraction | None
    margin_ratio: Fraction | None
    distance: Fraction | None
    liquidated: bool | None

    @property
    def net_pnl(self) -> Fraction:
        """Both together."""
        return self.spot_pnl + self.futures_pnl


def step(lines: Sequence[Line], pools: Mapping[str, Pool], move: Fraction) -> Step:
    """What ``move`` does to these hedges together; raises :class:`ValueError` for a fall of all or more."""
    if move <= -1:
        raise ValueError("a price cannot fall by 100 % or more")
    coins = [each for line in lines for each in line.coins]
    legs = [leg for line in lines for leg in line.legs]
    worth = sum((each.worth for each in coins), NOTHING)
    spot = sum((each.worth_at(move) for each in coins), NOTHING) - worth
    futures = sum((leg.notional * move for leg in legs), NOTHING)
    protected = sum((Fraction(each.beta) * each.worth_at(move) for each in coins if each.counted), NOTHING)
    protected += sum((leg.notional * move for leg in legs if leg.kind is Kind.INVERSE and leg.gains_count), NOTHING)
    delta = sum((leg.delta_at(move) for leg in legs), NOTHING)
    used = [pools[name] for name in dict.fromkeys(leg.pool for leg in legs if leg.notional) if name in pools]
    return Step(
        move=move,
        spot_pnl=spot,
        futures_pnl=futures,
        value=worth + spot + futures,
        hedge_ratio=-delta / protected if protected > 0 else None,
        margin_ratio=_worst_ratio(used, move),
        distance=_nearest(pool.distance_at(move) for pool in used),
        liquidated=_any(pool.liquidated_at(move) for pool in used),
    )


def stress(
    lines: Sequence[Line], pools: Mapping[str, Pool], moves: Iterable[Fraction] = DEFAULT_MOVES
) -> tuple[tuple[tuple[Step, ...], ...], tuple[Step, ...]]:
    """The steps of each line, and those of all together, in the order of ``moves``."""
    wanted = tuple(moves)
    each = tuple(tuple(step([line], pools, move) for move in wanted) for line in lines)
    return each, tuple(step(lines, pools, move) for move in wanted)


def _worst_ratio(pools: Sequence[Pool], move: Fraction) -> Fraction | None:
    """The highest; None where one of them has no equity left or is not known, which a number would hide."""
    ratios = [pool.ratio_at(move) for pool in pools]
    known = [ratio for ratio in ratios if ratio is not None]
    return max(known) if known and len(known) == len(ratios) else None


def _nearest(distances: Iterable[Fraction | None]) -> Fraction | None:
    known = [distance for distance in distances if distance is not None]
    return min(known, key=abs, default=None)


def _any(found: Iterable[bool | None]) -> bool | None:
    answers = list(found)
    if any(answers):
        return True
    return None if not answers or None in answers else False
