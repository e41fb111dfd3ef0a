"""Hedges over several contracts, and rolls: what the seeds draw, and broken keepers that do not get away with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from keeper import rollover
from keeper.core import hedge as core_hedge
from keeper.core import routes
from keeper.core.legs import leg_exposures
from keeper.core.model import (
    NO_BASE,
    NO_CONTRACTS,
    Base,
    Contracts,
    Exposure,
    LegExposure,
    Position,
    Reason,
    Roll,
    Snapshot,
)
from keeper.core.routes import Route
from keeper.fuzz.invariants import Invariants
from keeper.fuzz.options import draw
from keeper.fuzz.result import Result, Verdict
from keeper.fuzz.run import run_seed
from keeper.sim.faults import FaultKind

HUNT = 60
HUNT_CYCLES = 150


def hunted(kind: str, near: int = 1, cycles: int = HUNT_CYCLES, **given: Any) -> Result:
    """The first of sixty seeds that draw ``kind``, from ``near`` on, which does not pass."""
    seeds = (seed for seed in range(near, 100_000) if kind in draw(seed).kinds)
    for seed in (next(seeds) for _ in range(HUNT)):
        result = run_seed(seed, cycles, **given)
        if result.verdict is not Verdict.PASSED:
            return result
    pytest.fail(f"{HUNT} seeds did not notice")


def test_a_share_of_the_seeds_has_several_contracts() -> None:
    kinds = Counter(kind for seed in range(600) for kind in draw(seed).kinds)
    assert 150 < kinds["several contracts"] < 250
    assert kinds["shares"] > 40
    assert kinds["a contract expires"] > 60
    assert kinds["rolls"] > 50
    assert kinds["rolls in a quiet world"] > 12
    for seed in range(200):
        options = draw(seed)
        named = [symbol for hedge in options.hedges for symbol in hedge.carried.symbols]
        assert len(set(named)) == len(named), "no contract carries two hedges"
        named += [symbol for hedge in options.hedges for symbol in hedge.carried.could]
        assert len(set(named)) == len(named), "nor is one rolled to that carries another"
        assert {dated.symbol for dated in options.carriers.dated} <= set(named)


def test_a_keeper_that_counts_one_contract_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_the_first(legs: tuple[LegExposure, ...], _: tuple[Position, ...], __: Snapshot) -> Base | None:
        return legs[0].delta_base

    monkeypatch.setattr(core_hedge, "_futures_delta", of_the_first)
    assert hunted("several contracts").name in ("net_short", "over_hedged")


def test_a_keeper_that_watches_one_contract_for_the_trades_of_others_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*given: Any) -> tuple[LegExposure, ...]:
        first, *more = leg_exposures(*given)
        return (first, *(replace(leg, foreign_contracts=NO_CONTRACTS) for leg in more))

    monkeypatch.setattr(core_hedge, "leg_exposures", blind)
    assert hunted("several contracts", near=40).name == "foreign_change"


def test_a_keeper_that_trades_past_a_contract_which_it_cannot_see_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def seeing(legs: tuple[LegExposure, ...]) -> list[Reason]:
        return [] if len(legs) > 1 else list(legs[0].blockers)

    def known(legs: tuple[LegExposure, ...], *_: Any) -> Base:
        return Base(sum((leg.delta_base or NO_BASE for leg in legs), NO_BASE))

    monkeypatch.setattr(core_hedge, "_blocking_legs", seeing)
    monkeypatch.setattr(core_hedge, "_futures_delta", known)
    result = hunted(
        "several contracts", near=40, often=(FaultKind.READ_LOST, FaultKind.FOREIGN_TRADE, FaultKind.TRUNCATED)
    )
    assert result.name in ("sent_on_a_gap", "net_short", "over_hedged")


async def never(*_: object) -> None:
    """Chooses, and begins nothing."""


def test_a_keeper_that_never_begins_its_rolls_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollover, "begin_roll", never)
    assert hunted("rolls in a quiet world", cycles=450).name == "unhedged_expiry"


def test_a_roll_that_moves_everything_at_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(_: Exposure, __: LegExposure, ___: LegExposure, most: Contracts, *, closes: bool = False) -> Contracts:
        return most

    monkeypatch.setattr(routes, "_slice", whole)
    assert hunted("rolls in a quiet world", cycles=450).name in ("left_band", "cover_without_cause")


def test_a_roll_that_is_short_on_both_contracts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sells what it is about to cover first, and would cover then; where its own veto stops that, it stays too long."""
    real = routes._roll_step

    def selling_first(exposure: Exposure, roll: Roll) -> tuple[Route, ...]:
        ways = real(exposure, roll)
        target = next(leg for leg in exposure.legs if leg.id == roll.target)
        return tuple(
            Route(target, Base(-way.drift_base), way.reasons) if way.leg.id == roll.source else way for way in ways
        )

    monkeypatch.setattr(routes, "_roll_step", selling_first)
    assert hunted("rolls", cycles=450).name in ("over_hedged", "net_short", "unhedged_expiry")


def test_a_roll_that_covers_on_before_it_has_sold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = routes._roll_step

    def covering_on(exposure: Exposure, roll: Roll) -> tuple[Route, ...]:
        return real(replace(exposure, drift_base=NO_BASE), roll)

    monkeypatch.setattr(routes, "_roll_step", covering_on)
    assert hunted("rolls in a quiet world", cycles=450).name == "cover_without_cause"
    # The law about the band sees it as well, after the fact.
    monkeypatch.setattr(Invariants, "_check_cover", lambda *_: None)
    assert hunted("rolls in a quiet world", cycles=450).name == "left_band"
