"""What is really so on an account, whatever any answer says."""

from __future__ import annotations

from keeper.sim.account import Account
from keeper.sim.types import MarketKind, Truth


def truth_of(account: Account) -> Truth:
    """The account as it stands."""
    ours, others = account.orders.by_origin()
    held = {key: wallet.held(key) for wallet in account.futures.values() for key, _ in wallet.positions}
    return Truth(
        spot=account.spot.totals(),
        usdm=dict(account.futures[MarketKind.LINEAR].balances),
        coinm=dict(account.futures[MarketKind.INVERSE].balances),
        positions={key: quantity for key, quantity in held.items() if quantity},
        accepted_orders=ours,
        other_orders=others,
        fills=tuple(account.fills),
    )
