"""Whose accounts a journal is about: what it knows of orders, positions and wallets is not true of another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

from keeper.config import Config, Mode
from keeper.config.client_options import endpoints
from keeper.errors import ConfigError
from keeper.journal.base import Event, Journal, JournalError
from keeper.papering import refuse_other_books

KIND = "account"
"""The event by which a journal tells which account is behind a venue's name."""


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
    modes, now = await journal.modes(), config.mode.value
    refuse_other_books(config, modes[-1] if modes else None, paper=config.mode is Mode.PAPER)
    for mode in modes:
        if {mode, now} == {Mode.TESTNET.value, Mode.LIVE.value}:
            was = f'has been of mode "{mode}", and the mode is "{now}" now'
            raise _refused(config, f"{was}: test and real money are two")
    for name in venues:
        told = await journal.events(KIND, name)
        if not told:
            continue
        before, here = _known(told[-1]), _account(config, name)
        if before["exchange"] != here["exchange"]:
            raise ConfigError(
                f"{config.path}: venues.{name}.exchange: this journal knows {name} as an account at "
                f'"{before["exchange"]}", and it is "{here["exchange"]}" now; give that a journal of its own, as in '
                f'[journal] url = "sqlite:///{here["exchange"]}.db"'
            )
        # In one mode another address is no sign of another account: venues have several, and give up old ones.
        if before["mode"] != now and before["at"] != here["at"]:
            was = f'knows {name} by mode "{before["mode"]}" as {_said(before["at"])}'
            raise _refused(config, f'{was}, and in mode "{now}" it is {_said(here["at"])}: they are two')


def _known(event: Event) -> dict[str, str]:
    """What the journal knows of an account; raises :class:`JournalError` where that is damaged."""
    told: dict[str, str] = json.loads(event.detail)
    if not {"exchange", "mode", "at"} <= told.keys():
        raise JournalError(
            f"what it knows of the account {event.subject} cannot be understood; "
            "move the file aside and restore a backup"
        )
    return told


def _refused(config: Config, why: str) -> ConfigError:
    return ConfigError(
        f"{config.path}: journal.url: this journal {why} accounts, and what it knows of orders, positions and wallets "
        f'of the one is not true of the other; give this mode its own, as in url = "sqlite:///{config.mode.value}.db"'
    )


def _account(config: Config, name: str) -> dict[str, str]:
    """What a journal is told of one account: its exchange, and where it is asked for in this mode."""
    venue = config.venues[name]
    stated = sorted({urlsplit(url).hostname or url for url in endpoints(venue.ccxt)})
    by_itself = Mode.TESTNET.value if config.mode is Mode.TESTNET else Mode.LIVE.value
    return {"exchange": venue.exchange, "mode": config.mode.value, "at": ", ".join(stated) or by_itself}


def _said(at: str) -> str:
    return {Mode.LIVE.value: "a real account", Mode.TESTNET.value: "a test account"}.get(at, f"an account at {at}")


async def note_accounts(config: Config, venues: Sequence[str], journal: Journal, now_ms: int) -> None:
    """Write down what each account is, where that is not what was written last."""
    for name in venues:
        told, detail = await journal.events(KIND, name), json.dumps(_account(config, name), separators=(",", ":"))
        if not told or told[-1].detail != detail:
            await journal.event(Event(KIND, name, now_ms, detail))
