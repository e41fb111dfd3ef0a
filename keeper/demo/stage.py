"""Plays the story on the simulated exchange: prices by the minute, the market's doings, and the owner's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from keeper.clock import Clock
from keeper.demo import words
from keeper.demo.books import QUOTE, Books
from keeper.demo.story import DAY_MINUTES, Beat, Deposit, Funding, Remark, Sale, Story, advance
from keeper.demo.view import Voice
from keeper.sim.exchange import Exchange
from keeper.sim.types import WalletKind, spot

Say = Callable[[Voice, str], None]
Ready = Callable[[float], bool]
Moved = tuple[str, bool]
"""An asset whose coins were moved, and whether as a coin-margined contract's margin."""


class Stage:
    """Where the day stands. ``ready(moment)`` says whether the hedges were seen in place after that moment."""

    def __init__(self, exchange: Exchange, api_key: str, books: Books, story: Story, clock: Clock, say: Say) -> None:
        self.story = story
        self.minute = 0.0
        self.touched = clock.monotonic()
        """When the owner moved coins last (monotonic seconds)."""
        self.on_funding: Callable[[], None] = lambda: None
        """Called after funding was settled."""
        self.on_remark: Callable[[str], None] = lambda _after: None
        """Called where the story says how things stand after what the market did."""
        self._exchange = exchange
        self._key = api_key
        self._books = books
        self._clock = clock
        self._say = say
        self._played = 0
        self._waited_seconds = 0.0
        self._chapter = story.chapter(0)

    def step(self, passed_seconds: float, left_seconds: float, patience_seconds: float, ready: Ready) -> set[Moved]:
        """Go on by ``passed_seconds`` of a day that ends in ``left_seconds``; the coins that the owner moved in it.

        The market waits for nobody. The owner moves nothing while a hedge is not in place, but loses patience.
        """
        moved: set[Moved] = set()
        target = advance(self.minute, passed_seconds, left_seconds)
        while self._played < len(self.story.beats) and self.story.beats[self._played].minute <= target:
            beat = self.story.beats[self._played]
            if beat.by_owner and not moved and self._waited_seconds < patience_seconds and not ready(self.touched):
                self._waited_seconds += passed_seconds
                target = float(beat.minute)
                break
            if beat.by_owner and moved:
                target = float(beat.minute)  # one thing at a time
                break
            self._set_minute(float(beat.minute))
            moved |= self._perform(beat)
            self._played += 1
            self._waited_seconds = 0.0
        self._set_minute(target)
        return moved

    @property
    def over(self) -> bool:
        """Whether the day has ended."""
        return self.minute >= DAY_MINUTES

    def _set_minute(self, minute: float) -> None:
        self.minute = max(self.minute, minute)
        prices = self.story.prices(self.minute)
        for asset, price in prices.items():
            self._exchange.set_price(asset, price)
        self._exchange.advance()
        chapter = self.story.chapter(self.minute)
        if chapter != self._chapter:
            self._chapter = chapter
            told = ", ".join(f"{asset} {words.price(price)}" for asset, price in prices.items())
            self._say(Voice.MARKET, f"{chapter}: {told}")

    def _perform(self, beat: Beat) -> set[Moved]:
        """Do it, say it, and return the coins that the owner moved."""
        match beat.action:
            case Deposit(asset, amount, as_margin):
                self._books.deposit(asset, amount, WalletKind.COINM if as_margin else WalletKind.SPOT)
                where = "in the coin-margined wallet" if as_margin else "in the spot wallet"
                self._say(Voice.OWNER, f"{words.coins(amount)} {asset} arrive {where}")
            case Sale(asset, amount):
                sold = self._exchange.foreign_trade(self._key, spot(asset + QUOTE), -amount)
                price = words.price(sold.order.average_price)
                self._say(Voice.OWNER, f"sells {words.coins(amount)} {asset} of the spot wallet @ {price}")
            case Funding(rate):
                self._settle(rate)
                return set()
            case Remark(after):
                self.on_remark(after)
                return set()
        self.touched = self._clock.monotonic()
        return {(beat.action.asset, isinstance(beat.action, Deposit) and beat.action.as_margin)}

    def _settle(self, rate: Decimal) -> None:
        before = self._funding()
        for key in [key for hedge in self._books.hedges for key in hedge.markets]:
            if self._exchange.market(key).is_perpetual:
                self._exchange.set_funding_rate(key, rate)
                self._exchange.apply_funding(key)
        came = self._funding() - before
        who, did = ("longs pay shorts", "receive") if rate > 0 else ("shorts pay longs", "pay")
        told = f"the hedges {did} {words.cost(abs(came))} {QUOTE}"
        self.on_funding()
        self._say(Voice.MARKET, f"funding {words.rate(rate)}: {who}, {told}")

    def _funding(self) -> Decimal:
        return sum((self._books.result(hedge).funding for hedge in self._books.hedges), Decimal(0))
