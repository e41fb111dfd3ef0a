"""What the faces of the exchange stand on: its rooms, put together once, and the choke points of all that passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from keeper.clock import Clock
from keeper.sim.account import Account
from keeper.sim.calendar import Calendar
from keeper.sim.defaults import default_markets
from keeper.sim.door import Door
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import Subscriber
from keeper.sim.forced import Forced
from keeper.sim.funding import Funding
from keeper.sim.matching import Matcher
from keeper.sim.quotes import Quotes
from keeper.sim.seams import EVERYTHING, Faithful, Interceptor, Question, Reading
from keeper.sim.settings import SettingsDesk
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.treasury import Treasury
from keeper.sim.types import ExchangeOptions, Market, MarketKey, MarketKind
from keeper.sim.valuation import Valuation

T = TypeVar("T")


class Rooms:
    """The rooms, and who may enter."""

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        markets: Sequence[Market] | None = None,
        options: ExchangeOptions | None = None,
    ) -> None:
        self._state = State(
            clock, seed, default_markets() if markets is None else markets, options or ExchangeOptions()
        )
        self.door = Door(self._state)
        self.clock = clock
        self._valuation = Valuation(self._state)
        self._settlement = Settlement(self._state, self._valuation)
        self._matcher = Matcher(self._state, self._valuation, self._settlement)
        self._forced = Forced(self._state, self._valuation, self._settlement, self._matcher)
        self._funding = Funding(self._state, self._valuation, self._settlement)
        self._treasury = Treasury(self._state, self._valuation, self._settlement)
        self._desk = SettingsDesk(self._state, self._valuation, self._settlement)
        self._quotes = Quotes(self._state, self._matcher)
        self._calendar = Calendar(self._state)

    # --- events and seams ---------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` synchronously with every event from now on; returns the way to stop it."""
        return self._state.bus.subscribe(subscriber)

    def intercept(self, interceptor: Interceptor | None) -> None:
        """Put an interceptor at the choke points; None restores faithful answers."""
        self._state.interceptor = Faithful() if interceptor is None else interceptor

    # --- choke points -------------------------------------------------------------------------------------------------

    def _answer(self, reading: Reading, api_key: str | None, answer: T, question: Question = EVERYTHING) -> T:
        """Every reading leaves through here."""
        return self._state.interceptor.read(reading, api_key, answer, question)

    def _reader(self, api_key: str) -> Account:
        account = self._state.account(api_key)
        if not account.permissions.reading:
            raise SimError(ErrorKind.PERMISSION_DENIED, "this key may not read")
        return account

    def _trader(self, api_key: str, key: MarketKey) -> Account:
        """Every order and cancel enters through here."""
        if key.kind is not MarketKind.SPOT:
            return self._futures_user(api_key)
        account = self._state.account(api_key)
        if not account.permissions.spot_trading:
            raise SimError(ErrorKind.PERMISSION_DENIED, "this key may not trade spot")
        return account

    def _futures_user(self, api_key: str) -> Account:
        account = self._state.account(api_key)
        if not account.permissions.futures:
            raise SimError(ErrorKind.PERMISSION_DENIED, "this key may not use futures")
        return account

    def _liquidate(self) -> None:
        for account in self._state.accounts.values():
            self._forced.liquidate_if_due(account)
