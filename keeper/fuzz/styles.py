"""How the hedges of one run work their orders, drawn beside everything else so that no other draw moves for it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from keeper.core.execution import AT_ONCE, Execution, Style

D = Decimal
WORKED_SHARE = 3
"""One seed in so many has hedges that rest or spread their orders, a visible book to read, and others who trade."""
SPREAD_MARGIN = D(2)
"""A hedge that reads the book accepts at least so many half spreads: else it would, rightly, never sell."""


@dataclass(frozen=True, slots=True)
class StyleOptions:
    """What a run's keepers know of the book, and who meets what rests in it (quote money at each new price)."""

    reads_books: bool = False
    flow_notional: Decimal = Decimal("0")


PLAIN = StyleOptions()
"""No books, and nobody who meets what rests: orders are taken at once."""


def draw_styles(source: Random) -> StyleOptions:
    """Whether this run is one of them."""
    if source.randrange(WORKED_SHARE):
        return PLAIN
    return StyleOptions(True, source.choice((D(0), D(5_000), D(100_000))))


def draw_execution(source: Random) -> Execution:
    """One hedge's style in such a run; every third takes at once."""
    style = source.choice(tuple(Style))
    if style is Style.MARKET:
        return AT_ONCE
    return Execution(
        style,
        leash_bps=source.choice((D(0), D(5), D(50))),
        escalate_after_seconds=source.choice((D(20), D(120), D(600))),
        over_seconds=source.choice((D(60), D(300), D(900))),
        slices=source.choice((1, 4, 12)),
        slice_style=source.choice((Style.MARKET, Style.PASSIVE)),
        jitter=source.choice((D(0), D("0.5"), D(1))),
    )
