"""What the pages say is so: links, flags, codes, routes, defaults, and the configuration that a newcomer copies."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.routing import APIRoute

from keeper.alerts import rules
from keeper.api.app import build_app
from keeper.chores import Times
from keeper.cli import app
from keeper.config import Mode, parse_config
from keeper.config.models import BandConfig, HedgeConfig, LimitsConfig, LoopConfig, SafetyConfig
from keeper.errors import ConfigError, KeeperError, UnsafeError, VenueStartError
from keeper.wiring import open_house
from tests.e2e.grounds import config_text, environment, hedge_toml, other_ground, own_ground, venue_toml
from tests.e2e.test_golden import settle

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "deploy" / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CREDENTIALS = {"KEEPER_VENUES__MAIN__API_KEY": "a-key", "KEEPER_VENUES__MAIN__API_SECRET": "a-secret"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def section(title: str) -> str:
    """A chapter of the reference, up to the next of its level."""
    _, found, rest = REFERENCE.partition(f"\n## {title}\n")
    assert found, f"the reference has no chapter {title}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the tables in a text, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {number - 1 for number, row in enumerate(cells) if set("".join(row)) == {"-"}}
    return [row for number, row in enumerate(cells) if number not in heads and number - 1 not in heads]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# -- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        aim = (page.parent / file).resolve() if file else page
        if not aim.exists() or (anchor and anchor not in anchors(aim.read_text(encoding="utf-8"))):
            dead.append(target)
    assert not dead


def test_every_decision_is_numbered_and_has_its_three_parts() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], record


# -- commands --------------------------------------------------------------------------------------------------------


@cache
def flags() -> dict[str, dict[str, str]]:
    """Of each command: every spelling of a flag, and its long form."""
    group: Any = typer.main.get_command(app)
    found: dict[str, dict[str, str]] = {}
    for command, body in group.commands.items():
        options = [param.opts for param in body.params if param.opts[0].startswith("-")]
        found[command] = {spelling: max(opts, key=len) for opts in options for spelling in opts}
    return found


def test_the_reference_has_every_command_with_every_flag_and_no_other() -> None:
    documented = {
        re.findall(r"`keeper (\w+)", row[0])[0]: set(re.findall(r"`(--[\w-]+)`", row[1]))
        for row in rows(section("Commands"))
    }
    assert documented == {command: set(known.values()) for command, known in flags().items()}


def spoken_commands(text: str) -> Iterator[list[str]]:
    """Each `keeper …` that a page tells people to type."""
    typed = re.findall(r"`(keeper [^`\n]+)`", text)
    for block in (*blocks(text, "bash"), *blocks(text, "console"), *blocks(text, "ini")):
        typed += re.findall(r"(?:^|^\$ |bin/|&& )(keeper [a-z][^\n|#&;]*)", block, re.MULTILINE)
    for line in typed:
        words = shlex.split(re.sub(r"[·…\[\]]", " ", line).replace("'", ""))
        if len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
            yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_people_are_told_to_type_exists(page: Path) -> None:
    for command, *words in spoken_commands(page.read_text(encoding="utf-8")):
        assert command in flags(), f"keeper {command}"
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - {"--help"}
        assert used <= set(flags()[command]), f"keeper {command} {used}"


def test_the_commands_of_the_pages_are_found_at_all() -> None:
    found = {words[0] for page in PAGES for words in spoken_commands(page.read_text(encoding="utf-8"))}
    assert found >= {"demo", "check", "plan", "run", "status", "history", "sim", "size", "init"}


def test_exit_codes() -> None:
    documented = {int(row[0]) for row in rows(section("Exit codes"))}
    assert documented == {0, 130} | {
        kind.exit_code for kind in (KeeperError, ConfigError, VenueStartError, UnsafeError)
    }


# -- codes -----------------------------------------------------------------------------------------------------------


def codes_in(path: Path) -> Iterator[str]:
    """Codes of reasons and gaps that a module can give, and those that its venue errors carry into a gap."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Reason", "Gap"):
            place = 0 if node.func.id == "Reason" else 1
            code = node.args[place] if len(node.args) > place else None
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            for line in node.body:
                if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
                    named = [target.id for target in line.targets if isinstance(target, ast.Name)]
                    if named == ["code"] and isinstance(line.value.value, str):
                        yield line.value.value


def test_every_reason_of_the_program_is_explained_and_no_other() -> None:
    rooms = [path for path in (ROOT / "keeper").rglob("*.py") if path.parts[len(ROOT.parts) + 1] not in ("sim", "demo")]
    given = {code for path in rooms for code in codes_in(path)}
    documented = [code for row in rows(section("Reasons")) for code in re.findall(r"^`(\w+)`$", row[0])]
    assert len(documented) == len(set(documented))
    assert set(documented) == given


def test_every_kind_of_alert_is_explained() -> None:
    source = Path(rules.__file__).read_text(encoding="utf-8")
    kinds = set(re.findall(r'_alert\(\s*f?"([a-z]+)', source))
    documented = {match for row in rows(section("Alerts")) for match in re.findall(r"`HEDGE/([a-z]+)", row[0])}
    assert documented == kinds


def test_every_route_is_in_the_reference_and_no_other() -> None:
    operations: Any = None  # no route is called here
    built = {
        f"{method} {route.path}"
        for route in build_app(operations, "a-token-of-enough-length").routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        if method != "HEAD"
    }
    documented = {
        match for row in rows(section("The API")) for match in re.findall(r"^`((?:GET|POST) [^`]+)`$", row[0])
    }
    assert documented == built


# -- configuration ---------------------------------------------------------------------------------------------------


def test_the_first_configuration_is_accepted_as_it_is_printed() -> None:
    [text] = blocks(README, "toml")
    config = parse_config(text, "README.md", ROOT / "keeper.toml", CREDENTIALS)
    assert config.mode is Mode.DRY_RUN
    assert not config.warnings


def test_the_configuration_for_systemd_is_accepted_beside_a_hedge() -> None:
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    [text] = blocks(page, "toml")
    hedge = '[[hedges]]\nname = "btc"\nasset = "BTC"\nspot = ["main"]\ninstrument = "main:BTC/USDT:USDT"\nratio = 1\n'
    config = parse_config(f'mode = "dry-run"\n{text}\n{hedge}', "page", Path("/etc/keeper/keeper.toml"), CREDENTIALS)
    assert config.journal_url == "sqlite:////var/lib/keeper/keeper.db"
    unit = (ROOT / "deploy" / "keeper.service").read_text(encoding="utf-8")
    for file in (config.venues["main"].api_key_file, config.venues["main"].api_secret_file):
        assert f"LoadCredential={file}:" in unit


def test_the_defaults_that_the_pages_state_are_the_defaults() -> None:
    band, fields = BandConfig(), HedgeConfig.model_fields
    for key, value in (("warn", band.warning), ("act", band.act), ("halt", band.halt)):
        assert f"**`{key}`** ({value})" in README
    assert f"`max_slippage` ({fields['max_slippage'].default})" in README
    assert "Every five seconds" in README
    assert LoopConfig().poll_seconds == 5
    assert LimitsConfig().max_short_notional is None
    decisions = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for key in ("unexplained_zero_seconds", "position_lag_seconds"):
        assert f"`safety.{key}` ({getattr(SafetyConfig(), key):g})" in decisions


def test_the_chores_are_done_as_often_as_the_reference_says() -> None:
    times, told = Times(), section("Chores")
    assert [times.settings_seconds, times.markets_seconds, times.funding_seconds] == [300, 3600, 600]
    assert (times.betas_seconds, times.rolls_seconds) == (300, 600)
    often = ["5 minutes", "hour", "10 minutes", "5 minutes", "10 minutes", "day, at 03:10 UTC"]
    assert [row[1] for row in rows(told)] == often
    assert times.pruning_hour_utc == 3
    assert f"older than {times.keep_days} days" in told


def test_the_printed_documents_are_json() -> None:
    [document] = [json.loads(block) for block in blocks(REFERENCE, "json")]
    assert set(document) == {"mode", "taken_at", "hedges"}


async def test_spot_on_one_venue_and_futures_on_another_as_the_readme_says(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as spot, other_ground({"BTC": "1"}) as perps:
        hedge = venue_toml(perps, "perps") + hedge_toml(venue="perps", spot='["main"]')
        credentials = environment(spot) | environment(perps, "perps")
        config = parse_config(config_text(spot, tmp_path, hedge), "page", tmp_path / "keeper.toml", credentials)
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert perps.contracts("BTC/USDT:USDT") == -5, (
                "the coins on the futures venue are not named, so not counted"
            )
            spot.sell("BTC", "2")
            await settle(house.desk)
            assert perps.contracts("BTC/USDT:USDT") == -3
