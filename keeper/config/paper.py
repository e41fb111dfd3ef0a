"""What the configuration says of a paper account: what it begins with, and what is reckoned with on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, model_validator

from keeper.config.section import Section
from keeper.config.values import SeveralError, decimal_of, kind_of, number, one_of, table_of, text
from keeper.core.orders import plain

T = TypeVar("T")
EXAMPLE = 'seed = "account", or balances = { BTC = "5", USDT = "100000" }'
"""What a paper account may begin with, as a message says it."""

_asset = text(r"[A-Za-z0-9._-]{1,24}", "BTC")
_wallet = text(r"[A-Za-z0-9_-]{1,32}", "linear")
_symbol = text(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+:[A-Za-z0-9._-]+", "BTC/USDT:USDT")
_amount = number(at_least="0", unit="(of the asset)")
_price = number(above="0", unit="(quote money)")


@dataclass(frozen=True, slots=True)
class PaperPosition:
    """A position that the account begins with: signed contracts (short < 0), and the price they were entered at."""

    contracts: Decimal
    entry: Decimal

    def __str__(self) -> str:
        return f"{plain(self.contracts)} at {plain(self.entry)}"


def _each(value: object, example: str, name: Callable[[object], str], read: Callable[[object], T]) -> dict[str, T]:
    """A table whose keys are names of somebody else's; raises :class:`SeveralError` with every fault in it."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a table, such as {example}, and is {kind_of(value)}")
    found: dict[str, T] = {}
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for key, entry in value.items():
        try:
            known = name(key)
            found[known] = read(entry)
        except SeveralError as error:
            problems += [((str(key), *path), words) for path, words in error.problems]
        except ValueError as error:
            problems.append(((str(key),), str(error)))
    if problems:
        raise SeveralError(problems)
    return found


def _coins(value: object) -> dict[str, Decimal]:
    return _each(value, '{ BTC = "5", USDT = "100000" }', _asset, _amount)


def _wallets(value: object) -> dict[str, dict[str, Decimal]]:
    return _each(value, '{ linear = { USDT = "100000" } }', _wallet, _coins)


def _position(value: object) -> PaperPosition:
    example = '{ contracts = "-2", entry = "65000" }'
    found = table_of(value, {"contracts": decimal_of, "entry": _price}, example)
    if len(found) < 2 or not found["contracts"]:
        raise ValueError(f"needs contracts (negative: short) and the price of their entry, as in {example}")
    return PaperPosition(**found)


def _positions(value: object) -> dict[str, PaperPosition]:
    return _each(value, '{ "BTC/USDT:USDT" = { contracts = "-2", entry = "65000" } }', _symbol, _position)


Coins = Annotated[Mapping[str, Decimal], PlainValidator(_coins), PlainSerializer(dict)]
Wallets = Annotated[Mapping[str, Mapping[str, Decimal]], PlainValidator(_wallets), PlainSerializer(dict)]
Positions = Annotated[Mapping[str, PaperPosition], PlainValidator(_positions), PlainSerializer(dict)]
Fee = Annotated[Decimal, BeforeValidator(number(at_least="-0.01", below="0.1", unit="(a share: 0.0005 is 0.05 %)"))]
Leverage = Annotated[Decimal, BeforeValidator(number(at_least="1", at_most="125"))]
Maintenance = Annotated[Decimal, BeforeValidator(number(above="0", below="1", unit="(a share of the value)"))]


class PaperConfig(Section):
    """A paper account. It begins once, with ``seed = "account"`` as the real one, else with what stands here."""

    seed: Annotated[Literal["account"], BeforeValidator(one_of("account"))] | None = None
    balances: Coins = Field(default_factory=dict)
    wallets: Wallets = Field(default_factory=dict)
    positions: Positions = Field(default_factory=dict)
    maker_fee: Fee | None = None
    taker_fee: Fee | None = None
    leverage: Leverage = Decimal(10)
    maintenance_ratio: Maintenance = Decimal("0.01")

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        stated = [name for name in ("balances", "wallets", "positions") if getattr(self, name)]
        if self.seed is not None and stated:
            raise ValueError(f'gives both seed = "account" and {stated[0]}; keep the one that the account begins with')
        if self.seed is None and not self.balances and not self.wallets:
            raise ValueError(f"does not say what the account begins with; write {EXAMPLE}")
        return self
