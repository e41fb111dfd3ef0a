"""A small valid configuration, and ways to change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from keeper.config import Config, parse_config
from keeper.errors import ConfigError

API_KEY = "planted-key-4711"
API_SECRET = "planted-secret-0815"
CREDENTIALS = {"KEEPER_VENUES__MAIN__API_KEY": API_KEY, "KEEPER_VENUES__MAIN__API_SECRET": API_SECRET}

HEAD = 'mode = "dry-run"\n'
VENUE = '[venues.main]\nexchange = "somewhere"\n'
HEDGE = """\
[[hedges]]
name = "btc"
asset = "BTC"
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "0.6"
"""
SMALL = HEAD + VENUE + HEDGE


def parse(content: str, environ: Mapping[str, str] = CREDENTIALS, base: Path = Path("/nowhere")) -> Config:
    """What the loader makes of ``content``."""
    return parse_config(content, "keeper.toml", base / "keeper.toml", environ)


def refusal(content: str, environ: Mapping[str, str] = CREDENTIALS, base: Path = Path("/nowhere")) -> str:
    """The text with which the loader refuses ``content``."""
    with pytest.raises(ConfigError) as caught:
        parse(content, environ, base)
    text = str(caught.value)
    assert "Traceback" not in text
    assert API_KEY not in text
    assert API_SECRET not in text
    return text
