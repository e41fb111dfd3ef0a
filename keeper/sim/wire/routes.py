"""All HTTP routes together."""

from __future__ import annotations

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.types import MarketKind
from keeper.sim.wire.earn import SimpleEarn
from keeper.sim.wire.futures_account import FuturesAccounts
from keeper.sim.wire.futures_market import FuturesData, FuturesMarket
from keeper.sim.wire.futures_orders import FuturesOrders
from keeper.sim.wire.market_data import MarketData
from keeper.sim.wire.request import Routes
from keeper.sim.wire.spot import Spot
from keeper.sim.wire.wallet import Wallets


def all_routes(exchange: Exchange, clock: Clock) -> Routes:
    """Every route that needs nothing but the exchange and a clock."""
    routes: Routes = {}
    for kind in MarketKind:
        routes |= MarketData(exchange, clock, kind).routes()
    for kind in (MarketKind.LINEAR, MarketKind.INVERSE):
        routes |= FuturesMarket(exchange, clock, kind).routes()
        routes |= FuturesAccounts(exchange, clock, kind).routes()
        routes |= FuturesOrders(exchange, kind).routes()
    routes |= FuturesData(exchange, clock).routes()
    routes |= Spot(exchange).routes()
    routes |= Wallets(exchange, clock).routes()
    routes |= SimpleEarn(exchange).routes()
    return routes
