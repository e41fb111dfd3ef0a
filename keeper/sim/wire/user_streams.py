"""What an account is told: listen keys, and its orders, balances and positions as messages.

Futures: a listen key is asked for over HTTP, kept alive for an hour at a time, and named in the socket's address. Spot:
a signed subscription on the WebSocket API. Nothing is replayed: who connects late missed what happened before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from keeper.clock import Clock
from keeper.sim.events import (
    Event,
    FuturesAccountUpdated,
    MoneyMoved,
    OrderUpdated,
    SettingsChanged,
    SpotAccountUpdated,
)
from keeper.sim.exchange import Exchange
from keeper.sim.types import MarketKind, MovementKind, WalletKind
from keeper.sim.wire import errors, user_payloads
from keeper.sim.wire.request import Call, Routes, keyed
from keeper.sim.wire.streams import StreamHub
from keeper.sim.wire.text import Json

LISTEN_KEY_MS = 3_600_000


@dataclass
class _ListenKey:
    key: str
    account: str
    expires_ms: int


class UserStreams:
    """Listen keys, and the account events that go to them."""

    def __init__(self, exchange: Exchange, clock: Clock, hub: StreamHub) -> None:
        self._exchange = exchange
        self._clock = clock
        self._hub = hub
        self._keys: dict[tuple[MarketKind, str], _ListenKey] = {}
        self._made = 0

    def routes(self) -> Routes:
        """The listen key routes of both futures products."""
        routes: Routes = {}
        for prefix in ("/fapi/v1", "/dapi/v1"):
            routes |= {
                ("POST", f"{prefix}/listenKey"): keyed(self.open_key),
                ("PUT", f"{prefix}/listenKey"): keyed(self.keep_key),
                ("DELETE", f"{prefix}/listenKey"): keyed(self.close_key),
            }
        return routes

    # --- listen keys ------------------------------------------------------------------------------------------------

    def open_key(self, call: Call) -> Json:
        """Make a key, or extend the one that is still valid."""
        kind = _product(call)
        found = self._valid(kind, call.api_key)
        if found is None:
            self._made += 1
            text = hashlib.sha256(f"{kind.value}/{call.api_key}/{self._made}".encode()).hexdigest()
            found = self._keys[kind, call.api_key] = _ListenKey(text, call.api_key, 0)
        found.expires_ms = self._clock.now_ms() + LISTEN_KEY_MS
        return {"listenKey": found.key}

    def keep_key(self, call: Call) -> Json:
        """Extend the key by an hour."""
        found = self._valid(_product(call), call.api_key)
        if found is None:
            raise errors.invalid_listen_key()
        found.expires_ms = self._clock.now_ms() + LISTEN_KEY_MS
        return {"listenKey": found.key}

    def close_key(self, call: Call) -> Json:
        """End the key; its sockets hear nothing any more."""
        found = self._keys.pop((_product(call), call.api_key), None)
        if found is not None:
            self._silence(found)
        return {}

    def owner(self, kind: MarketKind, key: str) -> str | None:
        """The account behind a listen key, or ``None`` when it is unknown or has expired."""
        for (product, account), found in self._keys.items():
            if product is kind and found.key == key and self._valid(kind, account) is found:
                return account
        return None

    def expire(self, *, now: bool = False) -> None:
        """End the keys whose hour has passed (all of them with ``now``), and say so on their sockets."""
        for (kind, account), found in tuple(self._keys.items()):
            if not now and self._valid(kind, account) is not None:
                continue
            body: Json = {"e": "listenKeyExpired", "E": self._clock.now_ms(), "listenKey": found.key}
            self._hub.to_account(kind, account, body)
            self._silence(found)
            self._keys.pop((kind, account), None)

    def _valid(self, kind: MarketKind, account: str) -> _ListenKey | None:
        found = self._keys.get((kind, account))
        return found if found is not None and found.expires_ms > self._clock.now_ms() else None

    def _silence(self, ended: _ListenKey) -> None:
        for connection in self._hub.connections:
            if connection.listen_key == ended.key:
                connection.account = None

    # --- events -----------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Turn an account's event into the messages of its product."""
        if isinstance(event, OrderUpdated):
            market = self._exchange.market(event.order.market)
            spell = user_payloads.spot_order if market.kind is MarketKind.SPOT else user_payloads.futures_order
            self._hub.to_account(market.kind, event.account, spell(event, market))
        elif isinstance(event, FuturesAccountUpdated):
            self._hub.to_account(event.product, event.account, user_payloads.futures_account(event))
        elif isinstance(event, SettingsChanged):
            self._hub.to_account(event.settings.market.kind, event.account, user_payloads.settings(event))
        elif isinstance(event, SpotAccountUpdated):
            self._hub.to_account(MarketKind.SPOT, event.account, user_payloads.spot_account(event))
        elif isinstance(event, MoneyMoved):
            self._tell_spot_movement(event)

    def _tell_spot_movement(self, event: MoneyMoved) -> None:
        move = event.movement
        arrived = move.target is WalletKind.SPOT
        left = move.source is WalletKind.SPOT
        if not (arrived or left) or (arrived and left and move.kind is MovementKind.TRANSFER):
            return
        delta = move.amount if arrived else -move.amount
        self._hub.to_account(MarketKind.SPOT, event.account, user_payloads.spot_movement(event, delta))


def _product(call: Call) -> MarketKind:
    return MarketKind.LINEAR if call.path.startswith("/fapi/") else MarketKind.INVERSE
