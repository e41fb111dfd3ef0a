"""The demo's stories by name: for each an exchange, an account with hedges on it, and what happens to both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from keeper.clock import Clock
from keeper.demo.setting import HEDGES, PURSES, Protected, Purse, fund
from keeper.demo.story import Story, a_day, a_roll
from keeper.sim.calendar import YEAR_MS, quarter_ends, quarterly, symbol_of
from keeper.sim.defaults import default_markets
from keeper.sim.exchange import Exchange
from keeper.sim.types import ExchangeOptions, Market, WalletKind, inverse

DEFAULT = "day"
_SEED = 7
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_EXPIRY_HOUR = 8
_LEFT_HOURS_MIN = 30
_WINDOW_DAYS = 3
_BASIS_YEARLY = Decimal("0.12")


@dataclass(frozen=True, slots=True)
class Staging:
    """What a show needs before the keeper starts."""

    title: str
    exchange: Exchange
    hedges: tuple[Protected, ...]
    story: Story


def staged(name: str, clock: Clock, api_key: str, api_secret: str) -> Staging:
    """Set the stage for a story of :data:`STORIES`."""
    made = STORIES[name](clock)
    fund(made.exchange, api_key, api_secret, _PURSES[name])
    return made


def _day(clock: Clock) -> Staging:
    exchange = Exchange(clock, _SEED)
    prices = {hedge.asset: exchange.index_price(hedge.asset) for hedge in HEDGES}
    return Staging("a day of market on a simulated exchange", exchange, HEDGES, a_day(prices, _SEED))


def _roll(clock: Clock) -> Staging:
    """A coin-margined hedge in a contract that expires in a day or two: expiries run on real time, prices do not."""
    exchange = Exchange(clock, _SEED, default_markets(), ExchangeOptions(delivery_ms=60_000))
    perpetual = exchange.market(inverse("BTCUSD_PERP"))
    near_ms = _next_expiry(clock.now_ms() + _LEFT_HOURS_MIN * _HOUR_MS)
    far_ms = quarter_ends(near_ms + 30 * _DAY_MS, 1)[0]
    near = _listed(exchange, quarterly(perpetual, near_ms, clock.now_ms()))
    far = _listed(exchange, quarterly(perpetual, far_ms, clock.now_ms()))
    hedge = Protected(
        "btc-coin",
        "BTC",
        Decimal(1),
        symbol_of(near),
        near.key,
        "the BTC that margins this contract, which expires",
        later=(far.key, perpetual.key),
        rules=(f"roll = {{ window_days = {_WINDOW_DAYS}, latest_days = 1, horizon_days = 90 }}",),
    )
    story = a_roll({"BTC": exchange.index_price("BTC")}, _SEED)
    return Staging("a coin-margined hedge, and its roll", exchange, (hedge,), story)


def _next_expiry(after_ms: int) -> int:
    """The next time of day at which contracts expire."""
    today_ms = after_ms // _DAY_MS * _DAY_MS + _EXPIRY_HOUR * _HOUR_MS
    return today_ms if today_ms > after_ms else today_ms + _DAY_MS


def _listed(exchange: Exchange, market: Market) -> Market:
    exchange.add_market(market)
    left_ms = (market.expiry_ms or 0) - exchange.clock.now_ms()
    exchange.set_basis(market.key, _BASIS_YEARLY * left_ms / YEAR_MS)
    return market


STORIES: Mapping[str, Callable[[Clock], Staging]] = {DEFAULT: _day, "roll": _roll}
"""Every story that can be asked for, the usual one first."""
_PURSES: Mapping[str, tuple[Purse, ...]] = {DEFAULT: PURSES, "roll": (("BTC", Decimal(5), WalletKind.COINM),)}
