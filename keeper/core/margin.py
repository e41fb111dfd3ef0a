"""Margin: what an account is worth and needs at every price, and the price at which the two meet.

While the contracts of one account move together by the share m (P becomes P·(1 + m)), equity and maintenance, both in
quote money at the price reached, are straight lines in m for linear and for coin-margined contracts alike:

======================  ==================  =========================================
part of the account     at the price now    for each unit of m
======================  ==================  =========================================
money                   amount              0
coins with haircut c    c·q·P               c·β·q·P
linear position         0                   N (short < 0), maintenance μ·|N| and μ·|N|
coin-margined position  0                   c·N, maintenance μ·|N| and 0
======================  ==================  =========================================

N is the signed notional at the price now; what a position has gained so far is part of the money or of the coins. Lines
add up, so an account is the sum of its parts, and its liquidation is where equity meets maintenance: for a linear short
of q coins P = (E₀ + q·P₀) / (q·(1 + μ)); for a coin-margined one P = N·(1 - μ) / (N/P₀ - C), finite only if N > C·P₀.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from keeper.core.model import ONE, ZERO, Contracts, Kind
from keeper.core.sizing import contract_value

NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Curve:
    """An account in quote money: its value at the present price, and the change of it for each unit of the move."""

    equity: Fraction = NOTHING
    equity_slope: Fraction = NOTHING
    maintenance: Fraction = NOTHING
    maintenance_slope: Fraction = NOTHING

    def __add__(self, other: Curve) -> Curve:
        """Both in one account."""
        return Curve(
            self.equity + other.equity,
            self.equity_slope + other.equity_slope,
            self.maintenance + other.maintenance,
            self.maintenance_slope + other.maintenance_slope,
        )

    def equity_at(self, move: Fraction) -> Fraction:
        """Quote money that the account is worth after ``move``, a share of the price."""
        return self.equity + self.equity_slope * move

    def maintenance_at(self, move: Fraction) -> Fraction:
        """Quote money that the positions need after ``move``."""
        return self.maintenance + self.maintenance_slope * move

    def ratio_at(self, move: Fraction) -> Fraction | None:
        """Maintenance over equity: 0 nothing at risk, 1 liquidation; None where no equity is left to compare with."""
        equity = self.equity_at(move)
        return self.maintenance_at(move) / equity if equity > 0 else None

    def liquidated_at(self, move: Fraction) -> bool:
        """Whether positions that need something have no more than that; one that has not now is not brought back."""
        return self._falls_short(move) or self._falls_short(Fraction(0))

    def _falls_short(self, move: Fraction) -> bool:
        needed = self.maintenance_at(move)
        return needed > 0 and self.equity_at(move) <= needed

    @property
    def liquidation_move(self) -> Fraction | None:
        """The move at which equity meets maintenance; None where no price above zero does that."""
        closing = self.maintenance_slope - self.equity_slope
        if closing == 0 or (self.maintenance == 0 and self.maintenance_slope == 0):
            return None
        move = (self.equity - self.maintenance) / closing
        return move if move > -1 else None

    def distance_at(self, move: Fraction) -> Fraction | None:
        """How far the price still is from liquidation, as a share of the price after ``move``; up is positive."""
        end = self.liquidation_move
        return None if end is None else (1 + end) / (1 + move) - 1


def money(amount: Decimal | Fraction) -> Curve:
    """Quote money; negative where it is owed."""
    return Curve(Fraction(amount))


def coins(quantity: Decimal | Fraction, price: Decimal, haircut: Decimal = ONE, beta: Decimal = ONE) -> Curve:
    """Coins that count as margin at the share ``haircut`` of their price; they move by ``beta`` times the contract."""
    worth = Fraction(quantity) * Fraction(price) * Fraction(haircut)
    return Curve(worth, worth * Fraction(beta))


def position(kind: Kind, notional: Fraction, maintenance_rate: Decimal, haircut: Decimal = ONE) -> Curve:
    """A position of ``notional`` (quote money now, short < 0) that needs ``maintenance_rate`` of it as margin.

    ``haircut`` is that of the coin in which a coin-margined position is paid.
    """
    needed = Fraction(maintenance_rate) * abs(notional)
    if kind is Kind.INVERSE:
        return Curve(equity_slope=notional * Fraction(haircut), maintenance=needed)
    return Curve(equity_slope=notional, maintenance=needed, maintenance_slope=needed)


@dataclass(frozen=True, slots=True)
class Held:
    """A position as it was entered. ``contracts`` is signed (short < 0), prices are quote money (index: points)."""

    kind: Kind
    contracts: Contracts
    contract_size: Decimal
    entry: Decimal
    maintenance_rate: Decimal


def liquidation_price(
    held: Held, wallet: Decimal, *, collateral: Decimal = ZERO, haircut: Decimal = ONE
) -> Decimal | None:
    """The price at which the account's equity is down to maintenance, cross margin, this being its one position.

    ``wallet`` is what the account had at the entry, profit since then apart: quote money for linear and index
    contracts, coins for coin-margined ones. ``collateral`` are coins that margin a linear contract, at ``haircut``.
    None where no price liquidates it.
    """
    notional = Fraction(held.contracts) * contract_value(held.kind, held.contract_size, held.entry)
    backing = coins(wallet, held.entry) if held.kind is Kind.INVERSE else money(wallet)
    curve = backing + coins(collateral, held.entry, haircut) + position(held.kind, notional, held.maintenance_rate)
    move = curve.liquidation_move
    return None if move is None else as_decimal(Fraction(held.entry) * (1 + move))


def as_decimal(number: Fraction) -> Decimal:
    """A figure for people and programs: rounded once, half to even, to twelve places."""
    return Decimal(f"{round(number * 10**12)}E-12")  # no arithmetic: that would round to the context's 28 digits
