"""The example documents every key and no other; what ``keeper init`` writes can be used as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from keeper.commands.init import template
from keeper.config import Config, HedgeConfig, Mode, VenueConfig
from keeper.config.client_options import ALLOWED
from keeper.config.problems import is_credential
from tests.config.support import CREDENTIALS, parse

EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")
ENVIRON = CREDENTIALS | {
    "KEEPER_VENUES__MAIN__PASSWORD": "planted-pass",
    "KEEPER_VENUES__SECOND__API_KEY": "second-key",
    "KEEPER_VENUES__SECOND__API_SECRET": "second-secret",
}


def test_the_example_parses_without_a_warning() -> None:
    config = parse(EXAMPLE, ENVIRON)
    assert config.warnings == ()
    assert [hedge.name for hedge in config.hedges] == ["btc", "sol", "majors", "vault", "quarter"]


def _keys(model: type[BaseModel], prefix: str) -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if is_credential(model, name):
            continue
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= _keys(annotation, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def _written(table: dict[str, Any], known: set[str], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        key = prefix + name
        below = isinstance(value, dict) and any(other.startswith(f"{key}.") for other in known)
        found |= _written(value, known, f"{key}.") if below else {key}
    return found


def test_every_key_of_the_models_is_in_the_example_and_no_other() -> None:
    document = tomllib.loads(EXAMPLE)
    venues, hedges = document.pop("venues"), document.pop("hedges")
    top = _keys(Config, "") - {"venues", "hedges"}
    assert _written(document, top) == top
    venue_keys, hedge_keys = _keys(VenueConfig, ""), _keys(HedgeConfig, "")
    assert set().union(*(_written(venue, venue_keys) for venue in venues.values())) == venue_keys
    assert set().union(*(_written(hedge, hedge_keys) for hedge in hedges)) == hedge_keys


@pytest.mark.parametrize("key", ALLOWED)
def test_every_client_key_is_mentioned(key: str) -> None:
    assert key in EXAMPLE or "_" in key


def test_the_defaults_that_the_example_states_are_the_defaults() -> None:
    stated = parse(EXAMPLE, ENVIRON)
    for section in ("loop", "safety", "margin", "journal", "log", "alerts"):
        model = getattr(stated, section)
        assert model == type(model)(), section
    assert stated.limits.max_order_notional == type(stated.limits)().max_order_notional
    assert stated.hedges[0].max_slippage == stated.hedges[1].max_slippage
    assert stated.hedges[0].unlisted == stated.hedges[1].unlisted
    assert stated.hedges[0].band.to_core() == stated.hedges[1].band.to_core()


def test_what_init_writes_looks_and_sends_nothing() -> None:
    config = parse(template())
    assert config.mode is Mode.DRY_RUN
    assert config.warnings == ()
