"""The exchange of one run, its market, and the account's owner with their money."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from fractions import Fraction

from keeper.core.model import AccountId, Base, Hedge, HedgeMemory, InstrumentId, Leg
from keeper.core.roll_rules import RollRules
from keeper.core.targets import Target
from keeper.fuzz.carriers import VENUE, all_legs, legs_of, named_first
from keeper.fuzz.options import HedgeOptions, LateOptions, Options
from keeper.fuzz.virtual import Streams, VirtualClock
from keeper.sim.calendar import quarterly, symbol_of
from keeper.sim.defaults import inverse_market, linear_market, spot_market
from keeper.sim.errors import SimError
from keeper.sim.exchange import Exchange
from keeper.sim.faults import (
    STREAM_FAULTS,
    TRANSFER_FAULTS,
    FaultKind,
    FaultMenu,
    Trigger,
    draw_probabilities,
    frequent,
)
from keeper.sim.names import inverse, linear, spot
from keeper.sim.troubles import TroubleError
from keeper.sim.types import (
    ExchangeOptions,
    MarketKey,
    MarketKind,
    MarketStatus,
    OrderRequest,
    OrderType,
    Side,
    WalletKind,
)
from keeper.venue.base import Observer

D = Decimal
API_KEY = "fuzz-key-0f3a9c"
SECRET = "canary-5c1e77d0b2"  # noqa: S105  the secret that must show nowhere; it opens nothing
COINS = {"BTC": D(5), "ETH": D(50)}
START = {"BTC": 65_000.0, "ETH": 3_500.0}
COIN_PLACES = D("0.00000001")
NOT_HERE = frozenset(STREAM_FAULTS) | frozenset(TRANSFER_FAULTS) | {FaultKind.EXPIRED}
"""The loop reads no streams, dated contracts end when it is their time, and nobody tops up margin."""
LATER = (FaultKind.ANSWER_CONTRADICTS, FaultKind.POSITION_GOES_BACK)
"""Drawn from a stream of their own: what was drawn before they were thought of keeps its value for every seed."""
FUTURES = (MarketKind.LINEAR, MarketKind.INVERSE)
LATE_LOOKS = 24
LATE_EVERY_SECONDS = 0.25

PERPETUALS: Mapping[str, MarketKey] = {
    "BTC/USDT:USDT": linear("BTCUSDT"),
    "ETH/USDT:USDT": linear("ETHUSDT"),
    "BTC/USD:BTC": inverse("BTCUSD_PERP"),
}


def make_exchange(clock: VirtualClock, options: Options) -> Exchange:
    """BTC and ETH, spot and linear, BTC inverse, and an account with coins and margin."""
    markets = (
        spot_market("BTC", "0.01", ("0.00001", "9000", "120")),
        spot_market("ETH", "0.01", ("0.0001", "9000", "3000")),
        linear_market("BTC", "0.1", ("0.001", "1000", "120"), "100", maintenance_rate="0.004", max_leverage=125),
        linear_market("ETH", "0.01", ("0.001", "10000", "2000"), "20", maintenance_rate="0.004", max_leverage=125),
        inverse_market("BTC", "0.1", "100", maintenance_rate="0.004", max_leverage=125),
    )
    book = ExchangeOptions(
        half_spread_bps=options.market.half_spread_bps, levels=4, first_level_notional=options.market.first_level,
        flow_notional=options.styles.flow_notional, delivery_ms=options.carriers.delivery_ms,
    )  # fmt: skip
    exchange = Exchange(clock, options.seed, markets, book)
    for dated in options.carriers.dated:
        made = quarterly(exchange.market(PERPETUALS[dated.like]), dated.expires_at_ms, clock.now_ms())
        exchange.add_market(made)
        exchange.set_basis(made.key, dated.basis)
    exchange.add_account(API_KEY, SECRET)
    exchange.deposit(API_KEY, "USDT", D(100_000))
    for asset, coins in COINS.items():
        exchange.deposit(API_KEY, asset, coins)
    exchange.deposit(API_KEY, "USDT", options.margin, WalletKind.USDM)
    exchange.deposit(API_KEY, "BTC", D(3), WalletKind.COINM)
    return exchange


def make_hedge(options: HedgeOptions, observer: Observer, memory: HedgeMemory) -> Hedge:
    """A hedge with its venue's facts filled in, as the wiring does it."""
    return _made(options, legs_of(options.carried, observer, memory))


def whole_hedge(options: HedgeOptions, observer: Observer) -> Hedge:
    """The hedge with every contract that it may come to have."""
    return _made(options, all_legs(options.carried, observer))


def _made(options: HedgeOptions, legs: tuple[Leg, ...]) -> Hedge:
    first, *more = legs
    instrument, named = first.instrument, named_first(options.carried)
    return Hedge(
        name=options.name,
        assets=(instrument.base,),
        spot=(AccountId(VENUE),) if options.spot else (),
        declared={instrument.base: Base(options.declared)} if options.declared else {},
        instrument=instrument,
        target=Target.ratio(options.ratio),
        band=options.band,
        exposure=options.exposure,
        unlisted=options.unlisted,
        collateral=first.collateral,
        max_slippage=options.max_slippage,
        execution=options.execution,
        share=first.share,
        more=tuple(more),
        configured=named if named != instrument.id else None,
        roll=options.carried.roll or RollRules(),
    )


def arm(menu: FaultMenu, streams: Streams, options: Options) -> dict[FaultKind, Fraction]:
    """Draw the menu's probabilities and arm it; what is to strike often does.

    What hides an order or its fills ends within the time that the keeper's configuration promises it.
    """
    drawn = draw_probabilities(
        streams.of("faults"), [kind for kind in FaultKind if kind not in NOT_HERE and kind not in LATER]
    )
    later = draw_probabilities(streams.of("later faults"), LATER)
    if options.only_those:
        drawn.clear()
        later.clear()
    drawn |= {kind: frequent(kind) for kind in options.often}
    drawn |= {kind: chance for kind, chance in later.items() if kind not in drawn}
    for kind, chance in drawn.items():
        menu.arm(kind, Trigger(probability=chance), **_hidden(kind, options.late))
    return drawn


def _hidden(kind: FaultKind, late: LateOptions) -> dict[str, int]:
    """For how long a fault hides an order, or its fills."""
    if kind is FaultKind.NOT_FOUND_THEN_FOUND:
        return {"for_ms": late.orders_ms, "readings": late.readings}
    if kind is FaultKind.FILLS_DELAYED:
        return {"for_ms": late.fills_ms, "readings": max(late.readings, 3)}
    return {}


def market_keys(exchange: Exchange, hedges: tuple[Hedge, ...]) -> dict[InstrumentId, MarketKey]:
    """The exchange's name of each contract of the hedges."""
    known = {symbol_of(market): market.key for kind in FUTURES for market in exchange.markets(kind)}
    return {each.id: known[each.id.symbol] for hedge in hedges for each in hedge.instruments}


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that the owner did."""

    what: str
    asset: str
    amount: Decimal


class World:
    """Moves the market and the owner's money, one tick after the other; the fault menu strikes in between."""

    def __init__(self, exchange: Exchange, menu: FaultMenu, options: Options, streams: Streams) -> None:
        self.exchange = exchange
        self.menu = menu
        self.is_calm = False
        self._options = options
        self._market = streams.of("market")
        self._owner = streams.of("owner")
        self._levels = dict(START)
        self._moves = 0

    def open_shorts(self, keys: Mapping[InstrumentId, MarketKey]) -> None:
        """What is open before the keeper first looks; ``keys`` are the contracts of all hedges."""
        for drawn in self._options.hedges:
            if drawn.short:
                key = keys[InstrumentId(VENUE, drawn.carried.symbols[drawn.carried.short_on])]
                quantity = drawn.short if key.kind is MarketKind.LINEAR else D(100)
                self.exchange.foreign_trade(API_KEY, key, -quantity)

    def tick(self) -> Flow | None:
        """The market moves, time is told, and perhaps the owner does something."""
        self.exchange.advance()
        self._move()
        flow = None if self.is_calm else self._flow()
        if not self.is_calm and self._market.random() < self._options.market.funding_chance:
            self._pay_funding()
        return flow

    def _move(self) -> None:
        market, source = self._options.market, self._market
        self._moves += 1
        asset = ("BTC", "ETH")[self._moves % 2]
        change = source.gauss(0.0, market.step)
        if not self.is_calm and source.random() < market.jump_chance:
            change += source.choice((-1, 1)) * source.uniform(0.0, market.jump)
        # Pulled back where it came from, so that no run ends at nothing or at infinity.
        change -= 0.01 * math.log(self._levels[asset] / START[asset])
        self._levels[asset] *= math.exp(change)
        self.exchange.set_price(asset, D(repr(round(self._levels[asset], 2))))

    def _pay_funding(self) -> None:
        key = self._market.choice(tuple(PERPETUALS.values()))
        self.exchange.set_funding_rate(key, D(self._market.randint(-30, 30)) / 10_000)
        if self.exchange.market(key).status is MarketStatus.TRADING:
            self.exchange.apply_funding(key)

    # --- the owner --------------------------------------------------------------------------------------------------

    def _flow(self) -> Flow | None:
        drawn, flows = self._owner.random(), self._options.flows
        doings = ((flows.deposit, self._deposit), (flows.withdraw, self._withdraw), (flows.sell, self._sell),
                  (flows.collateral, self._collateral))  # fmt: skip
        for chance, do in doings:
            if drawn < chance:
                try:
                    return do()
                except SimError:  # not enough money: the owner is told so, and nothing has happened
                    return None
            drawn -= chance
        return None

    def _asset(self) -> str:
        return self._owner.choice(("BTC", "ETH"))

    def _share(self, held: Decimal) -> Decimal:
        share = D(self._owner.choice((1, 5, 20, 60, 100))) / 100
        return (held * share).quantize(COIN_PLACES, rounding=ROUND_DOWN)

    def _deposit(self) -> Flow | None:
        asset = self._asset()
        amount = self._share(COINS[asset])
        if self.exchange.truth(API_KEY).spot.get(asset, D(0)) > 3 * COINS[asset]:
            return None
        self.exchange.deposit(API_KEY, asset, amount)
        return Flow("deposit", asset, amount)

    def _withdraw(self) -> Flow | None:
        asset = self._asset()
        amount = self._share(self.exchange.truth(API_KEY).spot.get(asset, D(0)))
        if amount <= 0:
            return None
        self.exchange.withdraw(API_KEY, asset, amount)
        return Flow("withdraw", asset, amount)

    def _sell(self) -> Flow | None:
        asset = self._asset()
        amount = self._share(self.exchange.truth(API_KEY).spot.get(asset, D(0)))
        key = spot(f"{asset}USDT")
        step = self.exchange.market(key).filters.step
        amount = (amount / step).to_integral_value(rounding=ROUND_DOWN) * step
        if amount <= 0:
            return None
        self.exchange.foreign_trade(API_KEY, key, -amount)
        return Flow("sale", asset, amount)

    def _collateral(self) -> Flow | None:
        """Coins between the spot wallet and the one that margins the coin contract."""
        into = self._owner.random() < 0.6
        truth = self.exchange.truth(API_KEY)
        source = truth.spot if into else truth.coinm
        amount = self._share(source.get("BTC", D(0)) / 4)
        if amount <= 0:
            return None
        wallets = (WalletKind.SPOT, WalletKind.COINM) if into else (WalletKind.COINM, WalletKind.SPOT)
        self.exchange.transfer(API_KEY, "BTC", amount, *wallets)
        return Flow("transfer in" if into else "transfer out", "BTC", amount)

    def leave_order(self, key: MarketKey, client_id: str) -> bool:
        """Let a small order of ours rest far from the market; whether the exchange took it in."""
        market, mark = self.exchange.market(key), self.exchange.mark_price(key)
        tick, step = market.filters.tick, market.filters.step
        worth = max(market.filters.min_notional, D(200))
        quantity = D(2) if key.kind is MarketKind.INVERSE else (worth / mark / step).to_integral_value(ROUND_UP) * step
        price = (mark * D("0.98") / tick).to_integral_value(ROUND_DOWN) * tick
        request = OrderRequest(
            market=key, side=Side.BUY, type=OrderType.LIMIT, quantity=quantity, price=price, client_order_id=client_id
        )
        try:
            self.exchange.place_order(API_KEY, request)
        except (SimError, TroubleError):  # refused, or its answer lost: then it may rest, or not
            return False
        return True

    # --- the end of trouble -----------------------------------------------------------------------------------------

    def settle_down(self, named: Collection[MarketKey]) -> None:
        """Faults off and undone, enough margin, and nothing on the account that no hedge names."""
        self.menu.heal()
        self.is_calm = True
        self.exchange.deposit(API_KEY, "USDT", D(50_000_000), WalletKind.USDM)
        self.exchange.deposit(API_KEY, "BTC", D("0.5"), WalletKind.COINM)
        for key, quantity in self.exchange.truth(API_KEY).positions.items():
            if key not in named or quantity > 0:
                self.exchange.foreign_trade(API_KEY, key, -quantity)
