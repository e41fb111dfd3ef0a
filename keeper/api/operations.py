"""What the API may ask of the running keeper, and the pure documents that it answers with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Protocol

from keeper.api.wishes import steering_json
from keeper.config.values import nearest
from keeper.core.depth import slippage_of
from keeper.core.model import HedgeCycle, HedgeMemory, Outcome, PlannedOrder, Roll
from keeper.core.steering import Wish
from keeper.errors import ConfigError
from keeper.report import hedge_json, iso_utc, plain

_MAX_NAMES = 20


class UnknownHedgeError(ConfigError):
    """No hedge has that name, in whatever was asked; ``near`` lists the names that may have been meant.

    Every command says it in the same words, and ends in the same way.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = tuple(known)
        self.near = tuple(difflib.get_close_matches(name, names, n=3, cutoff=0.5))
        shown = [*names[:_MAX_NAMES], *(["…"] if len(names) > _MAX_NAMES else [])]
        super().__init__(
            f"no hedge is named {name[:80]!r}{nearest(name, names)}; it knows: {', '.join(shown) or 'none yet'}"
        )


class Operations(Protocol):
    """The daemon's side of the API; only an operator's order may wait, for the turn in flight to end."""

    def state(self) -> dict[str, Any]:
        """The document of ``GET /api/v1/state``, see :func:`state_document`; it holds no secret."""
        ...

    def health(self) -> tuple[bool, str]:
        """Whether the decision loop completed lately, see :func:`loop_health`, and a sentence about it."""
        ...

    async def pause(self, name: str) -> None:
        """Stop trading one hedge, written down when this returns; raises :class:`UnknownHedgeError`."""
        ...

    async def flatten(self, name: str) -> None:
        """Cover one hedge to zero and keep it there until resumed; durable when this returns."""
        ...

    async def resume(self, name: str) -> None:
        """Trade one hedge again, its halt lifted, as durably; raises :class:`UnknownHedgeError`."""
        ...

    async def target(self, name: str, wish: Wish) -> dict[str, Any]:
        """Set, move or give back one hedge's target; durable when this returns; see :func:`answer_json`.

        Raises :class:`UnknownHedgeError`, and :class:`TargetError` for a target that cannot be taken.
        """
        ...

    async def roll(self, name: str, to: str | None, out_of: str | None) -> dict[str, Any]:
        """Begin to roll one hedge, into ``to`` or the cheapest; durable when this returns; see :func:`rolling_json`.

        Raises :class:`UnknownHedgeError`, and :class:`RollRefusedError` for a roll that cannot be begun.
        """
        ...

    def wake(self) -> None:
        """Look at everything now instead of at the next poll."""
        ...


@dataclass(frozen=True, slots=True)
class VenueHealth:
    """How one venue's last reading went; ``text`` says what was wrong where it was not ok."""

    ok: bool
    text: str = ""
    last_read_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run of the keeper is. ``cycles`` counts the completed ones of this run."""

    mode: str
    version: str
    run: int
    started_at_ms: int
    cycles: int
    last_cycle_at_ms: int | None
    taken_at_ms: int | None


def state_document(
    progress: Progress,
    hedges: Sequence[HedgeCycle],
    alerts: Mapping[str, Any],
    venues: Mapping[str, VenueHealth],
    last_orders: Mapping[str, tuple[PlannedOrder, Outcome]] | None = None,
) -> dict[str, Any]:
    """The answer of ``GET /api/v1/state``: a plan document with the run around it.

    Each hedge is the object of the plan contract and has more keys: ``paused``, ``flattened``, ``halted`` (null, or
    why), ``established``, those of :func:`steering_json`, ``roll`` (null, or from which contract to which, and since
    when) and ``execution``: its style, what rests of it, and its last order of this run. ``alerts`` are counters by
    channel, as objects or dataclasses.
    """
    return {
        "mode": progress.mode,
        "taken_at": _time(progress.taken_at_ms),
        "version": progress.version,
        "run": progress.run,
        "started_at": _time(progress.started_at_ms),
        "last_cycle_at": _time(progress.last_cycle_at_ms),
        "cycles": progress.cycles,
        "hedges": [
            {
                **hedge_json(cycle),
                "paused": cycle.memory.paused,
                "flattened": cycle.memory.flattened,
                "halted": cycle.memory.halted,
                "established": cycle.memory.established,
                **steering_json(cycle.memory),
                "execution": _execution(cycle, (last_orders or {}).get(cycle.exposure.hedge.name)),
                "roll": _roll(cycle.memory.roll),
            }
            for cycle in hedges
        ],
        "alerts": {name: _plain_object(counters) for name, counters in alerts.items()},
        "venues": {
            name: {"ok": venue.ok, "text": venue.text, "last_read_at": _time(venue.last_read_at_ms)}
            for name, venue in venues.items()
        },
    }


def _execution(cycle: HedgeCycle, last: tuple[PlannedOrder, Outcome] | None) -> dict[str, Any]:
    """How a hedge's orders are worked. Slippage is a fraction of the mid at the decision, positive where it cost."""
    resting = cycle.memory.resting
    return {
        "style": cycle.exposure.hedge.execution.style.value,
        "resting": None if resting is None else {"client_id": resting.client_id, "filled": plain(resting.filled)},
        "last_order": None if last is None else _order(*last),
    }


def _order(order: PlannedOrder, outcome: Outcome) -> dict[str, Any]:
    slippage = None
    if outcome.average_price is not None and order.arrival_mid is not None:
        slippage = slippage_of(order.side, outcome.average_price, order.arrival_mid)
    figures = {
        "contracts": order.contracts,
        "filled": outcome.filled,
        "price": order.price,
        "average_price": outcome.average_price,
        "arrival_mid": order.arrival_mid,
        "expected_slippage": order.expected_slippage,
        "slippage": slippage,
    }
    return {
        "client_id": order.client_id,
        "instrument": str(order.instrument),
        "side": order.side.value,
        "style": order.style.value,
        "time_in_force": order.time_in_force,
        "state": outcome.state.value,
        **{name: None if figure is None else plain(figure) for name, figure in figures.items()},
    }


def loop_health(now_seconds: float, last_completed_seconds: float | None, allowed_seconds: float) -> tuple[bool, str]:
    """Liveness: the decision loop completed a cycle within ``allowed_seconds``, which is N poll intervals.

    Both times are readings of the monotonic clock. A cycle that held every hedge counts: what is asked is whether
    somebody still looks, not whether anything was done. Before the first cycle nobody is known to look.
    """
    if last_completed_seconds is None:
        return False, "no decision cycle has completed yet"
    age = now_seconds - last_completed_seconds
    text = f"the last decision cycle completed {age:.0f} s ago (allowed: {allowed_seconds:.0f} s)"
    return age <= allowed_seconds, text


def _roll(roll: Roll | None) -> dict[str, str] | None:
    if roll is None:
        return None
    return {"source": str(roll.source), "target": str(roll.target), "since": iso_utc(roll.since_ms)}


def rolling_json(hedge: str, memory: HedgeMemory) -> dict[str, Any]:
    """What is answered to a roll that was begun, and what keeps the hedge from following."""
    return {
        "hedge": hedge,
        "roll": _roll(memory.roll),
        "paused": memory.paused,
        "flattened": memory.flattened,
        "halted": memory.halted,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)


def _plain_object(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
