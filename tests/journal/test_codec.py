"""What goes into the journal comes out of it, digit for digit; what does not fit is refused."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.core.model import CycleRecord, Decision, HedgeCycle, HedgeMemory, Hold, Intent, Snapshot
from keeper.journal import codec
from keeper.journal.base import FundingEntry, JournalError, Remembered
from keeper.venue.base import Fill
from tests.journal.story import HOLD, cycle, intent

_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=8),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a declared type, with small collections: all of a cycle is large enough as it is."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind in _LEAVES:
        return _LEAVES[kind]
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of([any_of(member) for member in get_args(kind)])
    if get_origin(kind) is tuple:
        hints = get_args(kind)
        if hints[-1] is Ellipsis:
            return st.lists(any_of(hints[0]), max_size=1).map(tuple)
        return st.tuples(*(any_of(hint) for hint in hints))
    if get_origin(kind) is Mapping:
        key, item = get_args(kind)
        return st.dictionaries(any_of(key), any_of(item), max_size=1)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints_of = get_type_hints(kind)
    given_to = [field.name for field in dataclasses.fields(kind) if field.init]
    return st.builds(kind, **{name: any_of(hints_of[name]) for name in given_to})


@pytest.mark.parametrize("kind", [HedgeMemory, Snapshot, Intent, Remembered, Fill, FundingEntry, HedgeCycle])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_value_comes_back_as_it_went(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(any_of(kind))
    again = codec.loads(kind, codec.dumps(kind, value))
    assert again == value
    # 1.10 equals 1.1 and is not the same: text is compared too, so that no digit is lost.
    assert codec.dumps(kind, again) == codec.dumps(kind, value)


def test_a_whole_cycle_comes_back() -> None:
    record = cycle(7)
    assert codec.loads(CycleRecord, codec.dumps(CycleRecord, record)) == record


def test_money_is_text_and_never_a_number() -> None:
    assert '"price":"64935.0"' in codec.dumps(Intent, intent())
    with pytest.raises(JournalError, match=r"0\.6 is not a Decimal"):
        codec.encode(HedgeMemory, HedgeMemory(target_ratio=0.6))  # type: ignore[arg-type]
    with pytest.raises(JournalError, match=r"0\.6 is not a Decimal"):
        codec.loads(HedgeMemory, '{"target_ratio": 0.6}')


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_quantity_is_refused_both_ways(value: str) -> None:
    with pytest.raises(JournalError):
        codec.encode(HedgeMemory, HedgeMemory(target_ratio=Decimal(value)))
    with pytest.raises(JournalError):
        codec.loads(HedgeMemory, f'{{"target_ratio": "{value}"}}')


def test_a_field_that_was_not_there_yet_takes_its_default() -> None:
    assert codec.loads(HedgeMemory, '{"halted": "drift"}') == HedgeMemory(halted="drift")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"established": 1}', '{"halted": 5}', '{"expected_since_ms": true}', '{"of_the_future": 1}'],
)
def test_text_that_does_not_fit_is_an_error_and_never_a_guess(text: str) -> None:
    with pytest.raises(JournalError):
        codec.loads(HedgeMemory, text)


def test_a_decision_is_known_by_its_name() -> None:
    encoded = codec.encode(Decision, HOLD)
    assert isinstance(encoded, dict)
    assert encoded["is"] == "Hold"
    assert codec.decode(Decision, encoded) == HOLD
    with pytest.raises(JournalError):
        codec.decode(Decision, encoded | {"is": "Panic"})
    with pytest.raises(JournalError):
        codec.decode(Decision, {"reasons": []})
    with pytest.raises(JournalError):
        codec.encode(Hold | None, "hold")
