"""What a cycle is worth telling, and how often."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from keeper.alerts.rules import Alert, Severity, Throttle, ThrottleMemory, alerts_for
from keeper.core.model import Halt, HedgeCycle, HedgeMemory, Hold, InstrumentId, OutcomeState, Reason, Roll, Side
from tests.alerts.stories import GAP, HEDGE, START_MS, hedge_cycle, order, outcome, rebalance, record

QUIET = hedge_cycle("0")


def told(before: HedgeCycle | None, now: HedgeCycle, *, orders_are_sent: bool = True) -> dict[str, Alert]:
    """The alerts of one cycle by what they are about."""
    previous = None if before is None else {"btc": before}
    alerts = alerts_for(previous, record(now), orders_are_sent=orders_are_sent)
    assert all(alert.hedge == "btc" and alert.at_ms == START_MS for alert in alerts)
    return {alert.key.removeprefix("btc/"): alert for alert in alerts}


class Listener:
    """Somebody who hears only what the throttle lets through, cycle by cycle."""

    def __init__(self, repeat_seconds: float = 3600.0) -> None:
        self._throttle = Throttle(repeat_seconds)
        self._memory = ThrottleMemory()
        self._before: dict[str, HedgeCycle] | None = None
        self._now_ms = START_MS

    def hears(self, cycle: HedgeCycle, *, after_seconds: float = 5.0) -> list[str]:
        self._now_ms += round(after_seconds * 1000)
        alerts = alerts_for(self._before, record(cycle, at_ms=self._now_ms), orders_are_sent=True)
        passed, self._memory = self._throttle.admit(self._memory, alerts, self._now_ms)
        self._before = {"btc": cycle}
        return [alert.title for alert in passed]


def test_a_quiet_hold_is_not_worth_a_word() -> None:
    assert told(None, QUIET) == {}
    assert told(QUIET, QUIET) == {}


def test_drift_beyond_warn_is_told_once_and_its_end_too() -> None:
    listener = Listener()
    assert listener.hears(QUIET) == []
    assert listener.hears(hedge_cycle("0.03")) == ["btc: drift beyond warn"]
    assert listener.hears(hedge_cycle("0.035")) == []
    assert listener.hears(hedge_cycle("0.01")) == ["btc: drift back inside"]
    assert listener.hears(QUIET) == []
    assert listener.hears(hedge_cycle("-0.03")) == ["btc: drift beyond warn"]


def test_what_an_ordered_flatten_has_still_to_buy_back_warns_nobody() -> None:
    flattened = HedgeMemory(flattened=True)
    listener = Listener()
    assert told(QUIET, hedge_cycle("-0.6", memory=flattened))["drift"].severity is Severity.INFO
    assert listener.hears(hedge_cycle("-0.6", memory=flattened)) == ["btc: being flattened"]
    assert listener.hears(hedge_cycle("-0.3", memory=flattened)) == []
    assert listener.hears(hedge_cycle("-0.3", memory=flattened), after_seconds=3600) == ["btc: being flattened"]
    assert listener.hears(hedge_cycle("0", memory=flattened)) == []
    assert listener.hears(hedge_cycle("0.6")) == ["btc: drift beyond warn"]


def test_a_drift_of_exactly_warn_is_inside() -> None:
    assert told(QUIET, hedge_cycle("0.02")) == {}


def test_what_a_step_of_a_roll_leaves_open_is_no_warning_while_it_is_inside_the_band() -> None:
    rolling = HedgeMemory(roll=Roll(HEDGE.instrument.id, InstrumentId("main", "BTC/USDT:USDT-270326"), START_MS))
    keys = {drift: told(QUIET, hedge_cycle(drift, memory=rolling)) for drift in ("0.03", "0.05", "0.051")}
    assert [drift for drift, alerts in keys.items() if "drift" in alerts] == ["0.051"]


def test_a_drift_that_cannot_be_seen_is_neither_beyond_nor_back() -> None:
    listener = Listener()
    listener.hears(hedge_cycle("0.03"))
    blind = hedge_cycle(None, Hold((GAP,)))
    assert listener.hears(blind) == ["btc: cannot trade (unreachable)"]
    assert sorted(listener.hears(QUIET)) == ["btc: can trade again", "btc: drift back inside"]


def test_the_same_trouble_is_told_again_after_the_repeat_time_only() -> None:
    listener = Listener(repeat_seconds=60)
    drifting = hedge_cycle("0.03")
    heard = [listener.hears(drifting) for _ in range(25)]  # every 5 s
    assert [number for number, titles in enumerate(heard) if titles] == [0, 12, 24]


def test_a_trade_tells_how_much_and_how_the_ratio_moves() -> None:
    orders = [order("a1", "2"), order("a2", "1")]
    outcomes = [
        outcome("a1", OutcomeState.FILLED, "2", "64950"),
        outcome("a2", OutcomeState.PARTIAL, "0.5", "64940"),
    ]
    trade = told(None, hedge_cycle("0.6", rebalance("3"), orders=orders, outcomes=outcomes))["trade/a1"]
    assert trade.severity is Severity.INFO
    assert trade.title == "btc: sold"
    assert trade.text == "sold 2.5 BTC (2.5 contracts of 3) at 64948; hedge ratio 0 → about 0.5, target 0.6"


def test_a_cover_is_bought_and_a_price_that_is_not_known_is_left_out() -> None:
    cover = hedge_cycle(
        "-0.4",
        rebalance("-2"),
        orders=[order("b1", "2", Side.BUY)],
        outcomes=[outcome("b1", OutcomeState.FILLED, "2")],
    )
    text = told(None, cover)["trade/b1"].text
    assert text == "bought 2 BTC (2 contracts); hedge ratio 1 → about 0.6, target 0.6"


def test_a_halt_pages_and_a_resume_ends_it() -> None:
    reason = Reason("drift_above_halt", "drift 0.60 is above halt 0.50")
    halted = hedge_cycle("0.6", Halt(reason), memory=HedgeMemory(halted=reason.text))
    still = hedge_cycle("0.6", Hold((Reason("halted", "halted"),)), memory=HedgeMemory(halted=reason.text))
    alert = told(QUIET, halted)["halt"]
    assert alert.severity is Severity.CRITICAL
    assert "drift 0.60 is above halt 0.50" in alert.text
    assert "blocked" not in told(halted, still)
    listener = Listener()
    assert listener.hears(halted) == ["btc: halted", "btc: drift beyond warn"]
    assert listener.hears(still) == []
    assert listener.hears(QUIET) == ["btc: no longer halted", "btc: drift back inside"]


def test_a_gap_warns_when_it_begins_to_block_and_says_when_it_ends() -> None:
    listener = Listener()
    blind = hedge_cycle(None, Hold((GAP,)), blockers=[GAP])
    listener.hears(QUIET)
    assert listener.hears(blind) == ["btc: cannot trade (unreachable)"]
    assert listener.hears(blind) == []
    assert listener.hears(QUIET) == ["btc: can trade again"]
    assert told(QUIET, blind)["blocked"].severity is Severity.WARNING
    assert told(QUIET, blind)["blocked"].text == "main: no answer. The drift is not known."


def test_what_is_paused_while_it_cannot_trade_is_not_said_to_trade_again() -> None:
    listener = Listener()
    assert listener.hears(hedge_cycle(None, Hold((GAP,)), blockers=[GAP])) == ["btc: cannot trade (unreachable)"]
    assert listener.hears(hedge_cycle("0", memory=HedgeMemory(paused=True))) == ["btc: paused"]


def test_refused_credentials_page_at_once() -> None:
    refused = Reason("credentials_refused", "main: the key was refused")
    assert told(QUIET, hedge_cycle(None, Hold((refused,))))["blocked"].severity is Severity.CRITICAL


def test_a_block_is_told_only_where_a_trade_is_needed() -> None:
    withdrawal = Reason("withdrawal_permission", "the key may withdraw")
    idle = hedge_cycle("0.01", Hold((withdrawal,)), blockers=[withdrawal])
    assert told(QUIET, idle) == {}
    needed = told(QUIET, hedge_cycle("-0.2", Hold((withdrawal,)), blockers=[withdrawal]))["blocked"]
    assert needed.text.endswith("Waiting to buy back 1 BTC.")


def test_what_an_operator_paused_and_what_awaits_its_fill_is_not_blocked() -> None:
    paused = hedge_cycle("0.2", Hold((Reason("paused", "paused"),)), memory=HedgeMemory(paused=True))
    waiting = hedge_cycle("0.2", Hold((Reason("awaiting_position", "not shown yet"),)))
    assert set(told(QUIET, paused)) == {"drift"}
    assert set(told(QUIET, waiting)) == {"drift"}


def test_a_rejected_order_warns_and_the_next_fill_ends_it() -> None:
    def trade(client_id: str, state: OutcomeState, filled: str, text: str = "") -> HedgeCycle:
        outcomes = [outcome(client_id, state, filled, text=text)]
        return hedge_cycle("0.01", rebalance("1"), orders=[order(client_id, "1")], outcomes=outcomes)

    listener = Listener()
    assert listener.hears(trade("c1", OutcomeState.REJECTED, "0", "margin is insufficient")) == ["btc: order rejected"]
    assert listener.hears(QUIET) == []
    assert listener.hears(trade("c2", OutcomeState.REJECTED, "0", "margin is insufficient")) == []
    assert listener.hears(trade("c3", OutcomeState.FILLED, "1")) == ["btc: orders are taken again", "btc: sold"]
    assert listener.hears(trade("c4", OutcomeState.FILLED, "1")) == ["btc: sold"]


def test_an_unknown_outcome_pages_until_it_is_known() -> None:
    lost = outcome("d1", OutcomeState.UNKNOWN, text="the connection was reset")
    sent = hedge_cycle("0.01", rebalance("1"), orders=[order("d1", "1")], outcomes=[lost])
    question = Reason("unresolved_order", "sell 1 d1 is still in question")
    answer = Reason("order_resolved", "order d1 turned out filled")
    waiting = hedge_cycle("0.2", Hold((question,)), blockers=[question])
    found = hedge_cycle("0.01", Hold((answer,)), blockers=[answer])
    page = told(None, sent)["unknown"]
    assert page.severity is Severity.CRITICAL
    assert page.text.startswith("sell 1 BTC/USDT:USDT at 64935 (d1) may or may not exist: the connection was reset; ")
    assert told(None, waiting)["unknown"].text == "sell 1 d1 is still in question"  # after a restart
    assert told(waiting, found)["unknown"].text == "order d1 turned out filled"
    listener = Listener()
    assert listener.hears(sent) == ["btc: outcome of an order unknown"]
    assert listener.hears(waiting) == ["btc: drift beyond warn"]
    assert listener.hears(waiting) == []
    assert listener.hears(found) == ["btc: outcome of the order known", "btc: drift back inside"]
    assert listener.hears(QUIET) == []


def test_an_order_of_an_earlier_cycle_that_filled_is_told_although_its_plan_is_gone() -> None:
    late = hedge_cycle("0", outcomes=[outcome("z9", OutcomeState.FILLED, "1")])
    assert told(QUIET, late)["trade/z9"].title == "btc: an earlier order filled"


def test_a_residual_below_the_minimum_is_told_once() -> None:
    small = hedge_cycle("0.01", Hold((Reason("below_minimum", "0.0004 is left: below the minimum size"),)))
    assert told(QUIET, small)["residual"].severity is Severity.INFO
    assert told(small, small) == {}


def test_a_plan_of_a_dry_run_is_told_as_a_plan_and_an_unsent_one_elsewhere_as_a_warning() -> None:
    planned = hedge_cycle("0.01", rebalance("3"), orders=[order(f"e{n}", "1") for n in range(7)])
    dry = told(None, planned, orders_are_sent=False)["unsent"]
    assert dry.severity is Severity.INFO
    assert dry.text.startswith("would sell 1 BTC/USDT:USDT at 64935; ")
    assert "and 2 more" in dry.text
    assert told(None, planned)["unsent"].severity is Severity.WARNING


def test_hedges_are_told_apart() -> None:
    other = replace(QUIET, exposure=replace(hedge_cycle("0.3").exposure, hedge=replace(QUIET.exposure.hedge, name="x")))
    alerts = alerts_for(None, record(hedge_cycle("0.3"), other))
    assert [alert.key for alert in alerts] == ["btc/drift", "x/drift"]


def _alert(key: str, severity: Severity = Severity.WARNING, *, resolved: bool = False) -> Alert:
    return Alert(key, severity, "title", "text", None, START_MS, resolved)


def test_the_end_of_a_trouble_that_was_never_told_is_not_told() -> None:
    passed, memory = Throttle().admit(ThrottleMemory(), [_alert("k", Severity.INFO, resolved=True)], START_MS)
    assert passed == ()
    assert memory == ThrottleMemory()


def test_a_clock_that_was_set_back_silences_nothing_for_longer() -> None:
    throttle = Throttle(repeat_seconds=60)
    _, memory = throttle.admit(ThrottleMemory(), [_alert("k")], START_MS)
    passed, _ = throttle.admit(memory, [_alert("k")], START_MS - 3_600_000)
    assert len(passed) == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(list(Severity)), st.booleans(), st.integers(0, 200))))
def test_the_memory_is_bounded_and_never_tells_one_state_twice_within_the_repeat_time(
    steps: list[tuple[int, Severity, bool, int]],
) -> None:
    throttle = Throttle(repeat_seconds=60, max_keys=40)
    memory = ThrottleMemory()
    now_ms, last = START_MS, dict[str, tuple[Severity, bool, int]]()
    for key, severity, resolved, seconds in steps:
        now_ms += seconds * 1000
        passed, memory = throttle.admit(memory, [_alert(str(key), severity, resolved=resolved)], now_ms)
        assert len(memory.told) <= 40
        for alert in passed:
            state = last.get(alert.key)
            if state is not None and state[:2] == (severity, resolved):
                assert now_ms - state[2] >= 60_000
            last[alert.key] = (severity, resolved, now_ms)


def test_the_oldest_keys_give_way() -> None:
    throttle = Throttle(max_keys=2)
    _, memory = throttle.admit(ThrottleMemory(), [_alert("a"), _alert("b"), _alert("c")], START_MS)
    assert list(memory.told) == ["b", "c"]
