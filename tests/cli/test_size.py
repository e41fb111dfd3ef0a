"""The golden numbers, through the command itself."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.model import Base, Contracts, Instrument, Quote, Rebalance, Side
from keeper.core.orders import plan
from keeper.core.sizing import SizingInput, contract_value, exposure_value
from keeper.core.sizing import size as compute
from tests.cli.support import keeper, process
from tests.core.build import EPOCH, hedge, inverse, linear, look, snapshot

NONE = "null null null"
SOL_IN_BTC = "3.692307692307692307692307692"
KEYS = ["contracts", "amount_base", "notional", "side", "target_base", "drift_base", "residual_base"]


def size(text: str) -> dict[str, str | None]:
    result = keeper("size", *text.split(), "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    document: dict[str, str | None] = json.loads(result.stdout)
    assert list(document) == KEYS
    return document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 1: V = 325,000
        ("--spot 5 --price 65000 --ratio 1 --contract-size 1", "5 5 325000 sell -5 5 0"),
        ("--spot 5 --price 65000 --ratio 0.5 --contract-size 1 --step 0.001", "2.5 2.5 162500 sell -2.5 2.5 0"),
        ("--spot 5 --price 65000 --ratio 0.5 --contract-size 1 --step 1", "2 2 130000 sell -2.5 2.5 0.5"),
        # 3: short 1.8 BTC and 24.0 ETH
        ("--spot 3 --price 65000 --ratio 0.6 --contract-size 1", "1.8 1.8 117000 sell -1.8 1.8 0"),
        ("--spot 40 --price 3500 --ratio 0.6 --contract-size 1", "24 24 84000 sell -24 24 0"),
        # 4: 10 BTC contracts, 50 ETH
        ("--spot 10 --price 68000 --ratio 1 --contract-size 1", "10 10 680000 sell -10 10 0"),
        ("--spot 50 --price 3500 --ratio 1 --contract-size 1", "50 50 175000 sell -50 50 0"),
        # 5: 2 of 5 BTC sold, buy back exactly 2
        ("--spot 3 --price 65000 --ratio 1 --contract-size 1 --futures -5", "2 2 130000 buy -3 -2 0"),
        # 6: index
        (
            "--kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100",
            f"1.25 null 250000 sell {NONE}",
        ),
        # 7: H = 0.2, then 0.5, and beta 0.5 at H = 1 in its place
        ("--kind index --value 1000000 --ratio 0.2 --index 2000 --multiplier 100", f"1 null 200000 sell {NONE}"),
        ("--kind index --value 1000000 --ratio 0.5 --index 2000 --multiplier 100", f"2.5 null 500000 sell {NONE}"),
        (
            "--kind index --value 1000000 --ratio 1 --beta 0.5 --index 2000 --multiplier 100",
            f"2.5 null 500000 sell {NONE}",
        ),
        # 9: cross hedge
        (
            "--spot 1000 --asset-price 200 --beta 1.2 --price 65000 --ratio 1 --contract-size 1 --step 0.001",
            f"3.692 3.692 239980 sell -{SOL_IN_BTC} {SOL_IN_BTC} 0.0003076923076923076923076923077",
        ),
        # 10: steps and minimums
        (
            "--spot 1.2349 --price 65000 --ratio 1 --contract-size 1 --step 0.001",
            "1.234 1.234 80210 sell -1.2349 1.2349 0.0009",
        ),
        (
            "--spot 0.0001 --price 40000 --ratio 1 --contract-size 1 --step 0.0001 --min-notional 5",
            "0 0 0 null -0.0001 0.0001 0.0001",
        ),
        ("--spot 0.0005 --price 40000 --ratio 1 --contract-size 1 --step 0.001", "0 0 0 null -0.0005 0.0005 0.0005"),
        # coin-margined: full at every price, and a dated one at its own mark
        ("--kind inverse --spot 5 --price 65000 --ratio 1 --contract-size 100", "3250 5 325000 sell -5 5 0"),
        (
            "--kind inverse --spot 6.25 --price 52000 --ratio 1 --contract-size 100 --futures -6.25",
            "0 0 0 null -6.25 0 0",
        ),
        ("--kind inverse --spot 5 --price 60900 --ratio 1 --contract-size 100 --step 1", "3045 5 304500 sell -5 5 0"),
        # an index with the price of what it stands for
        (
            "--kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100 --asset-price 50000 --futures -2",
            "0.75 3 150000 sell -5 3 0",
        ),
        # buys round up, and stop at the position
        ("--spot 1 --price 100 --ratio 1 --contract-size 1 --step 0.1 --futures -1.55", "0.6 0.6 60 buy -1 -0.55 0.05"),
        ("--spot 0 --price 100 --ratio 1 --contract-size 1 --step 1 --futures -3", "3 3 300 buy 0 -3 0"),
        # a short that is no whole number of steps is bought back whole, as the loop does
        ("--spot 0 --price 100 --ratio 1 --contract-size 1 --step 1 --futures -2.5", "2.5 2.5 250 buy 0 -2.5 0"),
        # nothing left to protect
        ("--spot -1 --price 100 --ratio 1 --contract-size 1 --futures -3", "3 3 300 buy 0 -3 0"),
        # plain notation, whatever was typed
        ("--spot 1e3 --price 1E+2 --ratio 1.0 --contract-size 1e-3", "1000000 1000 100000 sell -1000 1000 0"),
    ],
)  # fmt: skip
def test_golden_numbers(text: str, expected: str) -> None:
    values = [None if word == "null" else word for word in expected.split()]
    assert size(text) == dict(zip(KEYS, values, strict=True))


def test_a_third_is_floored_exactly() -> None:
    document = size("--spot 1 --price 3 --asset-price 1 --ratio 1 --contract-size 0.1 --step 0.000001")
    assert document["contracts"] == "3.333333"
    # 7/3 × 3/7 is one whole step, however the divisions end.
    assert size("--spot 7 --price 3 --asset-price 3 --ratio 1 --contract-size 7 --step 1")["contracts"] == "1"


HALF = "--spot 5 --price 65000 --ratio 0.5 --contract-size 1 --step 0.001"


def test_one_process_as_a_script_would_start_it() -> None:
    done = process("size", *HALF.split(), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["contracts"] == "2.5"
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HALF, "Sell 2.5 contracts (162500 in quote money) to hedge 50 %"),
        ("--spot 0.1 --price 10 --ratio 1 --contract-size 1 --min-notional 5", "0.1 base units stay unhedged"),
        ("--spot 1 --price 10 --ratio 1 --contract-size 1 --futures -1", "Nothing to trade"),
    ],
)
def test_people_get_a_table_and_a_sentence(text: str, says: str) -> None:
    result = keeper("size", *text.split())
    assert "contracts" in result.stdout
    assert says in result.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--spot 5 --price 65000 --ratio 1.5 --contract-size 1", ["--ratio", "at most 1"]),
        ("--spot 5 --price 0 --ratio 1 --contract-size 1", ["--price", "more than 0"]),
        ("--spot five --price 1 --ratio 1 --contract-size 1", ["--spot", "'five'", "not a finite number"]),
        ("--spot nan --price 1 --ratio 1 --contract-size 1", ["--spot", "not a finite number"]),
        ("--spot 1 --price 1 --ratio 1", ["--contract-size is missing"]),
        ("--spot 1 --price 1 --contract-size 1", ["--ratio is missing"]),
        ("--spot 1 --price 1 --ratio 1 --contract-size 1 --index 5", ["--index does not belong to --kind linear"]),
        ("--kind index --spot 1 --ratio 1", ["--value is missing", "--spot does not belong"]),
        ("--kind inverce", ["--kind", 'did you mean "inverse"']),
        (
            "--kind index --value 1 --ratio 1 --index 1 --multiplier 1 --futures -2",
            ["--futures", "add --asset-price"],
        ),
        ("--frob 1", ["--frob"]),
        ("--spot", ["--spot"]),
    ],
)
def test_bad_flags_exit_2_and_say_what_to_do(text: str, says: list[str]) -> None:
    result = keeper("size", *text.split(), "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    for part in says:
        assert part in result.stderr


def test_several_faults_are_one_message_with_a_line_for_each() -> None:
    lines = keeper("size", "--spot", "5").stderr.splitlines()
    assert lines[0] == "error: keeper size has 3 problems:"
    assert [line[:6] for line in lines[1:4]] == ["  - --"] * 3
    assert lines[4].startswith("for example: keeper size")


AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=8)
STEPS = st.sampled_from([Decimal(text) for text in ("0", "0.001", "0.1", "1", "0.3", "7")])


@given(
    exposure=AMOUNTS, held=AMOUNTS, ratio=st.decimals(min_value=0, max_value=1, places=4), step=STEPS,
    price=st.decimals(min_value="0.01", max_value=10**6, places=4),
    unit=st.decimals(min_value="0.001", max_value=10**4, places=4),
    minimum=st.decimals(min_value=0, max_value=100, places=2),
)  # fmt: skip
def test_rounding_never_over_hedges_and_the_figures_add_up(
    exposure: Decimal, held: Decimal, ratio: Decimal, step: Decimal, price: Decimal, unit: Decimal, minimum: Decimal
) -> None:
    result = compute(SizingInput(
        exposure_quote=Fraction(exposure), ratio=ratio, beta=Decimal(1), contract_notional=Fraction(unit),
        base_price=price, futures_base=Base(-held), step=step, min_notional=Quote(minimum),
    ))  # fmt: skip
    assert result.contracts >= 0
    assert (result.side is None) == (result.contracts == 0)
    held_contracts = Fraction(held) * Fraction(price) / Fraction(unit)
    signed = Fraction(result.contracts) * (-1 if result.side is Side.SELL else 1)
    after = -held_contracts + signed
    target = -Fraction(ratio) * Fraction(exposure) / Fraction(unit)
    # As the loop does, what is a billionth of a step below a whole step is taken for that step.
    slack = Fraction(1, 10**15) + Fraction(step) / 10**9
    if result.side is Side.SELL:
        assert after >= target - slack
    if result.side is Side.BUY:
        assert after <= slack
    if step and Fraction(result.contracts) % Fraction(step) != 0:
        assert result.side is Side.BUY, "only a cover may be off the step"
        assert abs(Fraction(result.contracts) - held_contracts) <= slack * (1 + held_contracts), (
            "at the position itself"
        )
    if result.contracts:
        assert result.notional >= minimum
    assert result.drift_base is not None
    assert result.residual_base is not None
    assert result.amount_base is not None
    placed = result.amount_base if result.side is Side.BUY else -result.amount_base
    assert abs(result.drift_base + placed - result.residual_base) <= Decimal("1e-12") * (1 + abs(result.drift_base))


CONTRACTS = st.sampled_from([
    *(linear("0.001"), linear("1", "0.01"), linear("0.1", "10"), linear("0.3", "0.7"), linear("5", "3")),
    *(inverse("100", "1"), inverse("10", "0.1"), inverse("1", "1"), inverse("7", "3")),
])  # fmt: skip


@given(
    instrument=CONTRACTS,
    coins=st.decimals(0, 5000, places=8),
    ratio=st.decimals(0, 1, places=4),
    price=st.decimals("0.01", 200_000, places=4),
    steps=st.decimals(0, 20_000, places=2),
    whole=st.booleans(),
)
def test_the_command_and_the_loop_come_to_the_same_order(
    instrument: Instrument, coins: Decimal, ratio: Decimal, price: Decimal, steps: Decimal, whole: bool
) -> None:
    """One rounding: whatever is held already, on the step or off it, linear or coin-margined."""
    short = (steps.to_integral_value() if whole else steps) * instrument.step_contracts
    of = hedge(replace(instrument, min_contracts=Contracts(Decimal(0)), min_notional=Quote(Decimal(0))), str(ratio))
    exposure, _ = look(of, snapshot(of, price, {"BTC": str(coins)}, -short))
    assert exposure.drift_base is not None
    assert exposure.exposure_base is not None
    assert exposure.futures_base is not None
    if exposure.drift_base == 0:
        return
    planned = plan(exposure, Rebalance(exposure.drift_base, ()), Quote(Decimal(10**20)), EPOCH)
    sized = compute(SizingInput(
        exposure_quote=exposure_value(exposure.exposure_base, price), ratio=ratio, beta=Decimal(1),
        contract_notional=contract_value(instrument.kind, instrument.contract_size, price), base_price=price,
        futures_base=exposure.futures_base, step=instrument.step_contracts,
    ))  # fmt: skip
    ordered = sum((order.contracts for order in planned.orders), Decimal(0))
    # The command is given the position in base units, which end in the 28th digit; on the step nothing of it is left.
    assert abs(sized.contracts - ordered) <= (0 if ordered % instrument.step_contracts == 0 else Decimal("1e-20"))
    assert sized.side == (planned.orders[0].side if planned.orders else None)
