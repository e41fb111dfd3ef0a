"""Holdings files as other programs write them: what is understood, and what is refused whole."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.model import AccountId
from keeper.holdings_files import FileMalformedError, WantedFile, wallet_of
from keeper.holdings_formats import Row, rows_of

D = Decimal
EIGHT = 1_795_161_600_000  # 2026-11-20T08:00:00Z
NOW = EIGHT + 60_000

SAME = [
    '{"as_of": "2026-11-20T08:00:00Z", "holdings": [{"asset": "BTC", "amount": "2.5"}]}',
    '{"as_of": "2026-11-20T09:00:00+01:00", "holdings": {"BTC": 2.5}}',
    '[{"asset": "BTC", "amount": 2.5, "as_of": "2026-11-20T08:00:00Z"}]',
    '{"as_of": "2026-11-20T08:00:00Z", "BTC": "2.5"}',
    "asset,amount,as_of\nBTC,2.5,2026-11-20T08:00:00Z\n",
    "\ufeffAsset;Value in EUR;Amount;As_Of\r\nBTC;150000,00;2.5;2026-11-20T08:00:00Z\r\n",
    'amount\tasset\tas_of\n"2.5"\tBTC\t2026-11-20T08:00:00Z\n\n',
]


@pytest.mark.parametrize("content", SAME)
def test_every_shape_says_the_same(content: str) -> None:
    assert rows_of(content.encode()) == (Row("BTC", D("2.5"), "", EIGHT),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no evidence of zero"),
        (" \n", "no evidence of zero"),
        ("[]", "no rows"),
        ("{}", "no rows"),
        ('{"as_of": "2026-11-20T08:00:00Z"}', "no rows"),
        ("asset,amount\n", "no rows"),
        ('[{"asset": "BTC", "amount": "2', "half-written"),
        ("asset,amount\nBTC,2.", "half-written"),
        ('asset,amount\nBTC,"2.5\n', "half-written"),
        ("asset,amount\nBTC\n", "1 cells under 2 headings"),
        ("coin,amount\nBTC,2.5\n", "it needs asset and amount"),
        ("asset,amount,amount\nBTC,2.5,3\n", "two columns amount"),
        ("asset,amount\nBTC,2.5\nBTC,2.5\n", "counts BTC twice"),
        ('{"BTC": "2.5", "BTC": "3"}', "twice"),
        ('[{"asset": "BTC", "amount": NaN}]', "NaN"),
        ('[{"asset": "BTC", "amount": "inf"}]', "not a finite number"),
        ('[{"asset": "BTC", "amount": "1e30"}]', "too large to be meant"),
        ('[{"asset": "BTC", "amount": "2,5"}]', "write a decimal point"),
        ('[{"asset": "BTC", "amount": true}]', "true or false"),
        ('[{"asset": "BTC"}]', "row 1 has no amount"),
        ('[{"asset": "B T C", "amount": "1"}]', "no name of a coin"),
        ('[{"asset": "BTC", "amount": "1", "when": "now"}]', "'when'"),
        ('[{"asset": "BTC", "amount": "1", "as_of": "2026-11-20T08:00:00"}]', "add its offset"),
        ('[{"asset": "BTC", "amount": "1", "as_of": 1795161600}]', "must be a date"),
        ('[{"asset": "BTC", "amount": "1", "as_of": "yesterday"}]', "write a date"),
        ('{"holdings": [], "note": "x"}', "'note'"),
        ('{"holdings": "2.5"}', "where a list of rows belongs"),
        ("[[1, 2]]", "row 1 is a list"),
        ('"BTC"', "needs asset and amount"),
        ("[" * 100_000, "nested too deep"),
        ("\xff\xfe", "UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_whole_is_not_used_at_all(content: str, said: str) -> None:
    raw = content.encode("latin-1") if content.startswith("\xff") else content.encode()
    if content == '"BTC"':
        raw += b"\n"
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        rows_of(raw)


def test_half_of_a_good_file_is_never_taken_for_the_whole() -> None:
    """Cut anywhere, it is refused, or says exactly what the whole says, or less of its rows, which then are missing."""
    for content in SAME:
        raw = content.encode()
        for cut in range(len(raw)):
            try:
                rows = rows_of(raw[:cut])
            except ValueError:
                continue
            assert rows == rows_of(raw), content[:cut]


@given(
    st.dictionaries(st.sampled_from(["BTC", "ETH", "SOL"]), st.decimals("0", "1e9", places=8), min_size=1),
    st.booleans(),
)
def test_what_was_written_is_what_is_read(coins: dict[str, Decimal], as_csv: bool) -> None:
    if as_csv:
        text = "asset,amount\n" + "".join(f"{asset},{amount:f}\n" for asset, amount in coins.items())
    else:
        text = json.dumps([{"asset": asset, "amount": f"{amount:f}"} for asset, amount in coins.items()])
    assert {row.asset: row.amount for row in rows_of(text.encode())} == coins


@given(st.binary(max_size=200))
def test_no_content_breaks_the_reader(content: bytes) -> None:
    try:
        rows_of(content)
    except ValueError as error:
        assert str(error)  # noqa: PT017  a sentence, whatever it was


def read(content: str, *assets: str, borrowed: bool = False, changed_ms: int = EIGHT) -> dict[str, tuple[Decimal, int]]:
    wanted = WantedFile(Path("cold.json"), assets or ("BTC",), borrowed)
    wallet = wallet_of("cold.json", wanted, content.encode(), changed_ms, NOW)
    assert wallet.account == AccountId("file", "cold.json")
    return {asset: (amount, wallet.stated_at_ms[asset]) for asset, amount in wallet.totals.items()}


def test_labels_add_up_and_the_oldest_gives_the_age() -> None:
    day_before = EIGHT - 86_400_000
    content = "asset,amount,label,as_of\nBTC,1.5,vault,2026-11-20T08:00:00Z\nBTC,1,desk,2026-11-19T08:00:00Z\nETH,7,,\n"
    assert read(content) == {"BTC": (D("2.5"), day_before), "ETH": (D(7), EIGHT)}


def test_without_a_date_the_file_itself_gives_the_age() -> None:
    assert read('{"BTC": "2.5"}', changed_ms=EIGHT - 5_000) == {"BTC": (D("2.5"), EIGHT - 5_000)}


def test_none_left_is_written_as_zero() -> None:
    assert read('{"BTC": 0, "ETH": "1"}')["BTC"] == (D(0), EIGHT)
    with pytest.raises(FileMalformedError, match=r"no row for BTC; none left is written as an amount of 0"):
        read('{"ETH": "1"}')
    with pytest.raises(FileMalformedError, match=r'no row for BTC \(did you mean "btc"\?\)'):
        read('{"btc": "1"}')


def test_a_debt_has_to_be_meant() -> None:
    with pytest.raises(FileMalformedError, match="borrowed = true"):
        read('{"BTC": "-0.5"}')
    assert read('{"BTC": "-0.5"}', borrowed=True)["BTC"][0] == D("-0.5")


@pytest.mark.parametrize("as_of", ["2026-11-20T08:07:00Z", "2027-01-01", "2026-11-22"])
def test_a_time_to_come_is_refused(as_of: str) -> None:
    with pytest.raises(FileMalformedError, match="from now"):
        read(f'{{"as_of": "{as_of}", "BTC": "1"}}')
    with pytest.raises(FileMalformedError, match="from now"):
        read('{"BTC": "1"}', changed_ms=NOW + 3_600_001)


@pytest.mark.parametrize("as_of", ["2026-11-20T08:05:00Z", "2026-11-21", "2026-11-20"])
def test_clocks_a_little_apart_and_the_day_that_has_begun_elsewhere_are_not(as_of: str) -> None:
    assert read(f'{{"as_of": "{as_of}", "BTC": "1"}}')["BTC"][0] == D(1)
