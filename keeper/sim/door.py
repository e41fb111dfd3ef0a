"""What a transport asks of the exchange besides its questions: may this come in, how is the answer to look, what time.

A transport is whatever stands between the exchange and a client: the wire's servers, or the in-process venue.
"""

from __future__ import annotations

from keeper.clock import Clock
from keeper.sim.events import StreamDisturbance, StreamsDisturbed
from keeper.sim.state import State
from keeper.sim.troubles import Garble


class Door:
    """One for each exchange."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def clock_skew_ms(self) -> int:
        """By how much the venue's own clock, by which it judges signed requests, is ahead of the true one."""
        return self._state.clock_skew_ms

    @clock_skew_ms.setter
    def clock_skew_ms(self, skew_ms: int) -> None:
        self._state.clock_skew_ms = skew_ms

    def arrive(self, api_key: str | None) -> None:
        """A request has arrived; raises what the interceptor wants it answered with."""
        self._state.interceptor.before_request(api_key)

    def garble(self) -> Garble | None:
        """What is to be done to the body of the answer that is about to leave; asked once an answer."""
        return self._state.interceptor.garble()

    def server_time_ms(self) -> int:
        """The venue's own clock."""
        return self._state.venue_now

    def disturb_streams(self, disturbance: StreamDisturbance, events: int = 0) -> None:
        """Tell transports with streams to misbehave, or to stop doing so."""
        self._state.publish(StreamsDisturbed(self._state.now, disturbance, events))


class VenueClock:
    """The venue's own clock as a :class:`~keeper.clock.Clock`."""

    def __init__(self, clock: Clock, door: Door) -> None:
        self._clock = clock
        self._door = door

    def now_ms(self) -> int:
        """Wall time as the venue believes it to be, milliseconds since the Unix epoch (UTC)."""
        return self._clock.now_ms() + self._door.clock_skew_ms

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        await self._clock.sleep(seconds)
