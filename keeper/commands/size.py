"""``keeper size``: the sizing arithmetic on the command line, without a venue or a configuration."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from keeper.config.values import number, one_of
from keeper.core.model import ONE, ZERO, Base, Kind, Quote, Side
from keeper.core.orders import plain
from keeper.core.sizing import Sizing, SizingInput, contract_value, exposure_value
from keeper.core.sizing import size as compute
from keeper.errors import ConfigError, told_together

_positive = number(above="0")
_not_negative = number(at_least="0")
_any = number()
_ratio = number(at_least="0", at_most="1")


@dataclass(frozen=True, slots=True)
class SizeFlags:
    """The flags as they were typed; None where one was not given."""

    kind: str
    ratio: str | None = None
    spot: str | None = None
    price: str | None = None
    contract_size: str | None = None
    step: str | None = None
    beta: str | None = None
    min_notional: str | None = None
    value: str | None = None
    index: str | None = None
    multiplier: str | None = None
    futures: str | None = None
    asset_price: str | None = None


_EXAMPLES = {
    Kind.LINEAR: "keeper size --kind linear --spot 5 --price 65000 --ratio 0.5 --contract-size 1",
    Kind.INVERSE: "keeper size --kind inverse --spot 5 --price 65000 --ratio 1 --contract-size 100",
    Kind.INDEX: "keeper size --kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100",
}
_COIN_FLAGS = ("spot", "price", "contract_size")
_INDEX_FLAGS = ("value", "index", "multiplier")


def size(flags: SizeFlags, as_json: bool) -> None:
    """Print how many contracts hedge the exposure; raises :class:`ConfigError` that names the flag."""
    given = _read(flags)
    result = compute(given)
    if as_json:
        sys.stdout.write(json.dumps(_document(result)) + "\n")
    else:
        _show(result, given)


def _read(flags: SizeFlags) -> SizingInput:
    problems: list[str] = []
    try:
        kind = Kind(one_of(*Kind)(flags.kind))
    except ValueError as error:
        raise ConfigError(f"--kind {error}") from None
    values = _numbers(flags, kind, problems)
    if problems:
        raise ConfigError(f"{told_together(problems, 'keeper size')}\nfor example: {_EXAMPLES[kind]}")
    exposure: Fraction
    base_price: Decimal | None
    if kind is Kind.INDEX:
        exposure = Fraction(values["value"])
        unit = contract_value(kind, values["multiplier"], values["index"])
        base_price = values.get("asset_price")
    else:
        exposure = exposure_value(values["spot"], values.get("asset_price", values["price"]))
        unit = contract_value(kind, values["contract_size"], values["price"])
        base_price = values["price"]
    return SizingInput(
        exposure_quote=exposure,
        ratio=values["ratio"],
        beta=values.get("beta", ONE),
        contract_notional=unit,
        base_price=base_price,
        futures_base=Base(values.get("futures", ZERO)),
        step=values.get("step", ZERO),
        min_notional=Quote(values.get("min_notional", ZERO)),
    )


def _numbers(flags: SizeFlags, kind: Kind, problems: list[str]) -> dict[str, Decimal]:
    """The flags as numbers; what is missing, out of place or not a number is noted."""
    readers = {
        "ratio": _ratio, "spot": _any, "price": _positive, "contract_size": _positive, "step": _not_negative,
        "beta": _positive, "min_notional": _not_negative, "value": _any, "index": _positive, "multiplier": _positive,
        "futures": _any, "asset_price": _positive,
    }  # fmt: skip
    needed, foreign = (_INDEX_FLAGS, _COIN_FLAGS) if kind is Kind.INDEX else (_COIN_FLAGS, _INDEX_FLAGS)
    values: dict[str, Decimal] = {}
    for name, read in readers.items():
        flag, text = f"--{name.replace('_', '-')}", getattr(flags, name)
        if text is None:
            if name == "ratio" or name in needed:
                problems.append(f"{flag} is missing, and --kind {kind} needs it")
        elif name in foreign:
            problems.append(f"{flag} does not belong to --kind {kind}; remove it, or choose another kind")
        else:
            try:
                values[name] = read(text)
            except ValueError as error:
                problems.append(f"{flag} {error}")
    if kind is Kind.INDEX and values.get("futures") and "asset_price" not in values and flags.asset_price is None:
        problems.append("--futures is in base units; add --asset-price, the price of one, to compare it with an index")
    return values


def _document(result: Sizing) -> dict[str, str | None]:
    def text(figure: Decimal | None) -> str | None:
        return None if figure is None else _plain(figure)

    return {
        "contracts": _plain(result.contracts),
        "amount_base": text(result.amount_base),
        "notional": _plain(result.notional),
        "side": None if result.side is None else result.side.value,
        "target_base": text(result.target_base),
        "drift_base": text(result.drift_base),
        "residual_base": text(result.residual_base),
    }


def _plain(figure: Decimal) -> str:
    text = plain(figure)
    return "0" if text == "-0" else text


def _show(result: Sizing, given: SizingInput) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_column(overflow="fold")
    words = {
        "contracts": "to trade now", "amount_base": "the same in base units", "notional": "the same in quote money",
        "side": "", "target_base": "futures wanted, short is negative", "drift_base": "to short; negative: to buy back",
        "residual_base": "left after the order",
    }  # fmt: skip
    for name, figure in _document(result).items():
        table.add_row(name, figure if figure is not None else "-", words[name])
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(table)
    console.print(_sentence(result, given))


def _sentence(result: Sizing, given: SizingInput) -> str:
    if result.side is None and given.exposure_quote <= 0:
        return "Nothing to hedge: the exposure is not above zero."
    if result.side is None and not result.below_minimum:
        return "Nothing to trade: the futures are at their target."
    if result.side is None:
        left = "" if result.residual_base is None else f" {_plain(result.residual_base)} base units stay unhedged."
        why = "one step" if given.min_notional == 0 else f"one step or the minimum of {plain(given.min_notional)}"
        return f"No order: what is left to trade is smaller than {why}.{left}"
    rounding = "" if given.step == 0 else f", rounded to steps of {plain(given.step)} toward less short"
    verb = "Sell" if result.side is Side.SELL else "Buy back"
    return (
        f"{verb} {_plain(result.contracts)} contracts ({_plain(result.notional)} in quote money) "
        f"to hedge {_plain(given.ratio * 100)} %{rounding}."
    )
