"""What a keeper promises where nothing but itself fails: its own orders leave no hedge outside its band, and a contract
that expires is left in time.

Judged where no answer lies and nobody else trades: in the calm after the faults, and in worlds that were quiet from the
beginning. The process may die all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from keeper.core.model import Hedge, PlannedOrder
from keeper.fuzz.truth import GroundTruth, Stand, least_order
from keeper.sim.events import PositionForced
from keeper.sim.types import Origin

ROUNDING = Decimal("0.02")
"""Of the band: prices move between a look and its order, and a coin-margined contract with them."""


class Promises:
    """Judges one run; ``is_quiet`` from its beginning, or from :meth:`calm` on."""

    def __init__(self, ground: GroundTruth, *, is_quiet: bool) -> None:
        self._ground = ground
        self._is_quiet = is_quiet
        self._since = 0.0 if is_quiet else None

    def calm(self, at: float) -> None:
        """The faults have ended: what is decided on a look that begins later is judged."""
        if self._since is None:
            self._since = at

    def filled(self, order: PlannedOrder, epoch_began: float, at: float) -> Iterator[tuple[str, str]]:
        """An order of ours has filled: a hedge that was inside its band is inside it still. (invariant, text)"""
        if self._since is None or epoch_began <= self._since:
            return
        hedge, before = self._ground.hedges[order.hedge], self._ground.last(order.hedge)
        if before is None:
            return
        after = self._ground.now(order.hedge, at)
        if abs(before.drift) <= _band(hedge, before) and abs(after.drift) > self._most(hedge, after):
            text = (
                f"{order.client_id} on {order.instrument} took {order.hedge} from a drift of {before.drift} "
                f"to {after.drift}, of {after.protected} protected"
            )
            yield "left_band", text

    def delivered(self, event: PositionForced) -> Iterator[tuple[str, str]]:
        """A position was closed by the venue: in a quiet world none is left to be settled. (invariant, text)"""
        if not self._is_quiet or event.origin is not Origin.SETTLEMENT:
            return
        text = f"{event.quantity} of {event.market.symbol} were settled: the hedge was to be rolled before"
        yield "unhedged_expiry", text

    def _most(self, hedge: Hedge, stand: Stand) -> Decimal:
        """The drift that a step may leave: the band, or the least that its contracts take."""
        least = max(
            least_order(instrument, mark) for instrument, mark in zip(hedge.instruments, stand.marks, strict=True)
        )
        band = _band(hedge, stand)
        return max(band, 2 * least) + ROUNDING * band + least


def _band(hedge: Hedge, stand: Stand) -> Decimal:
    return hedge.band.act * max(stand.protected, Decimal(0))
