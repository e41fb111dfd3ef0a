"""Binance's protocols over the simulated exchange: HTTP, public streams, user-data streams and the WebSocket API.

Nothing here decides anything about money: handlers read a request, ask :class:`keeper.sim.exchange.Exchange`, and spell
the answer as Binance does. One module a secret:

=================== =================================================================================================
``request``         parameters and routes          ``auth``          keys, signatures, time windows
``dispatch``        the one way in, and the gate    ``errors``        Binance's words; ``refusals`` translates ours
``exchange_info``   filters                         ``market_data``   prices; ``futures_market`` mark and funding
``spot``            the spot account                ``wallet``        ``/sapi``
``futures_orders``  orders, fills, income           ``futures_account``  balances, positions, settings
``streams``         sockets and subscriptions       ``public_feed``   what public streams carry
``user_streams``    what an account is told         ``ws_api``        requests over a WebSocket
``troubles``        requests that go wrong          ``stream_faults`` streams that do
``urls``            where a client finds all this   ``routes``        all of them together
``order_params``    a new order's parameters        ``paging``        windows of a history
``payloads``, ``user_payloads``, ``position_rows``  messages and rows, field by field; ``text`` how numbers are spelled
=================== =================================================================================================
"""
