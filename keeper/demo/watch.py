"""Measures, from the exchange's truth, how far each hedge strayed and for how long."""

from __future__ import annotations

from decimal import Decimal

from keeper.demo.books import Books, Standing
from keeper.demo.setting import BAND

ZERO = Decimal(0)


class Watch:
    """Looks at every hedge several times a second. What is counted begins when a hedge is first inside its act band."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._opened: set[str] = set()
        self.largest: dict[str, Decimal] = {hedge.name: ZERO for hedge in books.hedges}
        """The largest drift (absolute ratio) seen after the hedge was opened."""
        self.beyond_seconds: dict[str, float] = {hedge.name: 0.0 for hedge in books.hedges}
        """Real time spent beyond the act band after the hedge was opened."""

    def look(self, passed_seconds: float) -> None:
        """Look once; ``passed_seconds`` after the look before."""
        for hedge in self._books.hedges:
            standing = self._books.standing(hedge)
            if inside(standing):
                self._opened.add(hedge.name)
            elif hedge.name in self._opened:
                self.beyond_seconds[hedge.name] += passed_seconds
            if hedge.name in self._opened and standing.drift is not None:
                self.largest[hedge.name] = max(self.largest[hedge.name], abs(standing.drift))

    def all_inside(self) -> bool:
        """Whether every hedge is inside its act band now."""
        return all(inside(self._books.standing(hedge)) for hedge in self._books.hedges)


def inside(standing: Standing) -> bool:
    """Whether a hedge is inside its act band."""
    return standing.drift is not None and abs(standing.drift) <= BAND.act
