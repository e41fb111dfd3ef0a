"""``keeper stress``: what a move of prices would do to the hedges of a configuration, or to a stated portfolio."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keeper.commands import stated
from keeper.commands.printing import console
from keeper.config.values import number
from keeper.core.margin import as_decimal
from keeper.core.stress import Line, Pool, Step, step
from keeper.errors import ConfigError, KeeperError
from keeper.report import FAR_RATIO, NO_NEAR_LIQUIDATION, iso_utc, plain

if TYPE_CHECKING:
    from rich.table import Table

    from keeper.look import Look

_MAX_MOVES = 50
_NOW = Fraction(0)
_percent = number(above="-100", at_most="100000", unit="percent")


def stress(config_path: Path, moves: str, portfolio: Path | None, flags: Mapping[str, str], *, as_json: bool) -> None:
    """Print what each move would do. Raises :class:`~keeper.errors.KeeperError`; nothing is sent or written."""
    wanted = read_moves(moves)
    refused: KeeperError | None = None
    if portfolio is not None and flags:
        both = ", ".join(f"--{name.replace('_', '-')}" for name in flags)
        raise ConfigError(f"--portfolio states a portfolio, and so do {both}; keep one of the two")
    if portfolio is not None:
        document = _stated(stated.from_file(portfolio), wanted)
    elif flags:
        document = _stated(stated.from_flags(flags), wanted)
    else:
        document, refused = _live(config_path, wanted)
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _show(document)
    if refused is not None:
        raise refused


def read_moves(text: str) -> tuple[Fraction, ...]:
    """Moves in percent, separated by commas, as shares; raises :class:`ConfigError` with what to write instead."""
    example = "write percentages as in --moves=-50,-20,-10,10,20,50"
    found: list[Fraction] = []
    for word in text.split(","):
        try:
            found.append(Fraction(_percent(word.strip())) / 100)
        except ValueError as error:
            raise ConfigError(f"--moves {error}; {example}") from None
    if len(found) > _MAX_MOVES:
        raise ConfigError(f"--moves has {len(found)} entries, and {_MAX_MOVES} are the most; {example}")
    return tuple(dict.fromkeys(found))


# -- documents -------------------------------------------------------------------------------------------------------


def _stated(hedges: tuple[stated.StatedHedge, ...], moves: Sequence[Fraction]) -> dict[str, Any]:
    pools = stated.pools(hedges)
    entries = []
    for hedge in hedges:
        entry = _entry(hedge.line, pools, moves, hedge.price)
        entry["contracts"] = _figure(hedge.contracts)
        entries.append(entry)
    lines = [hedge.line for hedge in hedges]
    return {"source": "stated", "hedges": entries, "total": _total(lines, pools, moves)}


def _live(config_path: Path, moves: Sequence[Fraction]) -> tuple[dict[str, Any], KeeperError | None]:
    """The document, and what to end with once it is shown."""
    import asyncio

    from keeper.commands.loading import load_for_venues

    config = load_for_venues(config_path)
    from keeper.look import look_once

    look = asyncio.run(look_once(config))
    document = {"source": "live", "mode": config.mode.value, "taken_at": iso_utc(look.taken_at_ms)}
    return {**document, **of_look(look, moves)}, look.refused


def of_look(look: Look, moves: Sequence[Fraction]) -> dict[str, Any]:
    """The hedges of one look; a hedge of which something was not read has nulls, and so has the total then."""
    from keeper.core.portfolio import line_of, pools_of, portfolio_beta

    lines: list[Line] = []
    entries: list[dict[str, Any]] = []
    pools = pools_of((cycle.exposure for cycle in look.hedges), look.snapshot)
    for cycle in look.hedges:
        exposure = cycle.exposure
        line = line_of(exposure, look.snapshot)
        price = None if exposure.mark is None else exposure.mark.mark
        name = exposure.hedge.name
        entry = _unknown(name, moves) if line is None or price is None else _entry(line, pools, moves, price)
        entry |= {"asset": ",".join(exposure.hedge.assets), "instrument": str(exposure.hedge.instrument.id)}
        if len(exposure.hedge.assets) > 1:
            beta = portfolio_beta(exposure, look.snapshot)
            entry["portfolio_beta"] = None if beta is None else plain(Decimal(f"{beta:.9f}"))
        entry["reasons"] = [{"code": reason.code, "text": reason.text} for reason in exposure.blockers]
        if line is not None:
            lines.append(line)
        entries.append(entry)
    whole = len(lines) == len(look.hedges)
    total = _total(lines, pools, moves) if whole else _unknown("total", moves)
    return {"hedges": entries, "total": total}


def _entry(line: Line, pools: Mapping[str, Pool], moves: Sequence[Fraction], price: Decimal) -> dict[str, Any]:
    """One hedge: where it stands now, and after each move."""
    now = step([line], pools, _NOW)
    end = now.distance
    return {
        "name": line.name,
        "price": plain(price),
        **_standing(now),
        "liquidation_price": _figure(None if end is None else Fraction(price) * (1 + end)),
        "moves": [_move(step([line], pools, move), price) for move in moves],
    }


def _total(lines: Sequence[Line], pools: Mapping[str, Pool], moves: Sequence[Fraction]) -> dict[str, Any]:
    standing = _standing(step(lines, pools, _NOW))
    return {"name": "total", **standing, "moves": [_move(step(lines, pools, move)) for move in moves]}


def _unknown(name: str, moves: Sequence[Fraction]) -> dict[str, Any]:
    """The same keys, and nothing known."""
    steps = [
        {
            "move": _figure(move), "move_percent": _figure(move * 100), "spot_pnl": None, "futures_pnl": None,
            "net_pnl": None, "ending_value": None, "hedge_ratio": None, "margin_ratio": None,
            "liquidation_distance": None, "liquidated": None,
        }
        for move in moves
    ]  # fmt: skip
    nothing = {"value": None, "hedge_ratio": None, "margin_ratio": None, "liquidation_distance": None}
    return {"name": name, **nothing, "moves": steps}


def _standing(now: Step) -> dict[str, str | None]:
    return {
        "value": _figure(now.value),
        "hedge_ratio": _figure(now.hedge_ratio),
        "margin_ratio": _figure(now.margin_ratio),
        "liquidation_distance": _figure(now.distance),
    }


def _move(seen: Step, price: Decimal | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {"move": _figure(seen.move), "move_percent": _figure(seen.move * 100)}
    if price is not None:
        document["price"] = _figure(Fraction(price) * (1 + seen.move))
    return document | {
        "spot_pnl": _figure(seen.spot_pnl),
        "futures_pnl": _figure(seen.futures_pnl),
        "net_pnl": _figure(seen.net_pnl),
        "ending_value": _figure(seen.value),
        "hedge_ratio": _figure(seen.hedge_ratio),
        "margin_ratio": _figure(seen.margin_ratio),
        "liquidation_distance": _figure(seen.distance),
        "liquidated": seen.liquidated,
    }


def _figure(number: Fraction | None) -> str | None:
    return None if number is None else plain(as_decimal(number))


# -- for people ------------------------------------------------------------------------------------------------------


def _show(document: Mapping[str, Any]) -> None:
    from rich.text import Text

    page = console(highlight=False)
    if document["source"] == "live":
        page.print(Text(f"mode {document['mode']} · {document['taken_at']}", style="bold"))
    hedges = document["hedges"]
    for entry in hedges:
        page.print(Text(_heading(entry), style="bold"))
        page.print(_table(entry))
        for reason in entry.get("reasons", ()):
            page.print(Text(f"  {reason['code']}: {reason['text']}", style="dim"))
    if len(hedges) > 1:
        page.print(Text("all together", style="bold"))
        page.print(_table(document["total"]))
    page.print(Text("Money is quote money. Nothing is traded between now and then.", style="dim"))


def _heading(entry: Mapping[str, Any]) -> str:
    instrument = f": {entry['instrument']}" if "instrument" in entry else ""
    nothing = "?" if entry["value"] is None else "-"
    words = [
        f"{entry['name']}{instrument}",
        f"value {_money(entry['value'])}",
        f"ratio {_share(entry['hedge_ratio'], nothing)}",
    ]
    if entry.get("portfolio_beta") is not None:
        words.append(f"portfolio beta {_share(entry['portfolio_beta'])}")
    if entry["margin_ratio"] is not None:
        words.append(f"margin {_share(entry['margin_ratio'])}")
    if entry.get("liquidation_price") is not None:
        far = Decimal(entry["liquidation_distance"]) >= FAR_RATIO
        words.append(NO_NEAR_LIQUIDATION if far else f"liquidation at {_money(entry['liquidation_price'])}")
    return " · ".join(words)


def _table(entry: Mapping[str, Any]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("move", "spot", "futures", "net", "value", "ratio", "margin", "to liq."):
        table.add_column(heading, justify="right", no_wrap=True)
    for seen in entry["moves"]:
        percent = Decimal(seen["move_percent"])
        distance = seen["liquidation_distance"]
        cells = [f"{'+' if percent > 0 else ''}{plain(percent)} %"]
        cells += [_money(seen[key]) for key in ("spot_pnl", "futures_pnl", "net_pnl", "ending_value")]
        # What has no ratio is one thing, what could not be read another.
        nothing = "?" if seen["ending_value"] is None else "-"
        cells += [_share(seen["hedge_ratio"], nothing), _share(seen["margin_ratio"], nothing)]
        cells.append("gone" if seen["liquidated"] else _percentage(distance, nothing))
        table.add_row(*(Text(cell) for cell in cells), style="red" if seen["liquidated"] else "")
    return table


def _money(figure: str | None) -> str:
    """Quote money for the eye: whole units once there are many of them."""
    if figure is None:
        return "?"
    value = Decimal(figure)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}".removesuffix(".00")


def _share(figure: str | None, nothing: str = "-") -> str:
    return nothing if figure is None else plain(Decimal(f"{Decimal(figure):.4f}"))


def _percentage(figure: str | None, nothing: str) -> str:
    if figure is None:
        return nothing
    return "far" if Decimal(figure) >= FAR_RATIO else f"{Decimal(figure) * 100:+.1f} %"
