"""An independent stand-in for Bybit's v5 protocol, unified account, for the real ccxt client over loopback sockets."""

from tests.support.bybit_v5.faults import Fault, Kind
from tests.support.bybit_v5.instruments import DEFAULT_INSTRUMENTS, Instrument, inverse, linear, spot
from tests.support.bybit_v5.orders import Order
from tests.support.bybit_v5.server import Recorded
from tests.support.bybit_v5.venue import BybitV5

__all__ = [
    "DEFAULT_INSTRUMENTS",
    "BybitV5",
    "Fault",
    "Instrument",
    "Kind",
    "Order",
    "Recorded",
    "inverse",
    "linear",
    "spot",
]
