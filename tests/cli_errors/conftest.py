"""What every row needs: state of its own, logs put back as they were, and commands that are put together once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import lru_cache

import pytest
from typer.main import get_command

from tests.cli_errors.support import state

__all__ = ["state"]


@pytest.fixture(scope="package", autouse=True)
def _commands_once() -> Iterator[None]:
    """The test runner puts the whole command line together for each command: half of the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", lru_cache(get_command))
        yield


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up the logs of its process; here that process goes on."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    threading.excepthook = hook
