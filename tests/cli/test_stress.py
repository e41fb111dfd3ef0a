"""``keeper stress``: the worked tables through the command, portfolios in a file, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import keeper, process


def document(*arguments: str) -> Any:
    result = keeper("stress", *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def at(found: Any, percent: str, place: int = 0) -> Any:
    [seen] = [move for move in found["hedges"][place]["moves"] if move["move_percent"] == percent]
    return seen


HALF = "--kind linear --spot 5 --price 65000 --ratio"


@pytest.mark.parametrize(
    ("ratio", "spot", "futures", "net", "ending"),
    [
        ("0.5", "-32500", "16250", "-16250", "308750"),
        ("1", "-32500", "32500", "0", "325000"),
        ("0", "-32500", "0", "-32500", "292500"),
    ],
)
def test_the_tables_of_a_fall_of_a_tenth(ratio: str, spot: str, futures: str, net: str, ending: str) -> None:
    found = document(*HALF.split(), ratio)
    assert [move["move_percent"] for move in found["hedges"][0]["moves"]] == ["-50", "-20", "-10", "10", "20", "50"]
    for seen in (at(found, "-10"), found["total"]["moves"][2]):
        figures = [seen[key] for key in ("spot_pnl", "futures_pnl", "net_pnl", "ending_value", "hedge_ratio")]
        assert figures == [spot, futures, net, ending, ratio]
    assert at(found, "-10")["price"] == "58500"
    assert at(found, "-10")["margin_ratio"] is None, "nothing was said of a margin"


@pytest.mark.parametrize("text", ["--moves=-25", "--moves -25"])
def test_a_portfolio_of_half_the_index(text: str) -> None:
    words = "--kind index --value 1000000 --beta 0.5 --ratio 1 --index 2000 --multiplier 100"
    found = document(*words.split(), *text.split())
    seen = at(found, "-25")
    assert (seen["spot_pnl"], seen["futures_pnl"], seen["net_pnl"]) == ("-125000", "125000", "0")
    assert (found["hedges"][0]["contracts"], found["hedges"][0]["hedge_ratio"]) == ("-2.5", "1")


def test_a_full_coin_margined_hedge_keeps_its_value_at_every_price() -> None:
    words = "--kind inverse --collateral 5 --price 65000 --ratio 1 --contract-size 100 --maintenance 0.005"
    found = document(*words.split(), "--moves", "-20,15,100,1000")
    assert found["hedges"][0]["contracts"] == "-3250"
    assert {move["ending_value"] for move in found["hedges"][0]["moves"]} == {"325000"}
    assert {move["hedge_ratio"] for move in found["hedges"][0]["moves"]} == {"1"}
    assert {move["liquidated"] for move in found["hedges"][0]["moves"]} == {False}
    assert found["hedges"][0]["liquidation_price"] is None


@pytest.mark.parametrize("price", ["5000", "8000", "10000", "16000"])
def test_it_does_not_matter_when_one_looks(price: str) -> None:
    """2 BTC, 16,000 USD short since 8,000, at each price of the published table: 16,000 USD, whatever comes."""
    words = f"--kind inverse --collateral 2 --contracts -16000 --entry 8000 --price {price}"
    found = document(*words.split())
    assert found["hedges"][0]["value"] == "16000"
    assert {move["ending_value"] for move in found["hedges"][0]["moves"]} == {"16000"}
    by_ratio = document(*f"--kind inverse --collateral 2 --ratio 1 --entry 8000 --price {price}".split())
    assert by_ratio["hedges"][0]["contracts"] == "-16000"


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("--kind linear --spot 1 --price 60000 --ratio 1 --wallet 30000", "89552.2388"),
        ("--kind linear --spot 1 --price 50000 --contracts -1 --entry 60000 --wallet 30000", "89552.2388"),
        ("--kind inverse --spot 1 --collateral 1 --price 60000 --contracts -120000", "119400"),
        ("--kind linear --collateral 5 --haircut 0.95 --price 60000 --ratio 1", "1090909.0909"),
    ],
)
def test_prices_of_liquidation(text: str, price: str) -> None:
    [hedge] = document(*text.split(), "--maintenance", "0.005")["hedges"]
    found = hedge["liquidation_price"]
    assert f"{float(found):.4f}".rstrip("0").rstrip(".") == price
    assert float(hedge["liquidation_distance"]) == pytest.approx(float(found) / float(hedge["price"]) - 1)


def portfolio(folder: Path, text: str) -> str:
    path = folder / "portfolio.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


MIXED = """
[[hedges]]
name = "mixed"
spot = "3.5"                 # half a coin elsewhere, three in the account
price = 60000
maintenance = 0.005
wallet = 1000
futures = [{ kind = "linear", contracts = "-1.2" }, { kind = "inverse", contracts = -900, contract_size = 100 }]

[[hedges]]
name = "eth"
spot = 40
price = 3500
ratio = 0.6
maintenance = 0.01
account = "mixed"
"""


def test_a_portfolio_in_a_file_shares_its_account(tmp_path: Path) -> None:
    found = document("--portfolio", portfolio(tmp_path, MIXED), "--moves=25,-10")
    seen = at(found, "25")
    assert seen["net_pnl"] == "12000", "0.8 coins stay open"
    assert seen["hedge_ratio"] == "0.75", "2.4 of 3.2 coins"
    both = [hedge["margin_ratio"] for hedge in found["hedges"]]
    assert both[0] == both[1] == found["total"]["margin_ratio"] == "1.65"
    assert found["total"]["moves"][1]["net_pnl"] == "-10400", "0.8 BTC and 16 ETH stay open"


def test_people_get_tables_of_eighty_columns(tmp_path: Path) -> None:
    result = keeper("stress", "--portfolio", portfolio(tmp_path, MIXED))
    assert result.exit_code == 0
    for word in ("mixed · value", "eth · value", "all together", "ratio", "to liq.", "-50 %"):
        assert word in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
    thin = "--spot 1 --price 60000 --ratio 1 --wallet 30000 --maintenance 0.005"
    gone = keeper("stress", *thin.split())
    assert "gone" in gone.stdout
    assert "liquidation at 89,552" in gone.stdout


def test_one_process_as_a_script_would_start_it() -> None:
    done = process("stress", *HALF.split(), "0.5", "--moves", "-50,-20", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [move["move"] for move in json.loads(done.stdout)["total"]["moves"]] == ["-0.5", "-0.2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--moves=ten", ["--moves", "'ten'", "--moves=-50,-20"]),
        ("--moves=-100", ["--moves", "more than -100"]),
        ("--moves=", ["--moves", "not a finite number"]),
        ("--moves=" + ",".join(map(str, range(60))), ["--moves", "60 entries"]),
        ("--kind linnear", ["--kind", 'did you mean "linear"']),
        ("--spot 5 --ratio 1", ["--price is missing"]),
        ("--price 5 --ratio 1", ["--spot is missing", "nothing to protect"]),
        ("--spot 5 --price 10", ["--ratio", "exactly one"]),
        ("--spot 5 --price 10 --ratio 1 --contracts -2", ["--ratio", "exactly one"]),
        ("--spot 5 --price 10 --ratio 1 --index 3", ["--index does not belong to kind linear"]),
        ("--spot 5 --price 10 --ratio 2", ["--ratio", "at most 1"]),
        ("--kind index --spot 5 --ratio 1", ["--value is missing", "--spot does not belong"]),
        ("--portfolio x.toml --ratio 1", ["--portfolio", "--ratio", "keep one of the two"]),
        ("--portfolio /does/not/exist", ["/does/not/exist", "cannot be read", "--portfolio"]),
        ("-c /does/not/exist", ["/does/not/exist", "keeper init"]),
    ],
)
def test_bad_flags_exit_2_and_say_what_to_do(text: str, says: list[str]) -> None:
    result = keeper("stress", *text.split(), "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    for part in says:
        assert part in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[hedges]\n", ["is not valid TOML"]),
        ("hedges = 3\n", ["[[hedges]]"]),
        ("hedges = [3]\n", ["hedges[0] must be a table"]),
        ("x = 1\n[[hedges]]\nspot = 1\n", ["x is not a known key"]),
        ("[[hedges]]\nspott = 1\nprice = 2\nspot = 1\nratio = 1\n", ["hedges[0].spott", 'did you mean "spot"']),
        ("[[hedges]]\nprice = nan\nspot = 1\nratio = 1\n", ["hedges[0].price", "not a finite number"]),
        ('[[hedges]]\nprice = 2\nspot = 1\nfutures = "x"\n', ["hedges[0].futures", "list of tables"]),
        ("[[hedges]]\nprice = 2\nspot = 1\nfutures = [{ side = 1 }]\n", ["futures[0].side", "futures[0].contracts"]),
        ("[[hedges]]\nprice = 2\nspot = 1\nratio = 1\nname = 'a b'\n", ["hedges[0].name"]),
        ("[[hedges]]\nprice = 2\nspot = 1\nratio = 1\nname = 'a'\n" * 2, ["two hedges have one name"]),
    ],
)
def test_a_bad_portfolio_names_file_and_key(tmp_path: Path, text: str, says: list[str]) -> None:
    path = portfolio(tmp_path, text)
    result = keeper("stress", "--portfolio", path)
    assert (result.exit_code, result.stdout) == (2, "")
    for part in [path, *says]:
        assert part in result.stderr
