"""The picture fits the terminal, and the lines fit a pipe."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from keeper.clock import ManualClock
from keeper.demo.books import Held, Money
from keeper.demo.lines import PlainFace
from keeper.demo.screen import PLAIN_GLYPHS, Glyphs, LiveFace, meter, picture
from keeper.demo.setting import BAND, HEDGES
from keeper.demo.view import Event, Row, Trade, View, Voice

TRADE = Trade("btc", "covered", "bought 2.2345", "118,999.5")
EVENTS = tuple(Event(60.0 * hour, Voice.KEEPER, f"btc: something happened, number {hour}") for hour in range(12))
DECIMALS = st.decimals(-2, 2, allow_nan=False)


def view(drift: str | None = "0.011") -> View:
    seen = None if drift is None else Decimal(drift)
    rows = tuple(
        Row(
            hedge, Decimal("118999.5"), Decimal("0.0523"), Decimal("6.5432"), Decimal("-6.5432"), Decimal("0.989"),
            seen, TRADE, 1040.0, Decimal("-123.45"),
        )
        for hedge in HEDGES
    )  # fmt: skip
    return View(1040.0, "catching breath", 61.0, rows, Money(Decimal(-60_000), Decimal(51_000)), EVENTS)


def rolling() -> View:
    """One hedge in the middle of a roll."""
    seen = view()
    held = (
        Held("BTC/USD:BTC-261122", Decimal("66119.4"), Decimal(-1620), Decimal("-2.4501"), 172_799_000),
        Held("BTC/USD:BTC-261225", Decimal("67102.5"), Decimal(-1710), Decimal("-2.5483"), 3_024_000_000),
        Held("BTC/USD:BTC", Decimal("66100.0"), Decimal(0), Decimal(0), None),
    )
    return replace(seen, rows=seen.rows[2:], title="a coin-margined hedge, and its roll", contracts=held)


def drawn(
    width: int, height: int, glyphs: Glyphs = PLAIN_GLYPHS, drift: str | None = "0.011", shown: View | None = None
) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None, highlight=False)
    console.print(
        picture(shown or view(drift), width, height, ("journal  /tmp/demo.db", "logs     /tmp/keeper.log"), glyphs)
    )
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(200, 60), (100, 30), (80, 24), (66, 24), (50, 24)])
def test_a_hedge_that_may_roll_shows_every_contract_that_it_has(width: int, height: int) -> None:
    lines = drawn(width, height, shown=rolling())
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for expected in ("BTC/USD:BTC-261122", "BTC/USD:BTC-261225", "-2.4501", "-2.5483", "number 11"):
        assert expected in text
    if width >= 80:
        for expected in ("a coin-margined hedge, and its roll", " -1620 ", "days left", " 2.00", " 35.00"):
            assert expected in text


@pytest.mark.parametrize(("width", "height"), [(200, 60), (100, 30), (80, 24), (66, 24)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    lines = drawn(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for expected in (
        "17:20",
        "catching breath",
        "btc-coin",
        "118,999.5",
        "6.5432",
        "-60,000",
        "-9,000 USDT",
        "number 11",
    ):
        assert expected in text
    assert "…" not in text


def test_at_a_hundred_columns_nothing_is_left_out() -> None:
    text = "\n".join(drawn(100, 30))
    for expected in ("0.989", "of 0.6", "+1.10 %", "bought 2.2345", "17:20 @ 118,999.5", "-123.45", "1:01 left"):
        assert expected in text


def test_a_very_narrow_terminal_gets_it_line_by_line() -> None:
    lines = drawn(44, 30)
    assert max(map(len, lines)) <= 44
    assert "  holds 6.5432  futures -6.5432" in "\n".join(lines)


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    assert "?" in "\n".join(drawn(100, 30, drift=None))


@given(DECIMALS, st.sampled_from([Glyphs(), PLAIN_GLYPHS]))
def test_the_meter_leans_to_the_side_of_the_drift_and_keeps_its_width(drift: Decimal, glyphs: Glyphs) -> None:
    drawing = meter(drift, BAND.act, glyphs)
    assert len(drawing) == len(meter(None, BAND.act, glyphs))
    middle, dot = len(drawing) // 2, drawing.index(glyphs.dot)
    assert (dot - middle) * drift >= 0
    if abs(drift) >= BAND.act * Decimal("1.2"):
        assert dot in (0, len(drawing) - 1)


def test_lines_are_plain_and_figures_come_now_and_then() -> None:
    out, clock = io.StringIO(), ManualClock()
    face = PlainFace(out, clock, every_seconds=5)
    face.starting("the exchange opens")
    for _ in range(10):
        face.show(view())
        clock.advance(1)
    face.happened(EVENTS[3])
    face.summary(("The day", "is over"))
    lines = out.getvalue().splitlines()
    assert sum("status" in line for line in lines) == 2
    assert "03:00   keeper  btc: something happened, number 3" in lines
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().isascii()


def test_the_live_face_gives_the_terminal_back() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, height=30, force_terminal=True, color_system="standard", highlight=False)
    face = LiveFace(console, ("journal  [not] markup",))
    face.starting("soon")
    face.show(view())
    face.show(view())
    face.close()
    face.close()
    face.summary(("The day", "[not] markup"))
    written = out.getvalue()
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0  # the cursor is hidden, and comes back
    assert written.endswith("[not] markup\n")
