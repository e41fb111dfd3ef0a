"""Streams that go wrong: silence, broken sockets, dead listen keys, old events told again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from keeper.sim.events import Event, StreamDisturbance, StreamsDisturbed
from keeper.sim.wire.streams import Connection, StreamHub
from keeper.sim.wire.user_streams import UserStreams

REMEMBERED = 200


class StreamFaults:
    """Stands on every stream's way out; what it does is told by :class:`~keeper.sim.events.StreamsDisturbed`.

    Answers to requests are no streams: a silent venue goes on to acknowledge subscriptions.
    """

    def __init__(self, hub: StreamHub, user_streams: UserStreams) -> None:
        self._hub = hub
        self._user_streams = user_streams
        self._silent = False
        self._told: dict[str, deque[str]] = {}
        self._echoes: dict[str, list[str]] = {}
        hub.on_attached = self._attached
        hub.outgoing = self._outgoing

    def on_event(self, event: Event) -> None:
        """Misbehave, or stop it."""
        if not isinstance(event, StreamsDisturbed):
            return
        if event.disturbance in (StreamDisturbance.SILENCE, StreamDisturbance.SPEAK):
            self._silent = event.disturbance is StreamDisturbance.SILENCE
        elif event.disturbance is StreamDisturbance.END_KEYS:
            self._user_streams.expire(now=True)
        else:
            if event.disturbance is StreamDisturbance.REPLAY:
                self._echoes = {whose: list(told)[-event.events :] for whose, told in self._told.items()}
            self._hub.cut_all()

    def _outgoing(self, connection: Connection, text: str) -> Iterable[str]:
        if self._silent:
            return ()
        if connection.account is not None:
            self._told.setdefault(_whose(connection), deque(maxlen=REMEMBERED)).append(text)
        return (text,)

    def _attached(self, connection: Connection) -> None:
        """Tell a user stream that has come back what it was told before."""
        for text in self._echoes.pop(_whose(connection), ()):
            connection.repeat(text)


def _whose(connection: Connection) -> str:
    return f"{connection.kind.value}/{connection.account}"
