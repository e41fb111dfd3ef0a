"""A second keeper on the same journal or key does not start (F29); one that was killed leaves nothing in the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from keeper.errors import ConfigError, UnsafeError
from keeper.locks import Lock, fingerprint, lock_journal, lock_key, state_directory
from tests.journal.story import url_of
from tests.journal.test_durability import child, kill

KEY = "AKIA-very-secret-key-0123456789"

HOLDS_BOTH = """
import signal, sys
from pathlib import Path
from keeper.locks import lock_journal, lock_key
held = [
    lock_journal(sys.argv[1]),
    lock_key("bybit", sys.argv[2], journal_url=sys.argv[1], state_dir=Path(sys.argv[3])),
]
print("ready", flush=True)
signal.pause()
"""


def key_lock(directory: Path, journal: str = "sqlite:///other.db", exchange: str = "bybit", key: str = KEY) -> Lock:
    return lock_key(exchange, key, journal_url=journal, state_dir=directory / "state")


async def test_a_second_keeper_is_refused_and_told_who_was_first(tmp_path: Path) -> None:
    first = await child(HOLDS_BOTH, url_of(tmp_path), KEY, str(tmp_path / "state"))
    with pytest.raises(
        UnsafeError, match=rf"another keeper \(pid {first.pid}, journal .*keeper.db\) holds the journal"
    ):
        lock_journal(url_of(tmp_path))
    with pytest.raises(UnsafeError, match=rf"pid {first.pid}, journal .*keeper.db\) holds this API key of bybit") as no:
        key_lock(tmp_path)
    assert no.value.exit_code == 4
    assert KEY not in str(no.value)

    # Another key, another venue and another journal are free.
    for lock in (key_lock(tmp_path, key="other"), key_lock(tmp_path, exchange="okx")):
        lock.release()
    lock_journal(f"sqlite:///{tmp_path}/other.db").release()

    await kill(first)
    with lock_journal(url_of(tmp_path)), key_lock(tmp_path):
        pass


def test_two_names_of_one_file_are_one_journal(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with (
        lock_journal(url_of(tmp_path / "real")),
        pytest.raises(UnsafeError, match=f"pid {os.getpid()}"),
    ):
        lock_journal(url_of(tmp_path / "link"))


def test_a_lock_that_was_let_go_is_free_and_its_file_stays(tmp_path: Path) -> None:
    lock = lock_journal(url_of(tmp_path))
    lock.release()
    lock.release()
    assert lock.path == tmp_path / "keeper.db.lock"
    assert lock.path.exists()
    lock_journal(url_of(tmp_path)).release()


def test_a_journal_on_a_server_is_locked_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.journal.url.find_spec", lambda _name: object())
    with lock_journal("postgresql://keeper:one@db/keeper", state_dir=tmp_path):
        with pytest.raises(UnsafeError, match="holds the journal postgresql"):
            lock_journal("postgresql+asyncpg://keeper:two@db/keeper", state_dir=tmp_path)
        lock_journal("postgresql://keeper:one@db/other", state_dir=tmp_path).release()


def test_nothing_in_the_state_directory_tells_the_key(tmp_path: Path) -> None:
    with key_lock(tmp_path) as lock:
        for path in (tmp_path / "state").iterdir():
            assert KEY not in path.name
            assert KEY.encode() not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert sorted(path.name for path in lock.path.parent.iterdir()) == sorted([lock.path.name, "salt"])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_fingerprint_is_this_users_own(tmp_path: Path) -> None:
    mine, yours = tmp_path / "mine", tmp_path / "yours"
    assert fingerprint("bybit", KEY, state_dir=mine) == fingerprint("bybit", KEY, state_dir=mine)
    assert fingerprint("bybit", KEY, state_dir=mine) != fingerprint("bybit", KEY, state_dir=yours)
    assert fingerprint("bybit", KEY, state_dir=mine) != fingerprint("okx", KEY, state_dir=mine)


def test_a_lock_without_a_note_still_refuses(tmp_path: Path) -> None:
    with lock_journal(url_of(tmp_path)) as lock:
        lock.path.write_bytes(b'{"pid"')
        with pytest.raises(UnsafeError, match="its pid is not known yet"):
            lock_journal(url_of(tmp_path))


def test_a_lock_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere does not exist; create it first"):
        lock_journal(f"sqlite:///{tmp_path}/nowhere/keeper.db")
    (tmp_path / "keeper.db.lock").mkdir()
    with pytest.raises(UnsafeError, match="cannot be locked"):
        lock_journal(url_of(tmp_path))
    (tmp_path / "state").write_text("a file where a directory belongs")
    with pytest.raises(UnsafeError, match="set XDG_STATE_HOME"):
        key_lock(tmp_path)


def test_locks_live_where_the_standard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory() == tmp_path / "keeper" / "locks"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory() == tmp_path / ".local" / "state" / "keeper" / "locks"
