"""``keeper target``: see, set, move or give back the target of a hedge that a running keeper holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from keeper.api.client import hedge_path
from keeper.api.operations import UnknownHedgeError
from keeper.api.wishes import wish_of
from keeper.commands.status import keeper_of, print_json, show
from keeper.core.steering import TargetError
from keeper.errors import ConfigError, KeeperError
from keeper.report import rounded

DECIMALS = 8
"""As many as an eye reads; ``--json`` has all of them."""


@dataclass(frozen=True, slots=True)
class TargetFlags:
    """The flags as they were typed; those that were not are None."""

    ratio: str | None = None
    quantity: str | None = None
    notional: str | None = None
    add: str | None = None
    scale: str | None = None
    configured: bool = False
    over: str | None = None
    steps: str | None = None

    def words(self) -> dict[str, str]:
        """The words that were given, as the route takes them."""
        given = {
            name: getattr(self, name) for name in ("ratio", "quantity", "notional", "add", "scale", "over", "steps")
        }
        words = {name: word for name, word in given.items() if word is not None}
        return {**words, "configured": "true"} if self.configured else words


def target(config_path: Path, hedge: str, flags: TargetFlags, as_json: bool) -> None:
    """Tell a running keeper, or, without a flag, print where the target is.

    Raises :class:`ConfigError` for flags that make no sense, :class:`KeeperError` where no keeper listens, where it
    refuses the token, or where it cannot take the target.
    """
    words = flags.words()
    if words:
        try:
            wish_of(words)
        except TargetError as error:
            raise ConfigError(f"keeper target: {error}; for example: keeper target btc --ratio 0.3 --over 6h") from None
    path = hedge_path(hedge, "target")  # what no hedge is called is wrong where no keeper runs, too
    keeper = keeper_of(config_path)
    document = keeper.post(f"{path}?{urlencode(words)}") if words else _standing(keeper.get("/api/v1/state"), hedge)
    if as_json:
        print_json(document)
    else:
        show(*_lines(document))


def _standing(state: Mapping[str, Any], hedge: str) -> dict[str, Any]:
    """The part of the state that is about one hedge's target."""
    keys = ("target", "target_set_by", "configured_target", "transition", "paused", "flattened", "halted")
    for each in state["hedges"]:
        if each["name"] == hedge:
            return {"hedge": hedge, **{key: each[key] for key in keys}}
    if not state["hedges"]:
        raise KeeperError("the running keeper has completed no cycle yet, so it has no figures; ask again soon")
    raise UnknownHedgeError(hedge, [each["name"] for each in state["hedges"]])


def _lines(document: Mapping[str, Any]) -> list[Any]:
    from rich.text import Text

    name, course = document["hedge"], document["transition"]
    configured = _spoken(document["configured_target"])
    lines = [Text(f"{name}: target {_spoken(document['target'])}, set by the {document['target_set_by']}")]
    if course is not None:
        steps = "" if course["steps"] is None else f" in {course['steps']} steps"
        text = f"  moved from {_spoken(course['from'])} to {_spoken(course['to'])}{steps}, there at {course['ends_at']}"
        lines.append(Text(text))
    if document["target_set_by"] == "operator":
        back = f"keeper target {name} --configured"
        lines.append(Text(f"  the configuration's {configured} does not count until: {back}", style="dim"))
    held = [word for word in ("paused", "flattened", "halted") if document[word]]
    if held:
        lines.append(Text(f"  {' and '.join(held)}: it follows once it is resumed", style="yellow"))
    return lines


def _spoken(target: Mapping[str, str] | None) -> str:
    return "not known yet" if target is None else f"{target['kind']} {rounded(target['value'], DECIMALS)}"
