"""The day as data: in order, repeatable, and at a pace that ends when it should."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from keeper.demo.story import DAY_MINUTES, Deposit, Funding, Remark, Sale, Story, a_day, a_roll, advance, clock_text

START = {"BTC": Decimal(65_000), "ETH": Decimal(3_500)}
SECONDS = st.floats(0.01, 5_000)


def test_the_day_has_everything_that_a_hedge_has_to_live_through() -> None:
    story = a_day(START)
    assert {"rally", "sell-off"} <= {chapter.name for chapter in story.chapters}
    rates = [beat.action.rate for beat in story.beats if isinstance(beat.action, Funding)]
    assert min(rates) < 0 < max(rates)
    for kind in (Deposit, Sale):
        assert "BTC" in {beat.action.asset for beat in story.beats if isinstance(beat.action, kind)}
    btc = story.paths["BTC"]
    assert max(btc) > START["BTC"] * Decimal("1.1")
    assert min(btc) < START["BTC"] * Decimal("0.92")


def test_the_roll_has_large_moves_before_the_contract_runs_out_and_a_word_after_each() -> None:
    story = a_roll(START)
    before = story.paths["BTC"][: story.expiry_minute]
    assert max(before) > START["BTC"] * Decimal("1.14")
    assert min(before) < START["BTC"] * Decimal("0.9")
    said = [beat.minute for beat in story.beats if isinstance(beat.action, Remark)]
    assert len([minute for minute in said if minute <= story.expiry_minute]) == 2
    assert all(beat.action.as_margin for beat in story.beats if isinstance(beat.action, Deposit))
    assert not any(beat.by_owner for beat in story.beats if isinstance(beat.action, Remark))


@given(st.integers(0, 10_000), st.sampled_from([a_day, a_roll]))
def test_every_seed_gives_a_whole_day_in_order_and_always_the_same(seed: int, told: Callable[..., Story]) -> None:
    story = told(START, seed)
    assert story == told(START, seed)
    for path in story.paths.values():
        assert len(path) == DAY_MINUTES + 1
        assert min(path) > 0
    for parts in (story.chapters, story.beats):
        minutes = [part.minute for part in parts]
        assert minutes == sorted(set(minutes))
    assert story.chapters[0].minute == 0
    assert story.beats[-1].minute < DAY_MINUTES


@given(st.integers(0, 1_000))
def test_nobody_sells_what_he_does_not_have(seed: int) -> None:
    held = {"BTC": Decimal(5), "ETH": Decimal(40)}
    for beat in a_day(START, seed).beats:
        match beat.action:
            case Deposit(asset, amount):
                held[asset] += amount
            case Sale(asset, amount):
                held[asset] -= amount
                assert held[asset] > 0


@given(st.floats(-10, DAY_MINUTES + 10, allow_nan=False))
def test_there_is_a_price_and_a_chapter_at_any_moment(minute: float) -> None:
    story = a_day(START)
    assert set(story.prices(minute)) == set(START)
    assert story.chapter(max(0.0, minute))
    assert "00:00" <= clock_text(minute) <= "24:00"


@given(st.floats(0, DAY_MINUTES), SECONDS, SECONDS)
def test_time_goes_forward_and_never_past_the_end_of_the_day(minute: float, passed: float, left: float) -> None:
    after = advance(minute, passed, left)
    assert minute <= after <= DAY_MINUTES
    if passed >= left:
        assert after == DAY_MINUTES


@given(st.lists(st.floats(0.01, 2), min_size=1, max_size=200))
def test_the_day_ends_on_time_however_unevenly_the_clock_ticks(ticks: list[float]) -> None:
    minute, left = 0.0, sum(ticks)
    for tick in ticks:
        minute = advance(minute, tick, left)
        left -= tick
    assert abs(minute - DAY_MINUTES) < 1e-3
