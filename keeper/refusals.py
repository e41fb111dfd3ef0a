"""What a person is told, and with which exit code, when a venue stands in the way: file, table, fault, remedy."""

from __future__ import annotations

from collections.abc import Sequence

from keeper.config import Config
from keeper.config.credentials import variable_of
from keeper.core.model import Exposure, Gap
from keeper.errors import ConfigError, KeeperError, UnsafeError, VenueStartError
from keeper.venue.base import (
    ClockRefusedError,
    CredentialsRefusedError,
    HostRefusedError,
    UnknownWalletError,
    UnreachableError,
    VenueError,
)
from keeper.venue.paper.terms import PaperError

_WORTH_TELLING_SECONDS = 2.0


def start_error(config: Config, name: str, error: VenueError, *, tried_seconds: float = 0.0) -> KeeperError:
    """The message and the exit code for a venue that fails before the loop runs; it names the file and the table."""
    where = f"{config.path}: venues.{name}"
    if isinstance(error, HostRefusedError):
        return UnsafeError(f"{where}: {error}")
    if isinstance(error, CredentialsRefusedError):
        return VenueStartError(
            f"{where}: the venue refuses the credentials: {error}; check {_credentials_of(config, name)}, what the key "
            "may do, and the addresses that it may be used from"
        )
    if isinstance(error, ClockRefusedError):
        return VenueStartError(
            f"{where}: the venue refuses our time: {error}; set this machine's clock (for example with NTP)"
        )
    if isinstance(error, PaperError):
        return KeeperError(f"{where}: {error}")
    tried = f" (tried for {tried_seconds:.0f} s)" if tried_seconds >= _WORTH_TELLING_SECONDS else ""
    address = "urls.api of its ccxt table" if "urls" in config.venues[name].ccxt else "its exchange and proxy settings"
    return VenueStartError(
        f"{where}: the venue cannot be used{tried}: {error}; check the network, {address}, and the venue's status"
    )


def _credentials_of(config: Config, name: str) -> str:
    """Where this venue's credentials are to be looked for."""
    if config.venues[name].api_key_file is not None:
        return "the files of api_key_file and api_secret_file (or the variables that stand in for them)"
    return f"{variable_of(name, 'api_key')} and {variable_of(name, 'api_secret')}"


def whose(config: Config, error: VenueError) -> str:
    """The venue that an error speaks of: its text begins with the name."""
    named = (name for name in config.venues if str(error).startswith(f"{name} "))
    return next(named, config.hedges[0].instrument.venue)


def wallet_fault(config: Config, error: UnknownWalletError) -> ConfigError:
    """The message for an entry of ``spot`` that the venue has no wallet for."""
    for index, hedge in enumerate(config.hedges):
        for place, account in enumerate(hedge.spot):
            if str(error).startswith(f'{account.venue} has no wallet "{account.wallet}"'):
                return ConfigError(f'{config.path}: hedges[{index}].spot[{place}] (hedge "{hedge.name}"): {error}')
    return ConfigError(f"{config.path}: {error}")


def refuse_blindness(config: Config, gaps: Sequence[Gap], exposures: Sequence[Exposure]) -> None:
    """One missing reading is shown as missing; a wallet that does not exist, or nothing seen at all, is no look."""
    for gap in gaps:
        if gap.code == UnknownWalletError.code:
            raise wallet_fault(config, UnknownWalletError(gap.text))
    seen = [figure for each in exposures for figure in (each.spot_base, each.futures_base)]
    if any(figure is not None for figure in seen):
        return
    for gap in gaps:
        for kind in (ClockRefusedError, CredentialsRefusedError, UnreachableError):
            if gap.code == kind.code:
                error = kind(gap.text)
                raise start_error(config, whose(config, error), error)
