"""Hedges over several contracts: what the seeds draw, and keepers that forget one contract over the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from keeper.core import hedge as core_hedge
from keeper.core.legs import leg_exposures
from keeper.core.model import NO_BASE, NO_CONTRACTS, Base, LegExposure, Position, Reason, Snapshot
from keeper.fuzz.options import draw
from keeper.fuzz.result import Result, Verdict
from keeper.fuzz.run import run_seed
from keeper.sim.faults import FaultKind

HUNT = 60
HUNT_CYCLES = 150


def hunted(kind: str, near: int = 1, **given: Any) -> Result:
    """The first of sixty seeds that draw ``kind``, from ``near`` on, which does not pass."""
    seeds = (seed for seed in range(near, 100_000) if kind in draw(seed).kinds)
    for seed in (next(seeds) for _ in range(HUNT)):
        result = run_seed(seed, HUNT_CYCLES, **given)
        if result.verdict is not Verdict.PASSED:
            return result
    pytest.fail(f"{HUNT} seeds did not notice")


def test_a_share_of_the_seeds_has_several_contracts() -> None:
    kinds = Counter(kind for seed in range(600) for kind in draw(seed).kinds)
    assert 150 < kinds["several contracts"] < 250
    assert kinds["shares"] > 40
    assert kinds["a contract expires"] > 60
    for seed in range(200):
        options = draw(seed)
        named = [symbol for hedge in options.hedges for symbol in hedge.carried.symbols]
        assert len(set(named)) == len(named), "no contract carries two hedges"
        assert {dated.symbol for dated in options.carriers.dated} <= set(named)


def test_a_contract_that_expires_is_settled_in_the_run() -> None:
    seed = next(seed for seed in range(1, 1_000) if "a contract expires" in draw(seed).kinds)
    result = run_seed(seed, 500)
    assert result.verdict is Verdict.PASSED
    assert "a contract expires" in result.kinds


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
