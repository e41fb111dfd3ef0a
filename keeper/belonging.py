"""Whose accounts a journal is about: what it knows of orders, positions and wallets is not true of another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from keeper.config import Config, Mode
from keeper.errors import ConfigError
from keeper.journal.base import Event, Journal
from keeper.papering import refuse_other_books

KIND = "account"
"""The event by which a journal tells at which exchange the account behind a venue's name is."""


class Known(Protocol):
    """A journal, as far as it tells whose it is."""

    async def modes(self) -> Sequence[str]:
        """The modes of the keepers that have started on it, the last one's last."""
        ...

    async def events(self, kind: str, subject: str) -> Sequence[Event]:
        """The last event of a kind about one subject, if there is one."""
        ...


async def refuse_other_accounts(config: Config, venues: Sequence[str], journal: Known) -> None:
    """Refuse a journal that was kept for other accounts than those of ``venues``.

    An order in doubt on a test account would be looked for among those of the real one, and not be found there; the
    short that a hedge remembers would be missed. Raises :class:`ConfigError`, or
    :class:`~keeper.errors.UnsafeError` where one of the two is a paper account.
    """
    modes = await journal.modes()
    refuse_other_books(config, modes[-1] if modes else None, paper=config.mode is Mode.PAPER)
    other = next((mode for mode in modes if _differs(config, venues, mode)), None)
    if other is not None:
        raise ConfigError(
            f'{config.path}: journal.url: this journal has been of mode "{other}", and the mode is '
            f'"{config.mode.value}" now: test money and real money are two accounts, and what it knows of orders, '
            "positions and wallets of the one is not true of the other; give this mode its own, as in "
            f'url = "sqlite:///{config.mode.value}.db"'
        )
    for name in venues:
        told, exchange = await journal.events(KIND, name), config.venues[name].exchange
        before = json.loads(told[-1].detail)["exchange"] if told else exchange
        if before != exchange:
            raise ConfigError(
                f'{config.path}: venues.{name}.exchange: this journal knows {name} as an account at "{before}", and '
                f'it is "{exchange}" now; give that a journal of its own, as in [journal] url = "sqlite:///{exchange}.db"'
            )


def _differs(config: Config, venues: Sequence[str], mode: str) -> bool:
    """Whether one of two modes is for test money and the other looks at, or trades, real money.

    Dry-run looks at the real account, but for an endpoint that is stated: that may be the test account's.
    """
    both = {config.mode.value, mode}
    if Mode.TESTNET.value not in both:
        return False
    stated = all("urls" in config.venues[name].ccxt for name in venues)
    return Mode.LIVE.value in both or (Mode.DRY_RUN.value in both and not stated)


async def note_accounts(config: Config, venues: Sequence[str], journal: Journal, now_ms: int) -> None:
    """Write down, once, at which exchange each account is."""
    for name in venues:
        if not await journal.events(KIND, name):
            detail = json.dumps({"exchange": config.venues[name].exchange}, separators=(",", ":"))
            await journal.event(Event(KIND, name, now_ms, detail))
