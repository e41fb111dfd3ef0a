"""A house with several contracts to carry a hedge, at one venue or two, dated ones among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from keeper.core.model import AccountId, Band, ExposureMode, Hedge, Leg
from keeper.core.targets import Target
from keeper.cycle import Desk, restore
from keeper.execute import OrderExecutor
from keeper.journal.sql import SqlJournal
from keeper.observe import Observatory
from keeper.sim.defaults import default_markets, inverse_market, linear_market
from keeper.sim.exchange import Exchange
from keeper.sim.local import LocalVenue
from keeper.sim.names import MarketKey, inverse, linear
from keeper.sim.types import ExchangeOptions, WalletKind
from keeper.venue.base import Observer, Trader
from tests.loop.house import BAND, KEY, D, House

DAY_MS = 86_400_000
PERP, COIN = "BTC/USDT:USDT", "BTC/USD:BTC"
FREE = ExchangeOptions(half_spread_bps=D(0), level_gap_bps=D(0), first_level_notional=D(1_000_000_000))
"""A book without a spread and without an end, so that figures come out as on paper."""


class LegsHouse(House):
    """Two exchanges, ``main`` and ``other``; dated contracts of both kinds at ``main``, ``days`` from expiry."""

    def __init__(self, folder: Path, *, coins: dict[str, str] | None = None, days: int = 30, fee: str = "0") -> None:
        super().__init__(folder, coins=coins)
        self.expiry_ms = self.clock.now_ms() + days * DAY_MS
        self.exchange = self._exchange(7, fee)
        for asset, amount in (coins if coins is not None else {"BTC": "5"}).items():
            self.exchange.deposit(KEY, asset, D(amount))
        self.other = self._exchange(8, fee)
        self.venue = LocalVenue("main", self.exchange, KEY, self.clock)
        self.second = LocalVenue("other", self.other, KEY, self.clock)
        self.wraps: Callable[[str, LocalVenue], LocalVenue] = lambda _name, venue: venue

    def _exchange(self, seed: int, fee: str) -> Exchange:
        dated = (
            linear_market(
                "BTC", "0.1", ("0.001", "1000", "120"), "100", maintenance_rate="0.004", max_leverage=125,
                expiry_ms=self.expiry_ms, suffix="_270326",
            ),
            inverse_market("BTC", "0.1", "100", expiry_ms=self.expiry_ms, suffix="_270326"),
            inverse_market("BTC", "0.1", "100", expiry_ms=self.expiry_ms + 91 * DAY_MS, suffix="_270625"),
        )  # fmt: skip
        markets = tuple(replace(market, taker_fee=D(fee)) for market in (*default_markets(), *dated))
        exchange = Exchange(self.clock, seed, markets, FREE)
        exchange.add_account(KEY, "secret")
        exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
        return exchange

    def symbol(self, key: MarketKey) -> str:
        """The unified symbol of one of the exchange's markets."""
        return self.venue._instruments[key].id.symbol

    async def carry(
        self,
        *names: str,
        shares: tuple[str, ...] | None = None,
        ratio: str = "1",
        spot: tuple[AccountId, ...] = (AccountId("main"),),
        tailing: bool = False,
        band: Band = BAND,
    ) -> Hedge:
        """Add a hedge that these contracts carry, each as venue:symbol, or a symbol at ``main``."""
        await self.venue.open()
        await self.second.open()
        legs: list[Leg] = []
        for place, name in enumerate(names):
            at = self.second if name.startswith("other:") else self.venue
            instrument = at.instrument(name.removeprefix("other:"))
            wallet = at.collateral(instrument)
            share = None if shares is None else D(shares[place])
            legs.append(Leg(instrument, share, None if wallet is None else wallet[0]))
        first = legs[0]
        hedge = Hedge(
            "btc", ("BTC",), spot, {}, first.instrument, Target.ratio(D(ratio)), band, ExposureMode.EQUITY,
            collateral=first.collateral, share=first.share, more=tuple(legs[1:]), tailing=tailing,
        )  # fmt: skip
        self.hedges.append(hedge)
        return hedge

    async def open(self) -> Desk:
        journal = await SqlJournal.open(self._url)
        run = await journal.start_run("testnet", "digest", self.clock.now_ms())
        venues = {"main": self.wraps("main", self.venue), "other": self.wraps("other", self.second)}
        observers: dict[str, Observer] = dict(venues)
        traders: dict[str, Trader] = dict(venues)
        self.desk = Desk(
            tuple(self.hedges),
            Observatory(self.hedges, observers, self.clock),
            OrderExecutor(traders, journal, self.clock),
            journal,
            self.clock,
            self.limits,
            run.tag,
            run.number,
        )
        await restore(self.desk)
        return self.desk

    def set_fee(self, fee: str, *keys: MarketKey) -> None:
        """From now on these markets take this share of the notional."""
        for key in keys:
            self.exchange.update_market(replace(self.exchange.market(key), taker_fee=D(fee)))

    def held(self, key: MarketKey, at: Exchange | None = None) -> Decimal:
        """The true position in one market, as the exchange counts it."""
        return (at or self.exchange).truth(KEY).positions.get(key, D(0))


MAIN_PERP, OTHER_PERP = linear("BTCUSDT"), linear("BTCUSDT")
NEAR_LINEAR, NEAR, FAR = linear("BTCUSDT_270326"), inverse("BTCUSD_270326"), inverse("BTCUSD_270625")
COIN_PERP = inverse("BTCUSD_PERP")
