"""How the wire spells quantities: in lots, and never by rounding what is really held."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.sim.wire.text import at_lot


@pytest.mark.parametrize(
    ("value", "step", "spelt"),
    [
        ("0.2", "0.001", "0.200"),
        ("3", "1", "3"),
        ("0.215", "0.01", "0.215"),
        ("-1.25", "0.1", "-1.25"),
        ("0", "1", "0"),
    ],
)
def test_a_lot_size_that_became_coarser_rounds_nothing(value: str, step: str, spelt: str) -> None:
    assert at_lot(Decimal(value), Decimal(step)) == spelt
