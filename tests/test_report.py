"""The plan document is a contract that people script against, and its picture is for people."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from keeper.core.model import (
    AccountId,
    Band,
    Base,
    Contracts,
    Exposure,
    Halt,
    Hedge,
    HedgeCycle,
    HedgeMemory,
    Hold,
    Instrument,
    InstrumentId,
    Kind,
    LegExposure,
    Mark,
    OrderPlan,
    PlannedOrder,
    Position,
    Quote,
    Reason,
    Rebalance,
    Side,
)
from keeper.core.targets import Target
from keeper.report import hedge_json, iso_utc, plain, plan_document, render_plan, rounded

D = Decimal
NOVEMBER_20_2026_MS = 1_795_161_600_000
BTC = Instrument(
    InstrumentId("main", "BTC/USDT:USDT"), "BTC", "USDT", "USDT", Kind.LINEAR, D(1), Contracts(D("0.001")), D("0.1")
)
BAND = Band(D("0.02"), D("0.05"), D("0.50"))
HEDGE = Hedge("btc", ("BTC",), (AccountId("main"),), {}, BTC, Target.ratio(D("0.6")), BAND)
ABOVE_ACT = Reason("drift_above_act", "drift 0.60 is above act 0.05")
ORDER = PlannedOrder(
    client_id="a" * 28,
    hedge="btc",
    instrument=BTC.id,
    side=Side.SELL,
    contracts=Contracts(D("3.000")),
    amount_base=Base(D("3.0")),
    notional=Quote(D("1.95E+5")),
    price=D("64935.0"),
    reduce_only=False,
)
UNHEDGED = Exposure(
    hedge=HEDGE,
    spot_base=Base(D("5.00")),
    collateral_base=Base(D("0E-8")),
    exposure_base=Base(D(5)),
    futures_base=Base(D("-0")),
    hedge_ratio=D(0),
    target_ratio=D("0.60"),
    target_base=Base(D("-3.00")),
    drift_base=Base(D("3.00")),
    drift_ratio=D("0.60"),
    drift_notional=Quote(D("195000.000")),
    legs=(LegExposure(HEDGE.legs[0], Position(HEDGE.instrument, Contracts(D(0))), Mark(D(65000)), Base(D("-0"))),),
)
BUILDING = HedgeCycle(
    exposure=UNHEDGED,
    decision=Rebalance(Base(D(3)), (ABOVE_ACT,)),
    plan=OrderPlan("btc", (ORDER,), Base(D("0.000"))),
    reasons=(),
    outcomes=(),
    memory=HedgeMemory(),
)


def test_the_document_is_the_contract_letter_by_letter() -> None:
    contract = json.loads("""
        {"mode": "testnet", "taken_at": "2026-11-20T08:00:00Z", "hedges": [
          {"name": "btc", "asset": "BTC", "instrument": "main:BTC/USDT:USDT", "spot_base": "5", "collateral_base": "0",
           "exposure_base": "5", "futures_base": "0", "beta": "1", "hedge_ratio": "0", "target_ratio": "0.6",
           "target": {"kind": "ratio", "value": "0.6"}, "target_base": "-3", "drift_base": "3", "drift_ratio": "0.6",
           "drift_notional": "195000",
           "decision": "rebalance",
           "reasons": [{"code": "drift_above_act", "text": "drift 0.60 is above act 0.05"}],
           "orders": [{"symbol": "BTC/USDT:USDT", "side": "sell", "contracts": "3", "amount_base": "3",
                       "notional": "195000", "type": "limit", "time_in_force": "IOC", "price": "64935",
                       "reduce_only": false}],
           "residual_base": "0",
           "legs": [{"instrument": "main:BTC/USDT:USDT", "share": null, "contracts": "0", "futures_base": "0",
                     "mark": "65000"}], "margin": null}]}""")
    document = plan_document("testnet", NOVEMBER_20_2026_MS, [BUILDING])
    assert document == contract
    assert json.dumps(document) == json.dumps(contract)  # the same order of keys too


def test_what_could_not_be_read_is_null_and_why_is_said_once() -> None:
    gap = Reason("unreachable", "main did not answer")
    wallet = Reason("withdrawal_permission", "the key of main may withdraw")
    blind = HedgeCycle(
        Exposure(HEDGE, target_ratio=D("0.6"), blockers=(gap,), sell_blockers=(wallet,)), Hold((gap,)), None, (), (),
        HedgeMemory(),
    )  # fmt: skip
    document = hedge_json(blind)
    unknown = {
        key
        for key, value in document.items()
        if value is None  # never a zero in place of a figure that nobody read
    }
    assert unknown == {
        "spot_base", "collateral_base", "exposure_base", "futures_base", "hedge_ratio", "target_base",
        "drift_base", "drift_ratio", "drift_notional", "residual_base", "margin",
    }  # fmt: skip
    assert document["decision"] == "hold"
    assert [reason["code"] for reason in document["reasons"]] == ["unreachable", "withdrawal_permission"]
    assert document["orders"] == []


def test_a_plan_that_was_refused_is_a_hold_and_shows_no_order() -> None:
    refused = replace(BUILDING, decision=Hold((Reason("slippage", "the price is beyond the cap"),)))
    assert hedge_json(refused)["orders"] == []


def test_clips_of_a_rebalance_and_the_reason_of_a_halt_are_told() -> None:
    clip = Reason("max_short_notional", "clipped to what the limit leaves")
    clipped = hedge_json(replace(BUILDING, reasons=(clip,)))
    assert [reason["code"] for reason in clipped["reasons"]] == ["drift_above_act", "max_short_notional"]
    halted = hedge_json(replace(BUILDING, decision=Halt(Reason("drift_above_halt", "drift 0.6 is above halt 0.5"))))
    assert halted["decision"] == "halt"
    assert halted["reasons"][0]["code"] == "drift_above_halt"


def test_too_small_to_trade_leaves_its_amount_and_a_quiet_hold_leaves_zero() -> None:
    small = Reason("below_minimum", "0.0004 BTC is below the minimum")
    held = replace(BUILDING, decision=Hold((small,)), plan=OrderPlan("btc", (), Base(D("0.00040")), (small,)))
    assert hedge_json(held)["residual_base"] == "0.0004"
    assert len(hedge_json(held)["reasons"]) == 1
    assert hedge_json(replace(held, plan=None))["residual_base"] == "0"


@pytest.mark.parametrize(("betas", "expected"), [({"SOL": D("1.30"), "BTC": D(1)}, None), ({}, "1")])
def test_a_basket_lists_its_assets_and_one_beta_only_where_there_is_one(
    betas: dict[str, Decimal], expected: str | None
) -> None:
    basket = replace(HEDGE, assets=("BTC", "SOL"), betas=betas)
    document = hedge_json(replace(BUILDING, exposure=replace(UNHEDGED, hedge=basket)))
    assert document["asset"] == "BTC,SOL"
    assert document["assets"] == ["BTC", "SOL"]
    assert document["beta"] == expected


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_plain_notation_always_parses_back_to_the_same_figure(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert "e" not in text.lower()
    assert text != "-0"
    if "." in text:
        assert not text.endswith(("0", "."))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10), st.integers(0, 8))
def test_rounding_for_the_eye_is_near_and_never_shows_something_as_nothing(value: Decimal, places: int) -> None:
    text = rounded(plain(value), places)
    if value == 0:
        assert text == "0"
    elif "<" in text:
        assert abs(value) < Decimal(1).scaleb(-places)
    else:
        assert Decimal(text) != 0
        assert abs(Decimal(text) - value) <= Decimal(1).scaleb(-places)


def test_a_figure_that_is_no_figure_is_a_bug_and_says_so() -> None:
    with pytest.raises(ValueError, match="not a figure"):
        plain(D("NaN"))


def test_times_are_utc_in_whole_seconds() -> None:
    assert iso_utc(NOVEMBER_20_2026_MS + 999) == "2026-11-20T08:00:00Z"
    assert iso_utc(-62_135_683_140_000) == "0001-01-01T00:00:00Z", "year one, east of Greenwich"
    assert iso_utc(10**18) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("width", [80, 100])
def test_the_picture_fits_its_width_and_keeps_every_word_in_a_plain_pipe(width: int) -> None:
    blind = replace(BUILDING, exposure=Exposure(replace(HEDGE, name="eth")), decision=Hold(()), plan=None)
    odd = Reason("odd", "text with [brackets] is text, not markup")
    long = replace(UNHEDGED, drift_base=Base(D(10) / D(3)), drift_ratio=D(2) / D(3))
    cycles = [replace(BUILDING, exposure=long, reasons=(odd,)), blind]
    pipe = io.StringIO()
    Console(file=pipe, width=width, force_terminal=False).print(
        render_plan(plan_document("live", NOVEMBER_20_2026_MS, cycles), {"btc": BAND})
    )
    picture = pipe.getvalue()
    assert "\x1b" not in picture
    assert max(len(line) for line in picture.splitlines()) <= width
    for word in (
        "mode live", "0 / 0.6", "0.6667 (3.333333)", "act 0.05 halt 0.5", "rebalance", "hold", "? / ?",
        "sell 3 contracts", "at 64935 limit IOC", "drift_above_act", "[brackets]", "no order",
    ):  # fmt: skip
        assert word in picture


def test_an_order_that_only_rests_is_said_to_be_post_only() -> None:
    assert BUILDING.plan is not None
    orders = tuple(replace(order, time_in_force="PO") for order in BUILDING.plan.orders)
    document = plan_document(
        "live", NOVEMBER_20_2026_MS, [replace(BUILDING, plan=replace(BUILDING.plan, orders=orders))]
    )
    pipe = io.StringIO()
    Console(file=pipe, width=100).print(render_plan(document))
    assert "at 64935 limit post-only" in pipe.getvalue()
    assert document["hedges"][0]["orders"][0]["time_in_force"] == "PO", "the contract keeps its word"


def test_before_the_first_look_there_is_a_picture_too() -> None:
    pipe = io.StringIO()
    Console(file=pipe, width=100).print(render_plan({"mode": "live", "taken_at": None, "hedges": []}))
    assert "nothing seen yet" in pipe.getvalue()


def picture(*documents: dict[str, object]) -> str:
    page = Console(file=io.StringIO(), width=160)
    page.print(render_plan({"mode": "testnet", "taken_at": "2026-11-20T08:00:00Z", "hedges": list(documents)}))
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


@pytest.mark.parametrize(
    ("state", "word"), [({}, "hold"), ({"paused": True}, "paused"), ({"halted": "drift 0.60 is above halt"}, "halted")]
)
def test_a_hedge_that_was_stopped_does_not_read_as_one_that_holds(state: dict[str, object], word: str) -> None:
    text = f"halted: {state['halted']}" if "halted" in state else "as it should be"
    reasons = [{"code": "halted" if "halted" in state else "within_band", "text": text}]
    shown = picture({**hedge_json(BUILDING), "decision": "hold", "orders": [], "reasons": reasons, **state})
    row = next(line for line in shown.splitlines() if line.strip().startswith("btc"))
    assert row.split()[-1] == word
    assert "halted: halted" not in shown


@pytest.mark.parametrize(
    ("distance", "said"),
    [
        ("3.518", "liquidation at 15858.3 if it moves alone, 351.8 % away"),
        ("9", "no rally short of 10 times the price"),
    ],
)
def test_margin_is_told_as_a_share_and_no_liquidation_beyond_ten_times_the_price(distance: str, said: str) -> None:
    margin = {
        "account": "main.linear", "asset": "USDT", "equity": "299770.40984", "ratio": "0.0055", "level": "fine",
        "liquidation_price": "15858.3", "liquidation_distance": distance,
    }  # fmt: skip
    shown = picture({**hedge_json(BUILDING), "margin": margin})
    assert "margin main.linear: 0.55 % of 299770.4098 USDT is needed" in shown
    assert said in shown
