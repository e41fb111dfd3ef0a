"""A whole exchange of our own: accounts, matching, margin and funding in memory, on an injected clock and seed.

:class:`keeper.sim.exchange.Exchange` is the face; it models Binance's spot, USDⓈ-M and COIN-M semantics without
speaking any wire protocol. The rooms behind it keep one secret each: ``book`` the synthetic liquidity, ``filters`` what
an order must look like, ``margin`` the formulas, ``valuation`` what an account is worth, ``settlement`` what a fill
changes, ``matching`` the life of orders, ``forced`` what the exchange does to a position, ``funding`` the timetable,
``history`` bars and prints, ``market`` price paths to drive it with. ``local`` asks it in process, ``wire`` serves it.

``faults`` is the menu of what can go wrong, on the core so that both ways of asking show the same: ``fault_kinds``
names the entries and their triggers, ``fault_armed`` counts and draws, ``fault_lag`` holds views back,
``fault_readings`` bends answers, ``fault_world`` changes the world, ``troubles`` are answers that never come. Nothing
here but ``local`` imports the rest of keeper, its clock apart.
"""
