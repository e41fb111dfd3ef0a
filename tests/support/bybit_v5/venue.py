"""The stand-in as tests use it: an address, the truth, hands that move the world, switches that break it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Literal

from keeper.clock import Clock, SystemClock
from tests.support.bybit_v5 import faults
from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.faults import Fault, FaultPlan, Kind
from tests.support.bybit_v5.instruments import DEFAULT_INSTRUMENTS, DEFAULT_PRICES, Instrument
from tests.support.bybit_v5.market import Market
from tests.support.bybit_v5.orders import Lag, Order
from tests.support.bybit_v5.server import LOOPBACK, PUBLISHED_LIMITS, Budget, Recorded, Server
from tests.support.bybit_v5.stream import Streams
from tests.support.bybit_v5.wire import ZERO, Json, Number

CREATE, REALTIME, HISTORY = "/v5/order/create", "/v5/order/realtime", "/v5/order/history"
WALLET, POSITIONS = "/v5/account/wallet-balance", "/v5/position/list"
RateLimit = Literal["10006", "403", "429"]


class BybitV5:
    """One venue with one unified account, on a free loopback port.

    Quantities are the venue's own: base coins on linear and spot, US dollars on inverse. A symbol may be given as the
    client's ("BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT") or the venue's with its category ("inverse:BTCUSD").
    """

    def __init__(
        self,
        wallets: dict[str, Number] | None = None,
        *,
        clock: Clock | None = None,
        prices: dict[str, Number] | None = None,
        instruments: tuple[Instrument, ...] = DEFAULT_INSTRUMENTS,
    ) -> None:
        known = {**DEFAULT_PRICES, **{asset: Decimal(price) for asset, price in (prices or {}).items()}}
        self.exchange = Exchange(clock or SystemClock(), instruments, known)
        self.faults = FaultPlan()
        self.server = Server(self.exchange, self.faults)
        self.streams = Streams(self.exchange, self.server)
        for asset, amount in (wallets or {}).items():
            self.exchange.account.wallets[asset] = Decimal(amount)

    async def __aenter__(self) -> BybitV5:
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.stop()

    # -- where it is

    @property
    def base_url(self) -> str:
        """The HTTP address, without a trailing slash."""
        return f"http://{LOOPBACK}:{self.server.port}"

    def ccxt_urls(self) -> Json:
        """A complete ``urls.api``: no host of the real venue is left in it."""
        stream = f"ws://{LOOPBACK}:{self.server.port}"
        http = dict.fromkeys(("spot", "futures", "v2", "public", "private"), self.base_url)
        public = {kind: f"{stream}/v5/public/{kind}" for kind in ("spot", "inverse", "option", "linear")}
        private = {
            "spot": {"unified": f"{stream}/v5/private", "nonUnified": f"{stream}/spot/private/v3"},
            "contract": f"{stream}/v5/private",
            "usdc": f"{stream}/trade/option/usdc/private/v1",
            "trade": f"{stream}/v5/trade",
        }
        return {**http, "ws": {"public": public, "private": private}}

    def ccxt_config(self) -> Json:
        """What a client's constructor needs to talk to this venue and to no other."""
        return {"apiKey": self.server.api_key, "secret": self.server.secret, "urls": {"api": self.ccxt_urls()}}

    async def kill(self) -> None:
        """Refuse connections; those that stand are cut."""
        await self.server.kill()

    async def revive(self) -> None:
        """Listen again, on the same port; the venue has forgotten its closed orders, as after a release."""
        self.forget_closed_orders()
        await self.server.start()

    # -- the truth

    @property
    def requests(self) -> list[Recorded]:
        """Every HTTP request in order of arrival."""
        return self.server.requests

    @property
    def unknown_paths(self) -> list[str]:
        """Paths that were asked for and are not served here: should be empty."""
        return self.server.unknown

    @property
    def accepted_orders(self) -> list[Order]:
        """Every order that a client's request has brought into being, whatever the client was told."""
        return [order for order in self.exchange.orders if not order.foreign]

    def orders_of(self, link_id: str) -> list[Order]:
        """The accepted orders with a client id: one at most."""
        return [order for order in self.exchange.orders if order.link_id == link_id]

    def position(self, symbol: str) -> Decimal:
        """Signed size, short below zero, over all position slots."""
        unit = self._market(symbol).instrument
        return sum((h.size for h in self.exchange.account.holdings.values() if h.instrument is unit), ZERO)

    def worst_short(self, symbol: str) -> Decimal:
        """The lowest signed size that trading has ever left, 0 when it was never short."""
        unit = self._market(symbol).instrument
        return min([ZERO, *(entry.size for entry in self.exchange.account.log if entry.instrument is unit)])

    def wallet(self, asset: str) -> Decimal:
        """Wallet balance, unrealised profit apart; negative when borrowed."""
        return self.exchange.account.wallets.get(asset, ZERO)

    def equity(self, asset: str) -> Decimal:
        """Wallet and unrealised profit of the positions that settle in the asset."""
        return self.exchange.account.equity(asset)

    def price(self, symbol: str) -> Decimal:
        """The mark price."""
        return self._market(symbol).mark

    # -- the world moves

    def set_price(self, symbol_or_asset: str, price: Number) -> None:
        """Move an asset in all its markets, or one market alone (a basis opens); fills working orders it reaches."""
        value = Decimal(price)
        markets = [m for m in self.exchange.markets.values() if m.instrument.base == symbol_or_asset]
        one = [] if markets else [self._market(symbol_or_asset)]
        for market in markets or one:
            index = market.index
            market.move(value, self.exchange.now_ms())
            if one:
                market.index = index
        for market in markets or one:
            self.exchange.sweep(market)
            for listener in self.exchange.on_price:
                listener(market)

    def set_book(
        self, symbol: str, *, spread_bps: Number = 2, level_usd: Number = 250_000, levels: int = 40, gap_bps: Number = 1
    ) -> None:
        """Shape a market's book: full spread, worth of each level, how many levels a side, and how far apart."""
        market = self._market(symbol)
        market.half_spread_bps = Decimal(spread_bps) / 2
        market.level_notional_usd = Decimal(level_usd)
        market.level_gap_bps = Decimal(gap_bps)
        market.levels = levels

    def set_candles(self, symbol: str, interval: str, rows: dict[int, tuple[Number, Number, Number, Number]]) -> None:
        """Candles to answer with, by their start in milliseconds; open, high, low, close."""
        key = (self._market(symbol).instrument.key, interval)
        self.exchange.candles[key] = {start: [str(Decimal(value)) for value in row] for start, row in rows.items()}

    def deposit(self, asset: str, amount: Number, *, recorded: bool = True) -> None:
        """Coins arrive in the unified wallet."""
        self.exchange.transfer(asset, Decimal(amount), recorded=recorded)

    def withdraw(self, asset: str, amount: Number, *, recorded: bool = True) -> None:
        """Coins leave the unified wallet; below zero they are borrowed."""
        self.exchange.transfer(asset, -Decimal(amount), recorded=recorded)

    def sell_spot(self, asset: str, amount: Number) -> Order:
        """The user sells on spot by hand, at the last price."""
        return self.exchange.foreign(self._market(f"{asset}/USDT"), -Decimal(amount))

    def buy_spot(self, asset: str, amount: Number) -> Order:
        """The user buys on spot by hand, at the last price; the fee is taken in the coin bought."""
        return self.exchange.foreign(self._market(f"{asset}/USDT"), Decimal(amount))

    def foreign_trade(self, symbol: str, delta: Number) -> Order:
        """Somebody else with access to the account trades a contract; signed."""
        return self.exchange.foreign(self._market(symbol), Decimal(delta))

    def deleverage(self, symbol: str, amount: Number) -> Order:
        """The venue closes part of the position by ADL: an execution of type AdlTrade and no order of ours."""
        return self._close(symbol, Decimal(amount), "AdlTrade")

    def liquidate(self, symbol: str) -> Order:
        """The venue liquidates the position: an execution of type BustTrade."""
        return self._close(symbol, abs(self.position(symbol)), "BustTrade")

    def fill_resting(self, link_id: str, amount: Number | None = None) -> None:
        """Somebody trades against a working order, wholly or in part."""
        order = next(o for o in self.exchange.orders if o.link_id == link_id and o.open)
        self.exchange.fill_resting(order, None if amount is None else Decimal(amount))

    def set_funding(self, symbol: str, rate: Number) -> None:
        """The rate of the next settlement; positive: longs pay shorts."""
        self._market(symbol).funding_rate = Decimal(rate)

    def settle_funding(self, symbol: str) -> None:
        """Settle funding now."""
        self.exchange.settle_funding(self._market(symbol))

    def set_position(self, symbol: str, size: Number, entry: Number | None = None) -> None:
        """Put a position there as if it had always been; signed, without a trade, a fee or an event."""
        market = self._market(symbol)
        holding = self.exchange.account.holding(market.instrument)
        holding.size, holding.entry = Decimal(size), market.mark if entry is None else Decimal(entry)
        holding.created_ms = holding.updated_ms = self.exchange.now_ms()

    def forget_closed_orders(self) -> None:
        """The realtime endpoint forgets its last 500 closed orders."""
        self.exchange.recent_closed.clear()

    # -- things go wrong

    def arm(self, fault: Fault) -> Fault:
        """Arm any fault of the menu; the end of a path is enough to name it."""
        return self.faults.arm(fault)

    def drop(self, path: str = CREATE, *, accepted: bool = True, times: int | None = 1) -> Fault:
        """Cut the connection without an answer, after the venue has accepted or before."""
        return self.faults.arm(Fault(path, Kind.DROP, times, accepted=accepted))

    def http_error(
        self, status: int = 503, path: str = CREATE, *, accepted: bool = True, times: int | None = 1
    ) -> Fault:
        """Answer with an HTTP status."""
        return self.faults.arm(Fault(path, Kind.HTTP, times, accepted=accepted, status=status, message="error"))

    def ret_code(
        self, code: int = 10016, path: str = CREATE, *, accepted: bool = True, times: int | None = 1, message: str = ""
    ) -> Fault:
        """Answer with a retCode (10016 and 10000 leave the outcome open)."""
        said = message or ("Server Timeout" if code == 10000 else "Server error.")
        return self.faults.arm(Fault(path, Kind.CODE, times, accepted=accepted, code=code, message=said))

    def delay(self, seconds: float, path: str = CREATE, *, accepted: bool = True, times: int | None = 1) -> Fault:
        """Hold the answer, or (not ``accepted``) hold the request and accept it only afterwards."""
        return self.faults.arm(Fault(path, Kind.DELAY, times, accepted=accepted, seconds=seconds))

    def malformed(self, path: str = CREATE, *, accepted: bool = True, times: int | None = 1) -> Fault:
        """Answer HTTP 200 with broken JSON."""
        return self.faults.arm(Fault(path, Kind.MALFORMED, times, accepted=accepted))

    def truncated(self, path: str = CREATE, *, times: int | None = 1) -> Fault:
        """Cut the connection in the middle of the body."""
        return self.faults.arm(Fault(path, Kind.TRUNCATED, times))

    def rate_limit(self, kind: RateLimit = "10006", path: str = "", *, times: int | None = 1) -> Fault:
        """Refuse, unprocessed, for too many requests."""
        reset = {"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(self.exchange.now_ms() + 1000)}
        if kind == "10006":
            message = "Too many visits. Exceeded the API Rate Limit."
            armed = Fault(path, Kind.CODE, times, accepted=False, code=10006, message=message, headers=reset)
        else:
            message = "access too frequent"
            armed = Fault(path, Kind.HTTP, times, accepted=False, status=int(kind), message=message)
        return self.faults.arm(armed)

    def enforce_limits(self, limits: dict[str, int] | None = None) -> None:
        """Hold each endpoint to so many requests a second: the venue's published figures unless told."""
        self.server.budget = Budget(PUBLISHED_LIMITS if limits is None else limits)

    def delay_fills(
        self,
        queries: int,
        *,
        position_queries: int | None = None,
        share_shown: Number = 0,
        orders: int = 1,
        where: Callable[[Order], bool] | None = None,
    ) -> None:
        """The next orders fill at once in truth, but are shown New (or PartiallyFilled with ``share_shown``) late.

        For ``queries`` more order reads, and ``position_queries`` position reads, the views lag; streams wait as well.
        """
        reads = queries if position_queries is None else position_queries
        for _ in range(orders):
            lag = Lag(queries, reads, Decimal(share_shown))
            self.exchange.next_lag.append((lag, where or (lambda _order: True)))

    def lose_lookups(self, times: int | None = 1, link_id: str = "") -> None:
        """Order lookups by id find nothing, in realtime and in history each so many times."""

        def asks(params: Json) -> bool:
            asked = params.get("orderLinkId") or params.get("orderId")
            return bool(asked) and (not link_id or asked == link_id)

        for path in (REALTIME, HISTORY):
            self.faults.arm(Fault(path, Kind.EDIT, times, edit=faults.without_rows, where=asks))

    def empty_wallet(self, times: int | None = 1) -> Fault:
        """The wallet answer has an empty account list."""
        return self.faults.arm(Fault(WALLET, Kind.EDIT, times, edit=faults.without_accounts))

    def coinless_wallet(self, times: int | None = 1) -> Fault:
        """The wallet answer has the account, but no coin."""
        return self.faults.arm(Fault(WALLET, Kind.EDIT, times, edit=faults.without_coins))

    def hide_coin(self, asset: str, times: int | None = 1) -> Fault:
        """The wallet answer lacks one coin."""
        return self.faults.arm(Fault(WALLET, Kind.EDIT, times, edit=faults.without_coin(asset)))

    def misread_coin(self, asset: str, value: str = "0", times: int | None = 1) -> Fault:
        """The wallet answer shows one coin at a wrong amount, zero unless told."""
        return self.faults.arm(Fault(WALLET, Kind.EDIT, times, edit=faults.with_coin_at(asset, value)))

    def empty_positions(self, times: int | None = 1) -> Fault:
        """The position answer has no rows, by symbol too."""
        return self.faults.arm(Fault(POSITIONS, Kind.EDIT, times, edit=faults.without_rows))

    def misread_positions(self, name: str, value: object, times: int | None = 1) -> Fault:
        """One raw field of every position row reads ``value``."""
        return self.faults.arm(Fault(POSITIONS, Kind.EDIT, times, edit=faults.with_field(name, value)))

    def skew_clock(self, milliseconds: int) -> None:
        """The venue's clock runs apart from ours: signed requests are judged by it."""
        self.exchange.skew_ms = milliseconds

    def lie_about_time(self, milliseconds: int) -> None:
        """Only /v5/market/time is off; requests are judged by the true clock."""
        self.server.told_skew_ms = milliseconds

    def cut_streams(self) -> None:
        """Every WebSocket breaks; what happens until it is opened again is never told."""
        self.streams.cut()

    def silence_streams(self, silent: bool = True) -> None:
        """Sockets stand and answer pings, but no event comes."""
        self.streams.silent = silent

    def repeat_events(self, extra: int) -> None:
        """Each event is delivered so many times more."""
        self.streams.repeats = extra

    def garble_streams(self) -> None:
        """A frame arrives that is no JSON."""
        self.streams.garble()

    def refuse_logins(self, refuse: bool = True) -> None:
        """The private stream refuses to authenticate."""
        self.streams.refuse_logins = refuse

    def clear_faults(self) -> None:
        """Everything works again; views of orders that are still late stay late."""
        self.faults.clear()
        self.exchange.next_lag.clear()
        self.exchange.skew_ms = self.server.told_skew_ms = 0
        self.streams.silent = self.streams.refuse_logins = False
        self.streams.repeats = 0
        self.server.budget = Budget({})

    # -- inside

    def _market(self, symbol: str) -> Market:
        markets = self.exchange.markets
        if symbol in markets:
            return markets[symbol]
        for market in markets.values():
            if symbol == market.instrument.unified:
                return market
        for market in markets.values():
            if market.instrument.contract and symbol == market.instrument.symbol:
                return market
        raise KeyError(f"{symbol} is no market of this venue; there are {sorted(markets)}")

    def _close(self, symbol: str, amount: Decimal, kind: str) -> Order:
        held = self.position(symbol)
        amount = min(amount, abs(held))
        return self.exchange.foreign(self._market(symbol), -amount.copy_sign(held), kind)
