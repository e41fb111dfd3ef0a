"""The table ``roll`` of a hedge: when a dated contract is left, and what the next one may cost."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from keeper.config.section import Section
from keeper.config.values import kind_of, nearest, number, one_of, sequence, shown
from keeper.core.orders import plain
from keeper.core.roll_rules import CANDIDATE_WORDS, Fallback, RollRules, WhenTooDear

_DEFAULTS = RollRules()
_IDENT = re.compile(r"[A-Za-z0-9_-]+:[^\s:/]+/[^\s:/]+:[^\s:/]+")


def _candidate(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'must be text in quotes, such as "next", and is {kind_of(value)}')
    if value in CANDIDATE_WORDS or _IDENT.fullmatch(value):
        return value
    raise ValueError(
        f"is {shown(value)}; write one of {', '.join(CANDIDATE_WORDS)}, or a contract as in "
        f'"main:BTC/USDT:USDT-270326"{nearest(value, CANDIDATE_WORDS)}'
    )


def _days(at_least: str, at_most: str) -> BeforeValidator:
    return BeforeValidator(number(at_least=at_least, at_most=at_most, unit="(days)"))


def _fraction(at_most: str, unit: str) -> BeforeValidator:
    return BeforeValidator(number(at_least="0", at_most=at_most, unit=unit))


class RollConfig(Section):
    """How a hedge leaves a contract that expires. Days of 24 hours; costs as shares of the notional a year."""

    window_days: Annotated[Decimal, _days("0.1", "180")] = _DEFAULTS.window_days
    latest_days: Annotated[Decimal, _days("0.05", "90")] = _DEFAULTS.latest_days
    horizon_days: Annotated[Decimal, _days("1", "730")] = _DEFAULTS.horizon_days
    funding_days: Annotated[Decimal, _days("1", "365")] = _DEFAULTS.funding_days
    candidates: Annotated[
        tuple[Annotated[str, BeforeValidator(_candidate)], ...], BeforeValidator(sequence('["perpetual", "next"]'))
    ] = ()
    max_cost_annual: Annotated[Decimal, _fraction("10", "(a share a year: 0.15 is 15 %)")] = _DEFAULTS.max_cost_annual
    when_too_dear: Annotated[WhenTooDear, BeforeValidator(one_of(*WhenTooDear))] = _DEFAULTS.when_too_dear
    lower_ratio_to: Annotated[Decimal, _fraction("1", "(a ratio)")] | None = None
    fallback: Annotated[Fallback, BeforeValidator(one_of(*Fallback))] = _DEFAULTS.fallback
    taker_fee: Annotated[Decimal, _fraction("0.05", "(a share of the notional: 0.0005 is 0.05 %)")] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.latest_days >= self.window_days:
            raise ValueError(
                f"must satisfy latest_days < window_days, and is latest_days {plain(self.latest_days)}, window_days "
                f"{plain(self.window_days)}; write it as in {{ window_days = 7, latest_days = 1 }}"
            )
        lowers = self.when_too_dear is WhenTooDear.LOWER_RATIO
        if lowers and self.lower_ratio_to is None:
            raise ValueError('has when_too_dear = "lower_ratio" and no ratio to go to; add lower_ratio_to = "0.3"')
        if self.lower_ratio_to is not None and not lowers:
            raise ValueError('has lower_ratio_to, which only when_too_dear = "lower_ratio" uses; set or drop both')
        return self

    def to_core(self) -> RollRules:
        """The rules as the core knows them."""
        return RollRules(
            self.window_days,
            self.latest_days,
            self.horizon_days,
            self.funding_days,
            self.candidates,
            self.max_cost_annual,
            self.when_too_dear,
            self.lower_ratio_to,
            self.fallback,
            self.taker_fee,
        )
