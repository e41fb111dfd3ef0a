"""The address of the API: loopback, and nothing else."""

from __future__ import annotations

from keeper.errors import ConfigError, UnsafeError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""The hosts that may be bound: those by which the guard in front of the routes knows this machine."""


def parse_bind(bind: str) -> tuple[str, int]:
    """Host and port of ``[api] bind``, such as ``127.0.0.1:8787`` or ``[::1]:8787``.

    Raises :class:`ConfigError` where it cannot be read and :class:`UnsafeError` where it is not a loopback address.
    """
    host, colon, port = bind.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"[api] bind: {bind!r} is no host:port; write for example 127.0.0.1:8787")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"[api] bind: {bind!r} needs brackets around its IPv6 address, for example [::1]:8787")
    require_loopback(host)
    return host, int(port)


def show_bind(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_loopback(host: str) -> None:
    """Raises :class:`UnsafeError` unless ``host`` is one of :data:`LOOPBACK`."""
    if host not in LOOPBACK:
        raise UnsafeError(
            f"[api] bind: {host or 'an empty host'} is not a loopback address; the API speaks unencrypted and can "
            "pause hedges, so it stays on 127.0.0.1; reach it from elsewhere through an SSH tunnel"
        )
