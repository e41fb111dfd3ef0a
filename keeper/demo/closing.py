"""The last words of the demo: what the day was, where each hedge ended, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.demo import words
from keeper.demo.books import QUOTE, Books, Money, Result, Standing
from keeper.demo.setting import BAND, Protected
from keeper.demo.story import DAY_MINUTES, Story, clock_text
from keeper.demo.view import Trade
from keeper.demo.watch import Watch, inside


@dataclass(frozen=True, slots=True)
class HedgeEnd:
    """How one hedge ended. ``beyond_seconds`` is real time beyond the act band after it was opened."""

    hedge: Protected
    standing: Standing
    result: Result
    trades: tuple[Trade, ...]
    largest_drift: Decimal
    beyond_seconds: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How the day ended."""

    story: Story
    minute: float
    seconds: float
    hedges: tuple[HedgeEnd, ...]
    money: Money

    @property
    def outside(self) -> tuple[str, ...]:
        """The hedges that did not end inside their act band."""
        return tuple(end.hedge.name for end in self.hedges if not inside(end.standing))


def ending(story: Story, minute: float, seconds: float, books: Books, watch: Watch, trades: Sequence[Trade]) -> Ending:
    """Take the closing figures."""
    ends = tuple(
        HedgeEnd(
            hedge,
            books.standing(hedge),
            books.result(hedge),
            tuple(trade for trade in trades if trade.hedge == hedge.name),
            watch.largest[hedge.name],
            watch.beyond_seconds[hedge.name],
        )
        for hedge in books.hedges
    )
    return Ending(story, minute, seconds, ends, books.money())


def closing(end: Ending) -> tuple[str, ...]:
    """The summary, line by line, within 100 columns."""
    return (
        *_day(end),
        "",
        f"{'hedge':<9}{'holds':>10}{'futures':>10}{'ratio / target':>16}{'drift':>10}{'orders':>8}",
        *(_position(each) for each in end.hedges),
        "",
        f"{QUOTE:<9}{'moves':>10}{'funding':>10}{'fees':>10}{'total':>10}   largest drift, beyond the band for",
        *(_cost(each) for each in end.hedges),
        "",
        f"Value since 00:00, money that came in apart, {QUOTE}:",
        _value(end),
        *_left_open(end),
        _verdict(end),
    )


def _day(end: Ending) -> tuple[str, ...]:
    """What the market did, up to where the day was ended."""
    lines = [f"The day, played to {clock_text(end.minute)} in {end.seconds:.0f} s:"]
    for asset, path in end.story.paths.items():
        seen = path[: int(min(end.minute, DAY_MINUTES)) + 1]
        first, high, low, last = seen[0], max(seen), min(seen), seen[-1]
        change = words.percent(last / first - 1)
        told = f"from {words.price(first)} up to {words.price(high)}, down to {words.price(low)}"
        lines.append(f"  {asset} {told}, last {words.price(last)} ({change})")
    return tuple(lines)


def _position(end: HedgeEnd) -> str:
    standing = end.standing
    ratio = -standing.futures / standing.exposure if standing.exposure > 0 else None
    return (
        f"{end.hedge.name:<9}{words.coins(standing.exposure):>10}{words.coins(standing.futures):>10}"
        f"{words.share(ratio) + ' / ' + words.coins(end.hedge.ratio):>16}{words.percent(standing.drift):>10}"
        f"{len(end.trades):>8}   {_verbs(end.trades)}"
    )


def _verbs(trades: Sequence[Trade]) -> str:
    return ", ".join(dict.fromkeys(trade.verb for trade in trades)) or "none"


def _cost(end: HedgeEnd) -> str:
    result = end.result
    return (
        f"{end.hedge.name:<9}{words.money(result.moves):>10}{words.money(result.funding):>10}"
        f"{words.money(-result.fees):>10}{words.money(result.total):>10}   "
        f"{words.percent(end.largest_drift).lstrip('+'):>8}, {end.beyond_seconds:.1f} s"
    )


def _value(end: Ending) -> str:
    unhedged, futures, hedged = (
        words.money(each) for each in (end.money.unhedged, end.money.futures, end.money.hedged)
    )
    return f"  {unhedged} unhedged, {futures} from futures = {hedged} hedged"


def _left_open(end: Ending) -> tuple[str, ...]:
    """What is not hedged because its ratio says so; the rest of the change of value comes from there."""
    parts = [
        f"{(1 - each.hedge.ratio) * 100:.0f} % of {each.hedge.asset}" for each in end.hedges if each.hedge.ratio < 1
    ]
    return (f"  left open on purpose: {', '.join(parts)}",) if parts else ()


def _verdict(end: Ending) -> str:
    band = words.percent(BAND.act).lstrip("+")
    if end.outside:
        return f"NOT inside the band of {band} at the end: {', '.join(end.outside)}."
    return f"Every hedge ended inside its band of {band}."
