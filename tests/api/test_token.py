"""The token file: for the keeper's user alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keeper.api.bind import parse_bind, show_bind
from keeper.api.token import ensure_token, read_token, token_path
from keeper.errors import ConfigError, KeeperError, UnsafeError


@pytest.mark.parametrize(
    ("token_file", "journal", "expected"),
    [
        (None, "sqlite:///keeper.db", "/etc/keeper/keeper.token"),
        (None, "sqlite+aiosqlite:////var/lib/k/btc.db", "/var/lib/k/btc.token"),
        (None, "postgresql://keeper:pw@db/keeper", "/etc/keeper/keeper.token"),
        (None, "sqlite:///:memory:", "/etc/keeper/keeper.token"),
        (Path("secret/api"), "sqlite:///keeper.db", "/etc/keeper/secret/api"),
        (Path("/run/api"), "sqlite:///keeper.db", "/run/api"),
    ],
)
def test_the_token_lies_beside_the_journal_unless_the_config_says_where(
    token_file: Path | None, journal: str, expected: str
) -> None:
    assert token_path(token_file, journal, Path("/etc/keeper")) == Path(expected)


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keeper.token"
    token = ensure_token(path)
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_token(path) == read_token(path) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_token_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keeper.token"
    token = ensure_token(path)
    path.chmod(mode)
    with pytest.raises(UnsafeError, match="chmod 600") as refusal:
        ensure_token(path)
    assert token not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "short", "a token with spaces in it", "tök" * 10])
def test_a_file_without_a_token_is_refused_with_the_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keeper.token"
    path.touch(0o600)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KeeperError, match="delete it"):
        read_token(path)


def test_what_is_no_file_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeeperError, match="makes it at its first start"):
        read_token(tmp_path / "none")
    with pytest.raises(KeeperError, match="is not a file"):
        read_token(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeeperError, match="is not a file"):
        read_token(tmp_path / "pipe")
    with pytest.raises(KeeperError, match="could not be made"):
        ensure_token(tmp_path / "none" / "keeper.token")


@pytest.mark.parametrize(
    ("bind", "expected"),
    [("127.0.0.1:8787", ("127.0.0.1", 8787)), ("localhost:0", ("localhost", 0)), ("[::1]:1", ("::1", 1))],
)
def test_a_loopback_address_is_understood(bind: str, expected: tuple[str, int]) -> None:
    assert parse_bind(bind) == expected
    assert show_bind(*expected) == bind


@pytest.mark.parametrize(
    "bind", ["0.0.0.0:8787", "[::]:8787", "192.168.1.5:80", "example.com:80", ":8787", "[fe80::1]:1"]
)
def test_any_other_address_is_unsafe(bind: str) -> None:
    with pytest.raises(UnsafeError, match="not a loopback address"):
        parse_bind(bind)


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "::1:8787"])
def test_an_address_that_cannot_be_read_is_told(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"\[api\] bind"):
        parse_bind(bind)
