"""What the wallets of a look hold: doubted where they jump, counted as one where coins may move between them.

A balance that jumped without a cause that we know is read a second time within the look; one that fell to zero has to
be borne out by a trade, a transfer or time; several wallets that count together are read until two rounds agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from keeper.clock import Clock
from keeper.core.coins import same_coins
from keeper.core.hedge import accounts_of
from keeper.core.model import NO_BASE, AccountId, Base, Gap, Hedge
from keeper.core.orders import plain
from keeper.core.stated import FILE, files_of
from keeper.doubt import Doubt, Gathered
from keeper.journal.base import Remembered
from keeper.pricing import Attempt, Pricing
from keeper.venue.base import BadReadingError, VenueError, Wallet, Wallets

EXPLAINED_SHARE = Decimal("0.9")
"""What the records have to show of a fall before it is believed: fees and dust are not all recorded alike."""
RECORDS_MARGIN_MS = 5_000
"""A record made while the last believed reading was on its way is newer than that reading."""


class WalletReading:
    """Reads the accounts of all hedges, and remembers since when one has read zero."""

    def __init__(
        self,
        hedges: Callable[[], Sequence[Hedge]],
        places: Mapping[str, Wallets],
        clock: Clock,
        doubt: Doubt,
        pricing: Pricing,
        attempt: Attempt,
    ) -> None:
        """``places`` is where each account is read: its venue, or for a holdings file the reader of files."""
        self._hedges = hedges
        self._places = places
        self._clock = clock
        self._doubt = doubt
        self._pricing = pricing
        self._try = attempt
        self._zero_since_ms: dict[tuple[AccountId, str], float] = {}
        self._accepted_at_ms: dict[AccountId, int] = {}

    async def read(self, look: Gathered, account: AccountId, remembered: Remembered) -> None:
        """One account; of a coin that jumped a second reading has to say the same, and of a zero the records.

        A coin that reads zero, or less, the first time ever is asked for again as well: what is held elsewhere, or
        declared, may explain it, and then nothing else would doubt it.
        """
        first = await self._try(look, str(account), lambda: self._wallet(account))
        if first is None:
            return
        unread = [asset for asset in self.assets_in(account) if asset in first.unread]
        look.gaps += [Gap(str(account), BadReadingError.code, first.unread[asset]) for asset in unread]
        assets = [asset for asset in self.assets_in(account) if asset not in unread]
        before = {asset: remembered.holdings.get((account, asset)) for asset in assets}
        doubted = [each for each in assets if self._is_doubted(first.totals.get(each, NO_BASE), before[each])]
        second: Wallet | None = None
        if doubted:
            second = await self._try(look, str(account), lambda: self._wallet(account, doubted))
            if second is None:
                return
        look.stated_at_ms.update({(account, asset): at_ms for asset, at_ms in first.stated_at_ms.items()})
        believed, read_at_ms = not unread, self._clock.now_ms()
        for asset in assets:
            value = first.totals.get(asset, NO_BASE)
            fault = None
            if asset in doubted and second is not None:
                fault = await self._unconfirmed(account, asset, value, first, second, remembered)
            if fault is not None:
                look.gaps.append(fault)
                believed = False
            else:
                look.holdings[(account, asset)] = value
                if value > 0:
                    self._zero_since_ms.pop((account, asset), None)
        for asset in first.totals.keys() - set(assets):
            # The other coins are kept as well: a sale shows as money that came in.
            look.holdings[(account, asset)] = first.totals[asset]
        if believed:
            self._accepted_at_ms[account] = read_at_ms

    def _is_doubted(self, value: Base, before: Base | None) -> bool:
        return self._doubt.jumped(value, before) or (before is None and value <= 0)

    async def read_sums_twice(self, look: Gathered, remembered: Remembered) -> None:
        """Where several wallets count and one has changed, read all of them once more; what then differs is a gap.

        Coins that move between two wallets while these are read show in both or in neither. Two rounds that agree
        held at one moment between them.
        """
        moving: dict[AccountId, None] = {}
        for hedge in self._hedges():
            accounts = accounts_of(hedge)
            if len(accounts) < 2:
                continue
            keys = [(account, asset) for account in accounts for asset in self.assets_in(account)]
            changed = any(
                not same_coins(look.holdings[key], remembered.holdings.get(key, look.holdings[key]))
                for key in keys
                if key in look.holdings
            )
            if changed:
                moving.update(dict.fromkeys(accounts))
        if not moving:
            return
        for account, again in zip(moving, await asyncio.gather(*(self._again(look, a) for a in moving)), strict=True):
            for asset in self.assets_in(account):
                first = look.holdings.get((account, asset))
                if first is None or (again is not None and same_coins(again.totals.get(asset, NO_BASE), first)):
                    continue
                del look.holdings[(account, asset)]
                if again is not None:
                    text = (
                        f"{asset} read {plain(first)} and then {plain(again.totals.get(asset, NO_BASE))}: it is moving"
                    )
                    look.gaps.append(Gap(str(account), "unconfirmed_reading", text))

    async def _again(self, look: Gathered, account: AccountId) -> Wallet | None:
        read = [asset for where, asset in look.holdings if where == account and asset in self.assets_in(account)]
        return await self._try(look, str(account), lambda: self._wallet(account, read))

    async def _wallet(self, account: AccountId, needed: Sequence[str] = ()) -> Wallet:
        """The wallet; a coin of it that cannot be understood hides no other one, unless it is needed."""
        return (await self._places[account.venue].wallet(account.wallet)).told(*needed)

    async def _unconfirmed(
        self, account: AccountId, asset: str, value: Base, first: Wallet, second: Wallet, remembered: Remembered
    ) -> Gap | None:
        """Why a doubted balance is not accepted, or None when the second reading and the records bear it out."""
        again = second.totals.get(asset, NO_BASE)
        before = remembered.holdings.get((account, asset))
        if again != value:
            known = " at the first look" if before is None else f" where it was {plain(before)}"
            text = f"{asset} read {plain(value)} and then {plain(again)}{known}"
            return Gap(str(account), "unconfirmed_reading", text)
        if before is None or value > 0 or before <= 0:
            return None
        now = self._clock.monotonic() * 1000
        since = self._zero_since_ms.setdefault((account, asset), now)
        if now - since >= self._doubt.unexplained_zero_ms or self._sold(account, asset, before, first, remembered):
            return None
        since_ms = self._accepted_at_ms.get(account, remembered.taken_at_ms or self._clock.now_ms()) - RECORDS_MARGIN_MS
        try:
            left = await self._places[account.venue].outflow(account, asset, since_ms)
        except VenueError as error:
            left, failure = NO_BASE, f" ({error})"
        else:
            failure = f" (recorded: {plain(left)})" if left else ""
        if left >= EXPLAINED_SHARE * (before - value):
            return None
        shown = "zero" if value == 0 else plain(value)
        text = f"{asset} reads {shown} where it was {plain(before)}, and no trade or transfer explains it{failure}"
        return Gap(str(account), "unexplained_zero", text)

    def _sold(self, account: AccountId, asset: str, before: Base, now: Wallet, remembered: Remembered) -> bool:
        """Whether quote money of about the coins' worth came into the same account."""
        for hedge in self._hedges():
            marks = self._pricing.last_marks
            price = next((marks[i.id] for i in hedge.instruments if i.id in marks), None)
            if asset != hedge.instrument.base or price is None:
                continue
            for coin in {name for i in hedge.instruments for name in (i.quote, i.settle)} - {asset}:
                came = now.totals.get(coin, NO_BASE) - remembered.holdings.get((account, coin), NO_BASE)
                if came >= before * price / 2:
                    return True
        return False

    def doubt_first_zeros(self, look: Gathered, remembered: Remembered) -> None:
        """A coin that reads zero, or less, the first time ever under a short that is there is more likely not shown:
        the figure stays to be looked at, holds the hedges that count it, and is not what the next one is judged by."""
        now = self._clock.monotonic() * 1000
        doubted: set[tuple[AccountId, str]] = set()
        for hedge in self._hedges():
            held = (look.positions.get(instrument.id) for instrument in hedge.instruments)
            short = next((position for position in held if position is not None and position.contracts < 0), None)
            if short is None:
                continue
            # Its own coins alone: those of another hedge in the same wallet say nothing about these.
            coins = {*hedge.assets, *(leg.instrument.settle for leg in hedge.legs if leg.collateral is not None)}
            keys = [(account, asset) for account in accounts_of(hedge) for asset in coins]
            fresh = [key for key in keys if key in look.holdings and key not in remembered.holdings]
            owned = any(look.holdings.get(key, NO_BASE) > 0 for key in keys)
            # Coins in another wallet, or held elsewhere, explain an empty wallet, and no debt in it.
            owes = any(look.holdings[key] < 0 for key in fresh)
            if not fresh or ((owned or any(hedge.declared.values())) and not owes):
                continue
            for account, asset in (key for key in fresh if look.holdings[key] <= 0 and key not in doubted):
                since = self._zero_since_ms.setdefault((account, asset), now)
                if now - since < self._doubt.unexplained_zero_ms:
                    doubted.add((account, asset))
                    value = look.holdings[account, asset]
                    shown = "zero" if value == 0 else plain(value)
                    text = f"{asset} reads {shown} at the first look while {short.instrument.id} is short"
                    look.gaps.append(Gap(str(account), "unexplained_zero", text))

    def assets_in(self, account: AccountId) -> tuple[str, ...]:
        """Assets of which a hedge counts this account's coins."""
        wanted: list[str] = []
        for hedge in self._hedges():
            if account in hedge.spot:
                wanted += hedge.assets
            wanted += (leg.instrument.settle for leg in hedge.legs if leg.collateral == account)
            if account.venue == FILE:
                wanted += [asset for asset in hedge.assets if account in files_of(hedge, asset)]
        return tuple(dict.fromkeys(wanted))
