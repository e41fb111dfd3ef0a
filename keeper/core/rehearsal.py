"""A keeper that sends nothing rehearses: what is ordered of it, and its own halts, end with it.

Its readings of the account are as good as any. But a pause, a flatten, a target or a resume that somebody tried out in
it must not stand when orders are sent, and must not lift what stood then.
"""

from __future__ import annotations

from dataclasses import fields, replace

from keeper.core.courses import Earnest
from keeper.core.model import HedgeMemory

_KEPT = tuple(field.name for field in fields(Earnest))


def rehearsing(memory: HedgeMemory) -> HedgeMemory:
    """Memory for a keeper that sends nothing: what stood before it is kept aside."""
    if memory.earnest is not None:
        return memory
    return replace(memory, earnest=Earnest(**{name: getattr(memory, name) for name in _KEPT}))


def in_earnest(memory: HedgeMemory) -> HedgeMemory:
    """Memory for a keeper that sends orders: as it stood before anything was rehearsed."""
    kept = memory.earnest
    if kept is None:
        return memory
    return replace(memory, earnest=None, **{name: getattr(kept, name) for name in _KEPT})
