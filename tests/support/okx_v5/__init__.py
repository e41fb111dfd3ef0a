"""An independent stand-in for OKX's v5 protocol, for the real ccxt client over loopback sockets."""

from tests.support.okx_v5.exchange import Order
from tests.support.okx_v5.instruments import DEFAULT_INSTRUMENTS, Instrument
from tests.support.okx_v5.venue import OkxV5

__all__ = ["DEFAULT_INSTRUMENTS", "Instrument", "OkxV5", "Order"]
