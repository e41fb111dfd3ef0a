"""The account's file: whole changes or none, also for somebody who only looks at what a crash has left."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.venue.paper.account import Account
from keeper.venue.paper.store import Store
from keeper.venue.paper.terms import PaperError

D = Decimal


def begun(path: Path) -> Account:
    account = Account("main", Store.open(path, durable=True), "inverse")
    with account.change():
        account.begin({"": {"BTC": D("5.50")}}, [], 7)
    return account


def test_amounts_come_back_digit_for_digit_and_a_crash_before_the_end_of_a_change_leaves_what_was_before(
    tmp_path: Path,
) -> None:
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    left.mkdir()
    account = begun(live / "a.db")
    store = account._store
    store._connection.execute("PRAGMA cache_size = 1")  # so that half of the change is in the file already
    with account.change():
        for number in range(3000):
            store.put("facts", name=f"filling {number}", value="x" * 200)
        account._pay("", "BTC", D(-3))
        for part in live.iterdir():
            shutil.copy(part, left / part.name)  # what a power cut at this moment would leave
    assert account.wallet("") == {"BTC": D("2.50")}
    assert (left / "a.db-journal").stat().st_size > 0
    before = {part.name: part.read_bytes() for part in left.iterdir()}
    looked = Account("main", Store.open(left / "a.db", durable=False), "inverse")
    assert str(looked.wallet("")["BTC"]) == "5.50"
    assert {part.name: part.read_bytes() for part in left.iterdir()} == before, "whoever looks changes nothing"
    again = Account("main", Store.open(left / "a.db", durable=True), "inverse")
    assert str(again.wallet("")["BTC"]) == "5.50"


def test_a_file_that_is_no_account_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is no database, and long enough to be taken for one " * 50)
    for durable in (True, False):
        with pytest.raises(PaperError, match=r"a\.db"):
            Store.open(tmp_path / "a.db", durable=durable)


def test_whoever_looks_before_there_is_an_account_makes_no_file(tmp_path: Path) -> None:
    Store.open(tmp_path / "a.db", durable=False).close()
    assert not any(tmp_path.iterdir())


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    begun(tmp_path / "a.db")
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0
