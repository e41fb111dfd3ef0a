"""A whole exchange of our own: accounts, matching, margin and funding in memory, on an injected clock and seed.

:class:`keeper.sim.exchange.Exchange` is the face; it models Binance's spot, USDⓈ-M and COIN-M semantics without
speaking any wire protocol. The rooms behind it keep one secret each: ``book`` the synthetic liquidity, ``filters`` what
an order must look like, ``margin`` the formulas, ``valuation`` what an account is worth, ``settlement`` what a fill
changes, ``matching`` the life of orders, ``forced`` what the exchange does to a position, ``funding`` the timetable,
``history`` bars and prints, ``market`` price paths to drive it with. Nothing here imports the rest of keeper but its
clock.
"""
