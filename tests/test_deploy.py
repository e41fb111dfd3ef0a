"""The systemd unit: systemd's own judgement where it is at hand, and what must be in the file everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "deploy" / "keeper.service"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    command = [ANALYZE, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # our own words


def keys(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    # The program is not installed on the machine that runs this, so another one stands in for it.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/keeper/.venv/bin/keeper", "/bin/true"))
    verdict = analyze("verify", "--man=no", str(unit))
    complaints = [line for line in verdict.stderr.splitlines() if UNIT.name in line]
    assert not complaints


@needs_systemd
def test_the_sandbox_is_graded_two_or_better() -> None:
    verdict = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT))
    assert verdict.returncode == 0, verdict.stdout.splitlines()[-1:]


def test_the_sandbox_is_whole() -> None:
    unit = keys(UNIT.read_text())
    expected = {
        "DynamicUser": "yes", "StateDirectoryMode": "0700", "UMask": "0077", "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict", "ProtectHome": "yes",
        "PrivateUsers": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes",
        "DevicePolicy": "closed", "SystemCallArchitectures": "native", "LimitCORE": "0",
    }  # fmt: skip
    assert {key: unit[key] for key in expected} == {key: [value] for key, value in expected.items()}
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_what_a_restart_cannot_mend_is_not_restarted() -> None:
    from keeper.errors import ConfigError, KeeperError, UnsafeError, VenueStartError

    unit = keys(UNIT.read_text())
    [codes] = unit["RestartPreventExitStatus"]
    assert {int(code) for code in codes.split()} == {ConfigError.exit_code, UnsafeError.exit_code}
    assert VenueStartError.exit_code not in map(int, codes.split())
    assert KeeperError.exit_code not in map(int, codes.split())
    assert unit["Restart"] == ["on-failure"]


def test_a_crash_loop_ends_and_a_venue_that_is_down_does_not_end_the_keeper() -> None:
    from keeper.config.models import LoopConfig

    unit = keys(UNIT.read_text())
    window, starts, pause = (int(unit[key][0]) for key in ("StartLimitIntervalSec", "StartLimitBurst", "RestartSec"))
    assert starts * pause < window
    assert starts * (pause + LoopConfig().start_patience_seconds) > window


def test_no_secret_comes_through_the_environment_and_no_money_without_a_word() -> None:
    unit = keys(UNIT.read_text())
    assert not [line for line in unit["Environment"] if re.search("KEY|SECRET|PASSWORD|TOKEN", line, re.IGNORECASE)]
    assert {line.partition(":")[0] for line in unit["LoadCredential"]} == {"main_api_key", "main_api_secret"}
    assert "--live" not in unit["ExecStart"][0]


@needs_systemd
def test_the_second_keeper_of_the_readme_is_a_unit_of_its_own(tmp_path: Path) -> None:
    """The sed line that the page prints, run as it stands."""
    page = (UNIT.parent / "README.md").read_text()
    [command] = re.findall(r"^(sed .*?) \| sudo tee", page, re.MULTILINE | re.DOTALL)
    program = command.replace("/opt/keeper/deploy/keeper.service", str(UNIT))
    shell = ["/bin/sh", "-c", program]
    made = subprocess.run(shell, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603  # our page
    second, first = keys(made), keys(UNIT.read_text())
    for key in ("ExecStart", "StateDirectory", "Environment", "WorkingDirectory", "LoadCredential"):
        assert second[key] != first[key], key
    unit = tmp_path / "keeper-test.service"
    unit.write_text(made)
    assert analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(unit)).returncode == 0
