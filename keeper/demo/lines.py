"""The demo in a pipe: a plain line for each event, and a line of figures now and then; ASCII, no escape codes."""

from __future__ import annotations

from typing import TextIO

from keeper.clock import Clock
from keeper.demo import words
from keeper.demo.story import clock_text
from keeper.demo.view import Event, Row, View


class PlainFace:
    """Writes lines to ``out``; figures every ``every_seconds``."""

    def __init__(self, out: TextIO, clock: Clock, every_seconds: float) -> None:
        self._out = out
        self._clock = clock
        self._every = every_seconds
        self._last: float | None = None

    def starting(self, text: str) -> None:
        """A step of the start."""
        self._write(f"start   {text}")

    def happened(self, event: Event) -> None:
        """Something happened."""
        self._write(f"{clock_text(event.minute)}   {event.voice.value:<8}{event.text}")

    def show(self, view: View) -> None:
        """The figures, when it is time for them."""
        now = self._clock.monotonic()
        if self._last is not None and now - self._last < self._every:
            return
        self._last = now
        figures = "; ".join(_figures(row) for row in view.rows)
        hedged = f"value {words.money(view.money.hedged)} USDT, unhedged {words.money(view.money.unhedged)}"
        self._write(f"{clock_text(view.minute)}   status  {figures}; {hedged}")

    def close(self) -> None:
        """Nothing to give back."""

    def summary(self, lines: tuple[str, ...]) -> None:
        """The last words."""
        self._write("\n".join(("", *lines)))

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def _figures(row: Row) -> str:
    return (
        f"{row.hedge.name} {words.price(row.price)} holds {words.coins(row.exposure)} "
        f"futures {words.coins(row.futures)} ratio {words.share(row.ratio)}/{words.coins(row.hedge.ratio)} "
        f"drift {words.percent(row.drift)}"
    )
