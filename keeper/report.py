"""What people and scripts are told about hedges: one JSON contract, and one picture of it.

Pure. Numbers leave as decimal strings in plain notation that parse back to exactly what was computed; a figure that is
not known leaves as null, never as zero. Rounding happens only in :func:`render_plan`, for the eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from keeper.core import orders
from keeper.core.beta import Estimate, Slope
from keeper.core.margin_duty import worst
from keeper.core.model import (
    Band,
    Exposure,
    Halt,
    HedgeCycle,
    Hold,
    LegExposure,
    PlannedOrder,
    Reason,
    Rebalance,
    Statement,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_UNKNOWN = "?"
_IN_FORCE = {"PO": "post-only"}
_LEVEL_STYLE = {"warn": "yellow", "block": "red", "reduce": "bold red"}
_DECISION_STYLE = {
    "hold": "green",
    "rebalance": "yellow",
    "halt": "bold red",
    "halted": "bold red",
    "paused": "red",
    "flattened": "red",
}
FAR_RATIO = 9
"""A rise by so many times the price is none to prepare for: a fee alone takes a full coin-margined hedge that near."""
NO_NEAR_LIQUIDATION = f"no rally short of {FAR_RATIO + 1} times the price liquidates it"


def plain(value: Decimal) -> str:
    """A finite decimal without exponent, trailing zeros or a negative zero; it parses back to an equal value."""
    if not value.is_finite():
        raise ValueError(f"{value} is not a figure: readings are refused at the edge before they get here")
    return orders.plain(value)


_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def iso_utc(at_ms: int) -> str:
    """Wall milliseconds as ISO-8601 UTC in whole seconds, rounded down, with a Z.

    A time that no calendar has, of a statement or a venue gone wrong, is shown as the first or the last that it has.
    """
    seconds = min(max(at_ms // 1000, _FIRST_SECOND), _LAST_SECOND)
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat().replace("+00:00", "Z")


def all_reasons(cycle: HedgeCycle) -> tuple[Reason, ...]:
    """Why this hedge is where it is, each reason once: the decision's, the cycle's, the plan's, then what blocks."""
    decision = cycle.decision
    own = (decision.reason,) if isinstance(decision, Halt) else decision.reasons
    planned = cycle.plan.reasons if cycle.plan is not None else ()
    exposure = cycle.exposure
    said = (*own, *cycle.reasons, *planned, *exposure.blockers, *exposure.sell_blockers)
    return said if len(said) < 2 else tuple(dict.fromkeys(said))  # most say one thing, and are asked for many times


def decision_word(cycle: HedgeCycle) -> str:
    """The decision as the contract spells it: hold, rebalance or halt."""
    match cycle.decision:
        case Hold():
            return "hold"
        case Rebalance():
            return "rebalance"
        case Halt():
            return "halt"


def hedge_json(cycle: HedgeCycle) -> dict[str, Any]:
    """One hedge as the ``keeper plan --json`` contract has it.

    A basket also carries ``assets``, a hedge with coins that no venue shows ``holdings``, and a cross
    hedge ``betas``.
    """
    exposure = cycle.exposure
    hedge = exposure.hedge
    document: dict[str, Any] = {"name": hedge.name, "asset": ",".join(hedge.assets)}
    if len(hedge.assets) > 1:
        document["assets"] = list(hedge.assets)
        document["portfolio_beta"] = _cut(exposure.portfolio_beta)
    document |= {
        "instrument": str(hedge.instrument.id),
        "spot_base": _figure(exposure.spot_base),
        "collateral_base": _figure(exposure.collateral_base),
        "exposure_base": _figure(exposure.exposure_base),
        "futures_base": _figure(exposure.futures_base),
        "beta": _figure(_beta(exposure)),
        "hedge_ratio": _figure(exposure.hedge_ratio),
        "target_ratio": _figure(exposure.target_ratio),
        "target": {"kind": hedge.target.kind.value, "value": _figure(hedge.target.value)},
        "target_base": _figure(exposure.target_base),
        "drift_base": _figure(exposure.drift_base),
        "drift_ratio": _figure(exposure.drift_ratio),
        "drift_notional": _figure(exposure.drift_notional),
        "decision": decision_word(cycle),
        "reasons": [{"code": reason.code, "text": reason.text} for reason in all_reasons(cycle)],
        "orders": [_order_json(order, of_several=len(exposure.legs) > 1) for order in _next_orders(cycle)],
        "residual_base": _figure(_residual(cycle)),
        "legs": [_leg_json(leg) for leg in exposure.legs],
        "margin": _margin_json(exposure),
    }
    if hedge.slopes:
        document["betas"] = [_slope_json(slope) for slope in hedge.slopes]
    if exposure.stated:
        document["holdings"] = [_statement_json(each) for each in exposure.stated]
    return document


def _leg_json(leg: LegExposure) -> dict[str, Any]:
    return {
        "instrument": str(leg.id),
        "share": _figure(leg.leg.share),
        "contracts": _figure(None if leg.position is None else leg.position.contracts),
        "futures_base": _figure(leg.delta_base),
        "mark": _figure(None if leg.mark is None else leg.mark.mark),
    }


def plan_document(mode: str, taken_at_ms: int, hedges: Sequence[HedgeCycle]) -> dict[str, Any]:
    """The whole ``keeper plan --json`` document; ``taken_at_ms`` is the wall time of the look behind it."""
    return {"mode": mode, "taken_at": iso_utc(taken_at_ms), "hedges": [hedge_json(cycle) for cycle in hedges]}


def render_plan(document: Mapping[str, Any], bands: Mapping[str, Band] | None = None) -> RenderableType:
    """A plan document for people, within 80 columns: a table of figures, then each hedge's orders and reasons.

    ``bands`` maps names of hedges to their thresholds, which the contract does not carry. Figures are rounded here.
    """
    from rich.console import Group
    from rich.text import Text

    hedges: Sequence[Mapping[str, Any]] = document["hedges"]
    taken_at = document["taken_at"] or "nothing seen yet"
    parts: list[RenderableType] = [Text(f"mode {document['mode']} · {taken_at}", style="bold")]
    if hedges:
        parts.append(_figures_table(hedges, bands or {}))
    for hedge in hedges:
        parts.extend(_story(hedge))
    return Group(*parts)


def _figure(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _beta(exposure: Exposure) -> Decimal | None:
    betas = {exposure.hedge.beta(asset) for asset in exposure.hedge.assets}
    return betas.pop() if len(betas) == 1 else None


def _next_orders(cycle: HedgeCycle) -> Sequence[PlannedOrder]:
    # A hold sends nothing: where a plan was made and refused, its orders would pass for what comes next.
    return () if cycle.plan is None or isinstance(cycle.decision, Hold) else cycle.plan.orders


def _residual(cycle: HedgeCycle) -> Decimal | None:
    if cycle.plan is not None:
        return cycle.plan.residual_base
    # Without a plan nothing was left over by one; without a drift nobody can say so.
    return None if cycle.exposure.drift_base is None else Decimal(0)


def _margin_json(exposure: Exposure) -> dict[str, Any] | None:
    """The margin behind the leg that is nearest liquidation; None where none was read."""
    found = worst(exposure)
    if found is None:
        return None
    ident, margin = found
    account, position = margin.account, margin.position
    return {
        "instrument": str(ident),
        "account": str(account.account),
        "asset": account.asset,
        "equity": plain(account.equity),
        "maintenance": plain(account.maintenance),
        "available": _figure(account.available),
        "ratio": _figure(margin.ratio),
        "isolated": margin.isolated,
        "position_maintenance": _figure(None if position is None else position.maintenance),
        "liquidation_price": _figure(margin.liquidation_price),
        "liquidation_distance": _figure(margin.distance),
        "level": margin.level.value,
    }


def _order_json(order: PlannedOrder, *, of_several: bool) -> dict[str, Any]:
    # Where a hedge has one contract it is named above; of several, two venues may have one symbol.
    named = {"instrument": str(order.instrument)} if of_several else {}
    return named | {
        "symbol": order.instrument.symbol,
        "side": order.side.value,
        "contracts": plain(order.contracts),
        "amount_base": plain(order.amount_base),
        "notional": plain(order.notional),
        "type": order.type,
        "time_in_force": order.time_in_force,
        "price": plain(order.price),
        "reduce_only": order.reduce_only,
    }


def _slope_json(slope: Slope) -> dict[str, Any]:
    found = slope.estimate or Estimate(None)
    outside = found.outside
    return {
        "asset": slope.asset,
        "method": slope.method.value,
        "beta": _figure(slope.beta),
        "estimated_at": None if slope.since_ms is None else iso_utc(slope.since_ms),
        "latest_beta": _figure(found.beta),
        "standard_error": _statistic(found.standard_error),
        "r2": _statistic(found.r2),
        "effective_sample": _statistic(found.sample),
        "returns": str(found.pairs),
        "candles_missing": str(found.missing),
        "effectiveness": _statistic(found.inside),
        "effectiveness_out_of_sample": _statistic(None if outside is None else outside.ratio),
        "effectiveness_low": _statistic(None if outside is None else outside.low),
        "effectiveness_high": _statistic(None if outside is None else outside.high),
        "refused": slope.refused,
    }


def _cut(value: Decimal | None) -> str | None:
    """A quotient has no end: nine decimals of it."""
    return None if value is None else plain(Decimal(f"{value:.9f}"))


def _statistic(value: float | None) -> str | None:
    """Statistics are floats: six decimals say all that they know."""
    return None if value is None else plain(Decimal(f"{value:.6f}"))


def said_of_slope(slope: Slope) -> str:
    """A slope and what it is worth, in one line for people."""
    figures = _slope_json(slope)

    def short(key: str) -> str:
        return rounded(figures[key], 3)

    said = f"{short('beta')} ({slope.method.value})"
    if slope.estimate is not None and slope.estimate.r2 is not None:
        said += (
            f", standard error {short('standard_error')}, R² {short('r2')}, "
            f"sample {rounded(figures['effective_sample'], 1)}, "
            f"effectiveness {short('effectiveness')} in and {short('effectiveness_out_of_sample')} out of sample "
            f"({short('effectiveness_low')} to {short('effectiveness_high')})"
        )
    return said if slope.refused is None else f"{said}; refused: {slope.refused}"


def _statement_json(statement: Statement) -> dict[str, Any]:
    return {
        "source": str(statement.account),
        "asset": statement.asset,
        "amount": _figure(statement.amount),
        "as_of": None if statement.as_of_ms is None else iso_utc(statement.as_of_ms),
        "max_age_seconds": None if statement.max_age_ms is None else str(statement.max_age_ms // 1000),
    }


def _margin_line(margin: Mapping[str, Any]) -> str:
    """Margin in one line: what share of the account is needed, and where the venue would liquidate the position.

    The venue's price lets every other contract of the account stand still; ``keeper stress`` moves them together.
    """
    share = "?" if margin["ratio"] is None else rounded(str(Decimal(margin["ratio"]) * 100), 2)
    words = [f"margin {margin['account']}: {share} % of {rounded(margin['equity'], 4)} {margin['asset']} is needed"]
    if margin["liquidation_price"] is not None and Decimal(margin["liquidation_distance"]) >= FAR_RATIO:
        words.append(NO_NEAR_LIQUIDATION)
    elif margin["liquidation_price"] is not None:
        distance = rounded(str(Decimal(margin["liquidation_distance"]) * 100), 1)
        words.append(f"liquidation at {rounded(margin['liquidation_price'], 1)} if it moves alone, {distance} % away")
    return ", ".join(words)


def rounded(figure: str | None, places: int) -> str:
    """A contract's decimal string for the eye: at most ``places`` decimals, "?" where it is not known."""
    if figure is None:
        return _UNKNOWN
    value = Decimal(figure)
    # A figure too small for the eye must not read as zero.
    smallest = Decimal(1).scaleb(-places)
    if value != 0 and abs(value) < smallest:
        return f"{'-' if value < 0 else ''}<{plain(smallest)}"
    return plain(Decimal(f"{value:.{places}f}"))


def _figures_table(hedges: Iterable[Mapping[str, Any]], bands: Mapping[str, Band]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # At 80 columns names and counts of coins give way; wider, nothing has to.
    table.add_column("hedge", overflow="fold")
    for heading in ("exposure", "futures"):
        table.add_column(heading, justify="right", overflow="fold")
    for heading in ("ratio / target", "drift (in coins)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    for hedge in hedges:
        shown = _stand(hedge)
        style = _DECISION_STYLE.get(shown, "")
        table.add_row(
            Text(f"{hedge['name']}\n{hedge['asset']}"),
            Text(_coins(hedge["exposure_base"])),
            Text(_coins(hedge["futures_base"])),
            Text(f"{rounded(hedge['hedge_ratio'], 4)} / {rounded(hedge['target_ratio'], 4)}"),
            Text(_drift_cell(hedge, bands.get(hedge["name"]))),
            Text(shown, style=style),
        )
    return table


def _stand(hedge: Mapping[str, Any]) -> str:
    """What a person wants to see in one word: a hedge that somebody or something has stopped does not just hold."""
    if hedge["decision"] != "hold":
        return str(hedge["decision"])
    return next((flag for flag in ("halted", "flattened", "paused") if hedge.get(flag)), "hold")


def _coins(figure: str | None) -> str:
    """Coins for the eye: fewer decimals once there are many of them."""
    size = Decimal(0) if figure is None else abs(Decimal(figure))
    return rounded(figure, 6 if size < 10 else 4 if size < 1_000 else 2)


def _drift_cell(hedge: Mapping[str, Any], band: Band | None) -> str:
    cell = f"{rounded(hedge['drift_ratio'], 4)} ({_coins(hedge['drift_base'])})"
    if band is not None:
        cell += f"\nact {plain(band.act)} halt {plain(band.halt)}"
    return cell


def _story(hedge: Mapping[str, Any]) -> Iterable[Text]:
    from rich.text import Text

    # A unified symbol is BASE/QUOTE:SETTLE, after the venue's name.
    pair = hedge["instrument"].partition(":")[2].partition(":")[0]
    base, _, quote = pair.partition("/")
    yield Text(f"{hedge['name']}: {hedge['instrument']}", style="bold")
    legs: Sequence[Mapping[str, Any]] = hedge.get("legs", ())
    several = [leg for leg in legs if leg["contracts"] != "0" or leg["share"] is not None]
    for leg in several if len(legs) > 1 else ():
        share = "" if leg["share"] is None else f", share {leg['share']}"
        held = f"{rounded(leg['contracts'], 8)} contracts ({rounded(leg['futures_base'], 6)} {base})"
        yield Text(f"  {leg['instrument']}: {held}{share}")
    for flag in ("paused", "halted"):
        if hedge.get(flag):
            detail = "" if hedge[flag] is True else f": {hedge[flag]}"
            yield Text(f"  {flag}{detail}", style="red")
    if hedge.get("portfolio_beta") is not None:
        yield Text(f"  beta of the portfolio: {rounded(hedge['portfolio_beta'], 4)}", style="dim")
    for slope in hedge.get("betas", ()):
        worth = "" if slope["r2"] is None else f", R² {rounded(slope['r2'], 3)}"
        outside = slope["effectiveness_out_of_sample"]
        worth += "" if outside is None else f", effectiveness {rounded(outside, 3)} out of sample"
        yield Text(f"  beta of {slope['asset']}: {rounded(slope['beta'], 4)} ({slope['method']}){worth}", style="dim")
    for held in hedge.get("holdings", ()):
        since = "" if held["as_of"] is None else f" as of {held['as_of']}"
        yield Text(f"  {held['source']}: {rounded(held['amount'], 8)} {held['asset']}{since}", style="dim")
    if hedge.get("margin") is not None:
        yield Text(f"  {_margin_line(hedge['margin'])}", style=_LEVEL_STYLE.get(hedge["margin"]["level"], "dim"))
    yield from _orders_told(hedge, base, quote)
    for reason in hedge["reasons"]:
        if reason["code"] == "halted" and hedge.get("halted"):
            continue  # it stands above, in the same words
        yield Text(f"  {reason['code']}: {reason['text']}", style="dim")


def _orders_told(hedge: Mapping[str, Any], base: str, quote: str) -> Iterable[Text]:
    """The orders, each with its contract where the hedge has several, and what none of them covers."""
    from rich.text import Text

    several = len(hedge.get("legs", ())) > 1
    for order in hedge["orders"]:
        cover = ", reduce-only" if order["reduce_only"] else ""
        on = f" of {order['instrument']}" if "instrument" in order else ""
        in_force = _IN_FORCE.get(order["time_in_force"], order["time_in_force"])
        money = order["symbol"].partition("/")[2].partition(":")[0] if on else quote
        yield Text(
            f"  {order['side']} {rounded(order['contracts'], 8)} contracts{on} "
            f"({rounded(order['amount_base'], 6)} {base}, {rounded(order['notional'], 2)} {money}) "
            f"at {order['price']} {order['type']} {in_force}{cover}"
        )
    if not hedge["orders"]:
        yield Text("  no order")
    if hedge["residual_base"] in {None, "0"}:
        return
    why = "no order covers it yet"
    if not several and any(reason["code"] == "below_minimum" for reason in hedge["reasons"]):
        why = "too small to place"
    yield Text(f"  left over: {rounded(hedge['residual_base'], 8)} {base}, {why}")
