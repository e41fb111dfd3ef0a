"""Where an unmodified client finds each part of the exchange.

One loopback port serves everything, so the hosts that Binance keeps apart become path prefixes. The prefixes of the
streams are not free: the ccxt client tells spot from futures by ``/stream`` in the address, and rewrites a USDⓈ-M
address that ends in ``/ws`` to ``/public/ws``, ``/market/ws`` or ``/private/ws``.
"""

from __future__ import annotations

CCXT_ID = "binance"
"""The ccxt id of the client whose protocols are spoken here."""
SPOT_STREAM = "/stream"
LINEAR_STREAM = "/fstream"
INVERSE_STREAM = "/dstream"


def ccxt_urls(base_http: str, base_ws: str) -> dict[str, object]:
    """The complete ``urls.api`` of ``ccxt.binance``, with every host replaced.

    ``base_http`` is like ``http://127.0.0.1:8080``, ``base_ws`` like ``ws://127.0.0.1:8080``, without a trailing slash.
    Products that are not simulated (options, portfolio margin, tokenised stocks) are pointed at the same port, where
    they are answered 404: no request can leave for a live host by way of a forgotten entry.
    """
    return {
        "sapi": f"{base_http}/sapi/v1",
        "sapiV2": f"{base_http}/sapi/v2",
        "sapiV3": f"{base_http}/sapi/v3",
        "sapiV4": f"{base_http}/sapi/v4",
        "dapiPublic": f"{base_http}/dapi/v1",
        "dapiPrivate": f"{base_http}/dapi/v1",
        "dapiPrivateV2": f"{base_http}/dapi/v2",
        "dapiData": f"{base_http}/futures/data",
        "eapiPublic": f"{base_http}/eapi/v1",
        "eapiPrivate": f"{base_http}/eapi/v1",
        "fapiPublic": f"{base_http}/fapi/v1",
        "fapiPublicV2": f"{base_http}/fapi/v2",
        "fapiPublicV3": f"{base_http}/fapi/v3",
        "fapiPrivate": f"{base_http}/fapi/v1",
        "fapiPrivateV2": f"{base_http}/fapi/v2",
        "fapiPrivateV3": f"{base_http}/fapi/v3",
        "fapiData": f"{base_http}/futures/data",
        "public": f"{base_http}/api/v3",
        "private": f"{base_http}/api/v3",
        "v1": f"{base_http}/api/v1",
        "papi": f"{base_http}/papi/v1",
        "papiV2": f"{base_http}/papi/v2",
        "ws": {
            "spot": f"{base_ws}{SPOT_STREAM}/ws",
            "margin": f"{base_ws}{SPOT_STREAM}/ws",
            "linear": f"{base_ws}{LINEAR_STREAM}/ws",
            "inverse": f"{base_ws}{INVERSE_STREAM}/ws",
            "stock": f"{base_ws}/nbstream/equity/ws",
            "option": f"{base_ws}/estream/public/ws",
            "optionMarket": f"{base_ws}/estream/market/ws",
            "optionPrivate": f"{base_ws}/estream/private/ws",
            "ws-api": {
                "spot": f"{base_ws}/ws-api/v3",
                "linear": f"{base_ws}/ws-fapi/v1",
                "inverse": f"{base_ws}/ws-dapi/v1",
            },
            "papi": f"{base_ws}/pm/ws",
        },
    }
