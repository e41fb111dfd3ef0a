"""Alerts leave the process without ever standing in the loop's way, and without a secret."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from keeper.alerts.channels import AppriseChannel, Channel, DeliveryError, WebhookChannel, channel_for
from keeper.alerts.delivery import REDACTED, AlertQueue, DeliverySettings, LaneCounters, open_alerts, redact
from keeper.alerts.rules import Alert, Severity
from keeper.clock import ManualClock, SystemClock
from keeper.errors import ConfigError
from tests.alerts.stories import START_MS

KEY = "AKIA-planted-key-0123456789"
SECRET = "p1anted+secret/with=odd&signs"


def alert(text: str = "text", severity: Severity = Severity.WARNING, key: str = "btc/drift") -> Alert:
    return Alert(key, severity, "btc: drift beyond warn", text, "btc", START_MS)


async def until(done: Callable[[], bool]) -> None:
    """Let the other tasks run until it is so; the deadline is for a test that fails.

    What takes long runs in a thread (apprise is loaded there), which needs the interpreter more than this loop does.
    """
    spins = 0
    async with asyncio.timeout(30):
        while not done():
            spins += 1
            await (ManualClock().sleep(0) if spins < 1_000 else SystemClock().sleep(0.002))


class Inbox:
    """A channel in memory that can be told to fail, or to hang."""

    def __init__(self, name: str = "inbox") -> None:
        self.name = name
        self.got: list[Alert] = []
        self.tries = 0
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False

    async def send(self, alert: Alert) -> None:
        self.tries += 1
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(alert)

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def delivering(
    *channels: Channel, secrets: tuple[str, ...] = (), **settings: float
) -> AsyncIterator[tuple[AlertQueue, ManualClock]]:
    clock = ManualClock(START_MS)
    chosen = DeliverySettings(**settings)  # type: ignore[arg-type]  # tests name whole numbers as such
    queue = AlertQueue(channels, clock, secrets=secrets, settings=chosen)
    queue.start()
    try:
        yield queue, clock
    finally:
        await queue.close(0)


@asynccontextmanager
async def receiver(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A real webhook receiver on loopback."""
    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_webhook_gets_the_alert_as_one_json_document() -> None:
    bodies: list[dict[str, object]] = []

    async def take(request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        bodies.append(await request.json())
        return web.Response(status=204)

    async with receiver(take) as url, delivering(WebhookChannel(f"{url}/hook/T0KEN")) as (queue, _):
        assert queue.offer(alert("drift 0.03"))
        await until(lambda: bool(bodies))
        await until(lambda: queue.counters()["http://127.0.0.1"].delivered == 1)
    assert bodies == [
        {
            "source": "keeper",
            "key": "btc/drift",
            "severity": "warning",
            "title": "btc: drift beyond warn",
            "text": "drift 0.03",
            "hedge": "btc",
            "resolved": False,
            "at": "2026-11-20T08:00:00Z",
        }
    ]


async def test_a_webhook_that_stumbles_is_tried_again_with_growing_patience() -> None:
    statuses = [500, 429, 200]

    async def stumble(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    async with receiver(stumble) as url, delivering(WebhookChannel(url)) as (queue, clock):
        queue.offer(alert())

        def counters() -> LaneCounters:
            return queue.counters()["http://127.0.0.1"]

        await until(lambda: counters().retried == 1)
        clock.advance(1.0)
        await until(lambda: counters().retried == 2)
        clock.advance(1.0)
        await ManualClock().sleep(0)
        assert statuses == [200]
        clock.advance(1.0)
        await until(lambda: counters().delivered == 1)


@pytest.mark.parametrize("status", [301, 400, 403, 404])
async def test_a_final_no_is_not_asked_again(status: int) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"location": "/elsewhere"})

    with capture_logs() as logs:
        async with receiver(refuse) as url, delivering(WebhookChannel(f"{url}/T0KEN")) as (queue, _):
            queue.offer(alert())
            await until(lambda: queue.counters()["http://127.0.0.1"].failed == 1)
            assert queue.counters()["http://127.0.0.1"].retried == 0
    assert logs[0]["error"] == f"http://127.0.0.1 answered {status}"
    assert "T0KEN" not in repr(logs)


async def test_a_webhook_that_is_down_costs_the_loop_nothing_and_the_others_nothing(unused_tcp_port: int) -> None:
    inbox = Inbox()
    dead = WebhookChannel(f"http://user:s3cret@127.0.0.1:{unused_tcp_port}/T0KEN?token=T0KEN")
    with capture_logs() as logs:
        async with delivering(dead, inbox) as (queue, clock):
            for number in range(5):
                assert queue.offer(alert(f"number {number}"))
            await until(lambda: len(inbox.got) == 5)
            for _ in range(2):
                retried = queue.counters()["http://127.0.0.1"].retried
                await until(lambda seen=retried: queue.counters()["http://127.0.0.1"].retried > seen)  # type: ignore[misc]
                clock.advance(10)
            await until(lambda: queue.counters()["http://127.0.0.1"].failed == 1)
    assert logs[0]["event"] == "alert_not_delivered"
    assert logs[0]["attempts"] == 3
    assert "could not be reached" in logs[0]["error"]
    assert "T0KEN" not in repr(logs)
    assert "s3cret" not in repr(logs)


async def test_an_unforeseen_error_of_a_channel_is_counted_and_the_next_alert_still_goes_out() -> None:
    inbox = Inbox()
    inbox.errors = [RuntimeError(f"cannot post to https://host/{SECRET}")]
    with capture_logs() as logs:
        async with delivering(inbox, attempts=1) as (queue, _):
            queue.offer(alert("lost"))
            queue.offer(alert("kept"))
            await until(lambda: len(inbox.got) == 1)
            assert queue.counters()["inbox"].failed == 1
    assert logs[0]["error"] == "RuntimeError"


async def test_an_attempt_has_a_deadline() -> None:
    inbox = Inbox()
    inbox.gate.clear()
    with capture_logs() as logs:
        async with delivering(inbox, attempts=1, attempt_seconds=0.01) as (queue, _):
            queue.offer(alert())
            await until(lambda: queue.counters()["inbox"].failed == 1)
    assert logs[0]["error"] == "TimeoutError"


async def test_overflow_never_blocks_keeps_the_loudest_and_is_confessed() -> None:
    inbox = Inbox()
    inbox.gate.clear()
    with capture_logs() as logs:
        async with delivering(inbox, capacity=3) as (queue, _):
            queue.offer(alert("in hand"))
            await until(lambda: inbox.tries == 1)
            queue.offer(alert("page", Severity.CRITICAL))
            for number in range(10):
                assert queue.offer(alert(f"number {number}"))
            assert not queue.offer(alert("whisper", Severity.INFO))
            assert queue.counters()["inbox"].dropped == 9
            assert queue.counters()["inbox"].waiting == 4
            inbox.gate.set()
            await until(lambda: len(inbox.got) == 5)
    texts = [got.text for got in inbox.got]
    assert texts[:2] == ["in hand", "page"]
    assert sorted(texts[2:])[1:] == ["number 8", "number 9"]
    confession = next(got for got in inbox.got if got.key == "alerts/overflow")
    assert confession.text.startswith("9 alerts came faster than inbox took them")
    assert {"event": "alerts_dropped", "channel": "inbox", "count": 9, "log_level": "warning"} in logs


async def test_close_delivers_what_waits_and_then_lets_go() -> None:
    inbox = Inbox()
    queue = AlertQueue([inbox], ManualClock())
    for number in range(20):
        queue.offer(alert(str(number)))  # before the start: they wait
    queue.start()
    await queue.close(5)
    assert [got.text for got in inbox.got] == [str(number) for number in range(20)]
    assert inbox.closed
    assert not queue.offer(alert("too late"))
    assert queue.counters()["inbox"].dropped == 1
    await queue.close(5)  # a second time is nothing


async def test_close_does_not_wait_for_a_channel_that_hangs_and_counts_what_it_leaves() -> None:
    hanging, inbox, clock = Inbox("hanging"), Inbox(), ManualClock()
    hanging.gate.clear()
    queue = AlertQueue([hanging, inbox], clock)
    queue.start()
    for number in range(3):
        queue.offer(alert(str(number)))
    with capture_logs() as logs:
        closing = asyncio.create_task(queue.close(5))
        await until(lambda: len(inbox.got) == 3 and bool(clock._sleepers))
        assert not closing.done()
        clock.advance(5)
        await closing
    assert logs == [{"event": "alerts_undelivered", "channel": "hanging", "count": 3, "log_level": "error"}]


async def test_a_channel_that_cannot_be_closed_does_not_spoil_the_shutdown() -> None:
    class Stuck(Inbox):
        async def close(self) -> None:
            raise OSError("no")

    with capture_logs() as logs:
        async with delivering(Stuck("stuck")):
            pass
    assert logs[0]["event"] == "alert_channel_not_closed"


async def test_no_planted_secret_leaves_by_any_channel_or_log() -> None:
    inbox, failing = Inbox(), Inbox("failing")
    failing.errors = [DeliveryError(f"refused {KEY}", is_final=True)]
    with capture_logs() as logs:
        async with delivering(inbox, failing, secrets=(KEY, SECRET)) as (queue, _):
            queue.offer(Alert(f"x/{KEY}", Severity.CRITICAL, f"title {SECRET}", f"a {KEY} b {SECRET}", "x", START_MS))
            await until(lambda: bool(inbox.got) and bool(logs))
    out = repr(inbox.got) + repr(logs)
    assert KEY not in out
    assert SECRET not in out
    assert inbox.got[0].text == f"a {REDACTED} b {REDACTED}"


@given(st.text(max_size=30), st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=4))
def test_redaction_leaves_no_planted_value_behind(noise: str, secrets: list[str]) -> None:
    # Signs that a redaction may itself introduce prove nothing.
    planted = [secret for secret in secrets if "*" not in secret]
    text = redact(noise.join(["", *planted, ""]), planted)
    for secret in planted:
        assert secret not in text


def test_a_secret_quoted_for_a_url_is_blotted_out_and_a_short_value_is_not() -> None:
    assert redact("q=p1anted%2Bsecret%2Fwith%3Dodd%26signs&x=1", [SECRET]) == f"q={REDACTED}&x=1"
    assert redact("a1 a", ["", "a"]) == "a1 a"


@pytest.mark.parametrize("bad", ["T0KEN", "://T0KEN", "https:///T0KEN", "http://[T0KEN/x"])
def test_an_entry_that_is_no_url_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        channel_for(bad)
    assert "T0KEN" not in str(refusal.value)
    assert "[alerts] urls" in str(refusal.value)


def test_a_channel_is_named_without_its_token() -> None:
    assert channel_for("https://user:pw@hooks.example.com:8443/T0KEN?t=T0KEN").name == "https://hooks.example.com"
    assert channel_for("tgram://123456:T0KEN/chat").name == "tgram://"  # there the host is the token


async def test_channels_of_one_name_are_counted_apart() -> None:
    async with delivering(Inbox("same"), Inbox("same")) as (queue, _):
        assert set(queue.counters()) == {"same", "same #2"}


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
async def test_every_other_scheme_goes_through_apprise_off_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    bodies: list[str] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response()

    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        async with receiver(take) as url:
            queue = open_alerts(
                [url.replace("http://", "json://") + "/hook/T0KEN", "nosuch://T0KEN/x"],
                ManualClock(),
                settings=DeliverySettings(attempts=1),
            )
            queue.start()
            queue.offer(alert("by apprise"))
            await until(lambda: queue.counters()["json://"].delivered == 1)
            await until(lambda: queue.counters()["nosuch://"].failed == 1)
            await queue.close(0)
    assert json.loads(bodies[0])["message"] == "by apprise"
    assert any(entry.get("event") == "alert" and entry["title"] == "btc: drift beyond warn" for entry in logs)
    assert any("does not understand" in str(entry.get("error")) for entry in logs)
    assert "T0KEN" not in caplog.text
    assert "T0KEN" not in repr(logs)


async def test_apprise_that_hangs_is_given_up_and_not_piled_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()

    def hang(*_: object) -> None:
        release.wait(5)

    monkeypatch.setattr("keeper.alerts.channels._notify", hang)
    channel = AppriseChannel("slow://T0KEN")
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await channel.send(alert())
        with pytest.raises(DeliveryError, match="slow:// is still busy"):
            await channel.send(alert())
    finally:
        release.set()
