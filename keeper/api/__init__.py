"""A local HTTP face of a running keeper: see where it stands, pause, resume, wake. It cannot place an order.

Loopback only, behind a bearer token that lies beside the journal. Nothing here is imported until it is used: ``app``
and ``server`` bring in FastAPI and uvicorn, ``client`` brings in aiohttp, and the other modules bring in nothing.
"""
