"""The demo on a terminal: one calm picture that is drawn again in place. Wide or narrow, with colours or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from keeper.demo import words
from keeper.demo.books import Held
from keeper.demo.setting import BAND
from keeper.demo.story import DAY_MINUTES, clock_text
from keeper.demo.view import Event, Row, View, Voice

_VOICES = {Voice.MARKET: "cyan", Voice.OWNER: "magenta", Voice.KEEPER: "green", Voice.TROUBLE: "bold red"}
_METER = 15
_CHROME_LINES = 10  # all but hedges, contracts and events
_HEDGE_LINES = 3
_EVENTS_MIN, _EVENTS_MAX = 3, 9
_STACKED_BELOW = 58
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few signs beyond letters; a terminal without Unicode gets plain ones."""

    bar: str = "━"
    left: str = "├"
    rule: str = "─"
    dot: str = "●"
    middle: str = "┼"
    right: str = "┤"


PLAIN_GLYPHS = Glyphs("=", "|", "-", "o", "+", "|")


class LiveFace:
    """Draws on ``console``; ``where`` names the places that are worth knowing while it runs."""

    def __init__(self, console: Console, where: Sequence[str]) -> None:
        self._console = console
        self._where = tuple(where)
        self._glyphs = PLAIN_GLYPHS if console.options.ascii_only else Glyphs()
        self._status: Status | None = None
        self._live: Live | None = None

    def starting(self, text: str) -> None:
        """A step of the start."""
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(text)

    def happened(self, event: Event) -> None:
        """The next picture shows it."""

    def show(self, view: View) -> None:
        """Draw it all again."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        width, height = self._console.size
        self._live.update(picture(view, width, height, self._where, self._glyphs), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def summary(self, lines: tuple[str, ...]) -> None:
        """The last words."""
        for number, line in enumerate(lines):
            # As Text: paths may hold brackets, which Rich would read as its own markup.
            self._console.print(Text(line, style="bold" if number == 0 else ""), soft_wrap=True)


def picture(view: View, width: int, height: int, where: Sequence[str], glyphs: Glyphs) -> RenderableType:
    """The whole screen."""
    stacked = width < _STACKED_BELOW
    hedges = _stack(view.rows) if stacked else _table(view.rows, width, glyphs)
    contracts = _contracts(view.contracts, stacked=stacked)
    used = _CHROME_LINES + _HEDGE_LINES * len(view.rows) + len(contracts) + len(where)
    room = min(_EVENTS_MAX, max(_EVENTS_MIN, height - used))
    parts: list[RenderableType] = [
        _headline(view.title, width),
        _progress(view, width, glyphs),
        Text(),
        hedges,
        *contracts,
        Text(),
        _money(view, width),
        Text(),
        Text("what happened", style="dim"),
        *(_event(event) for event in view.events[-room:]),
        *(Text() for _ in range(room - len(view.events))),
        Text(),
        *(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in where),
    ]
    return Padding(Group(*parts), (0, 1) if width >= _STACKED_BELOW else 0)


def _headline(title: str, width: int) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    about = f"  {title}" if width >= 80 else ""
    line.add_row(Text.assemble(("keeper demo", "bold"), (about, "dim")), Text("Ctrl-C ends it", style="dim"))
    return line


def _progress(view: View, width: int, glyphs: Glyphs) -> RenderableType:
    left = f"{int(view.seconds_left) // 60}:{int(view.seconds_left) % 60:02d} left"
    label = f"{clock_text(view.minute)}  {view.chapter:<16}"
    room = max(4, width - len(label) - len(left) - 6)
    done = min(room, round(room * view.minute / DAY_MINUTES))
    return Text.assemble(
        (label, "bold"),
        (glyphs.bar * done, "cyan"),
        (glyphs.rule * (room - done), "bright_black"),
        (f"  {left}", "dim"),
        no_wrap=True,
    )


# -- the hedges ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of two-line cells; it is left out on a screen narrower than ``from_width``."""

    heading: str
    width: int
    from_width: int
    right: bool
    cell: Callable[[Row, Glyphs], Text]


def _table(rows: Sequence[Row], width: int, glyphs: Glyphs) -> Table:
    # The widths are fixed, so that nothing moves when a figure grows.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="dim")
    columns = [column for column in _COLUMNS if width >= column.from_width]
    for column in columns:
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(column.heading, width=column.width, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row, glyphs) for column in columns))
    return table


def _stack(rows: Sequence[Row]) -> Group:
    """For a screen too narrow for a table: three short lines a hedge."""
    parts: list[RenderableType] = []
    for row in rows:
        ratio = f"ratio {words.share(row.ratio)} of {words.coins(row.hedge.ratio)}"
        parts.append(Text.assemble((row.hedge.name, "bold"), f"  {words.price(row.price)}"))
        parts.append(Text(f"  holds {words.coins(row.exposure)}  futures {words.coins(row.futures)}"))
        parts.append(Text.assemble(f"  {ratio}  ", (words.percent(row.drift), _drift_style(row.drift))))
    return Group(*parts)


def _two(first: str, second: str, style: str = "") -> Text:
    return Text.assemble((first, style), "\n", (second, "dim"))


def _hedge_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(row.hedge.name, "coin-margined" if row.hedge.later else row.hedge.symbol, "bold")


def _price_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(words.price(row.price), words.percent(row.since_start))


def _exposure_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(words.coins(row.exposure), row.hedge.asset)


def _futures_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(words.coins(row.futures), row.hedge.asset)


def _ratio_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(words.share(row.ratio), f"of {words.coins(row.hedge.ratio)}")


def _drift_cell(row: Row, glyphs: Glyphs) -> Text:
    style = _drift_style(row.drift)
    return Text.assemble((words.percent(row.drift), style), "\n", (meter(row.drift, BAND.act, glyphs), style or "dim"))


def _order_cell(row: Row, _glyphs: Glyphs) -> Text:
    if row.last_order is None:
        return Text("none yet", style="dim")
    return _two(row.last_order.did, f"{clock_text(row.last_order_at)} @ {row.last_order.price}")


def _funding_cell(row: Row, _glyphs: Glyphs) -> Text:
    return _two(words.money(row.funding, 0 if abs(row.funding) >= 1000 else 2), "USDT")


_COLUMNS = (
    _Column("hedge", 13, 0, False, _hedge_cell),
    _Column("price", 9, 0, True, _price_cell),
    _Column("exposure", 8, 0, True, _exposure_cell),
    _Column("futures", 8, 0, True, _futures_cell),
    _Column("ratio", 6, 66, True, _ratio_cell),
    _Column(f"drift (act {BAND.act * 100:.0f} %)", _METER, 76, False, _drift_cell),
    _Column("last order", 18, 100, False, _order_cell),
    _Column("funding", 7, 86, True, _funding_cell),
)


def meter(drift: Decimal | None, act: Decimal, glyphs: Glyphs) -> str:
    """The drift between the two ends of its band; to the right is under-hedged. What is beyond an end stands on it."""
    if drift is None:
        return " " * _METER
    half = (_METER - 3) // 2
    place = max(-half - 1, min(half + 1, round(drift / act * half)))
    cells = [glyphs.left, *(glyphs.rule * (_METER - 2)), glyphs.right]
    cells[half + 1] = glyphs.middle
    cells[half + 1 + place] = glyphs.dot
    return "".join(cells)


def _drift_style(drift: Decimal | None) -> str:
    if drift is None or abs(drift) > BAND.act:
        return "bold red"
    return "yellow" if abs(drift) > BAND.warn else "green"


def _contracts(held: Sequence[Held], *, stacked: bool) -> list[Text]:
    """A line for each contract of a hedge that may roll: how much of it is short there, and how long it still lives."""
    if not held:
        return []
    if stacked:
        return [Text(f"  {each.symbol:<20}{words.coins(each.coins):>9}", no_wrap=True) for each in held]
    heading = f"{'contract':<18} {'mark':>9} {'number':>8} {'coins':>8} {'days left':>9}"
    lines = [Text(), Text(heading, style="dim", no_wrap=True)]
    for each in held:
        life = "" if each.left_ms is None else f"{each.left_ms / _DAY_MS:.2f}"
        figures = f"{words.price(each.mark):>9} {words.coins(each.contracts):>8} {words.coins(each.coins):>8} {life:>9}"
        lines.append(Text(f"{each.symbol:<18} {figures}", style="bold" if each.contracts else "dim", no_wrap=True))
    return lines


# -- below the hedges ------------------------------------------------------------------------------------------------


def _money(view: View, width: int) -> Text:
    money = view.money
    separator = "     " if width >= 92 else "   " if width >= 66 else "\n"
    return Text.assemble(
        ("value since 00:00   " if width >= 92 else "", "dim"),
        ("unhedged ", "dim"),
        (f"{words.money(money.unhedged):>8}", ""),
        separator,
        ("futures  ", "dim"),
        (f"{words.money(money.futures):>8}", ""),
        separator,
        ("hedged   ", "dim"),
        (f"{words.money(money.hedged):>8} USDT", "bold"),
    )


def _event(event: Event) -> Text:
    return Text.assemble(
        (f"{clock_text(event.minute)}  ", "dim"),
        (f"{event.voice.value:<8}", _VOICES[event.voice]),
        event.text,
        no_wrap=True,
        overflow="ellipsis",
    )
