"""How a roll begins and ends, and what a hedge's memory makes of its legs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keeper.core.hedge import assess
from keeper.core.model import Contracts, HedgeMemory, Instrument, InstrumentId, Leg, Position, Roll
from keeper.core.roll_state import LAST_OPENING_MS, RollRefusedError, begun, carried, ended, guests, seated
from tests.core.build import D, hedge, inverse, linear, snapshot

NEAR = linear()
FAR = replace(NEAR, id=InstrumentId("main", "BTC/USDT:USDT-270326"), expires_at_ms=10 * LAST_OPENING_MS)


def test_a_roll_brings_its_target_among_the_legs_and_ends_with_it_as_the_first() -> None:
    of = hedge(NEAR)
    memory = begun(of, HedgeMemory(), FAR, 5)
    assert memory.roll == Roll(NEAR.id, FAR.id, 5)
    assert begun(of, memory, FAR, 9) == memory, "the same again changes nothing"
    assert guests(of, memory) == (FAR.id,)
    both = seated(of, [Leg(FAR)])
    assert [instrument.id for instrument in carried(both, memory).instruments] == [NEAR.id, FAR.id]
    after = ended(both, memory)
    assert after.roll is None
    assert [instrument.id for instrument in carried(both, after).instruments] == [FAR.id, NEAR.id]
    onward = begun(carried(both, after), after, NEAR, 6)
    assert onward.roll == Roll(FAR.id, NEAR.id, 6), "the next roll starts where the last one ended"


def test_a_configuration_that_names_another_contract_takes_over_again() -> None:
    after = ended(hedge(NEAR), begun(hedge(NEAR), HedgeMemory(), FAR, 5))
    other = hedge(linear(base="ETH"))
    assert guests(other, after) == ()
    assert carried(other, after) == other


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (NEAR, "carried by"),
        (linear(base="ETH"), "is on ETH"),
        (replace(FAR, expires_at_ms=LAST_OPENING_MS), "expires too soon"),
    ],
)
def test_a_roll_that_makes_no_sense_is_refused(target: Instrument, words: str) -> None:
    with pytest.raises(RollRefusedError, match=words):
        begun(hedge(NEAR), HedgeMemory(), target, 5)


def test_a_second_roll_waits_for_the_first() -> None:
    memory = begun(hedge(NEAR), HedgeMemory(), FAR, 5)
    with pytest.raises(RollRefusedError, match="is rolling to"):
        begun(hedge(NEAR), memory, inverse(), 6)


def test_the_futures_of_a_hedge_are_the_sum_of_its_legs_each_at_its_own_mark() -> None:
    of = seated(hedge(inverse()), [Leg(linear())])
    short = Position(linear(), Contracts(D("-2")), D(60_000))
    seen = snapshot(of, "50000", {"BTC": "5"}, "-1000", entry="50000", others=(short,))
    exposure = assess(of, seen, {instrument.id for instrument in of.instruments})
    assert exposure.futures_base == D("-4")
    assert [leg.delta_base for leg in exposure.legs] == [D("-2"), D("-2")]
    unread = replace(seen, positions={inverse().id: seen.positions[inverse().id]})
    blind = assess(of, unread, {instrument.id for instrument in of.instruments})
    assert blind.futures_base is None, "missing is not zero"
    assert blind.blockers
