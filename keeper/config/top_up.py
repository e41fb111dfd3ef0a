"""What the configuration says of topping up a margin account from another wallet of its owner."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, model_validator

from keeper.config.instruments import VENUE_NAME
from keeper.config.section import Section
from keeper.config.values import number, text
from keeper.core.model import AccountId
from keeper.core.topup import TopUp


def _account(value: object) -> AccountId:
    venue, _, wallet = text(rf"{VENUE_NAME}(\.[A-Za-z0-9_-]+)?", "main.linear")(value).partition(".")
    return AccountId(venue, wallet)


_SHARE = "(a share of the equity: 0.6 is 60 %)"
Share = Annotated[Decimal, BeforeValidator(number(above="0", below="1", unit=_SHARE))]
Amount = Annotated[Decimal, BeforeValidator(number(above="0", unit="(of the asset)"))]
Wallet = Annotated[AccountId, PlainValidator(_account), PlainSerializer(str)]


class TopUpConfig(Section):
    """Which wallet helps out which, when, and with how much at the most. There are no defaults for money."""

    asset: Annotated[str, BeforeValidator(text(r"[A-Za-z0-9._-]{1,24}", "USDT"))]
    source: Wallet
    to: Wallet
    trigger: Share
    target: Share
    max_per_transfer: Amount
    max_per_day: Amount

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.target < self.trigger:
            raise ValueError(
                f"must satisfy target < trigger, and is target {self.target}, trigger {self.trigger}: at trigger money "
                "is moved until the ratio is down to target"
            )
        if self.source == self.to:
            raise ValueError(f"moves from {self.source} to itself; name two wallets")
        if self.max_per_transfer > self.max_per_day:
            raise ValueError("must satisfy max_per_transfer <= max_per_day")
        return self

    def to_core(self) -> TopUp:
        """The rule as the core knows it."""
        return TopUp(
            self.asset, self.source, self.to, self.trigger, self.target, self.max_per_transfer, self.max_per_day
        )
