"""Planted secrets, through every door that leads to standard error."""

from __future__ import annotations

import base64
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog

from keeper import logs

SECRETS = ("planted-secret-0815", 'od"d\\se/cr+et =é', "AAtokentoken")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in logs.PINNED}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    threading.excepthook = hook
    logging.captureWarnings(False)
    structlog.reset_defaults()


def seen(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    for secret in SECRETS:
        for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            assert form not in err
    return err


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_door_lets_a_secret_out(capsys: pytest.CaptureFixture[str], form: str, secret: str) -> None:
    logs.configure("debug", form, SECRETS)
    # pytest's own handler raises for a record that cannot be formatted, before ours is asked.
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, logs._Handler)]
    ours, theirs = structlog.get_logger("keeper.test"), logging.getLogger("some.library")
    ours.info(f"message {secret}")
    ours.info("argument %s", secret)
    ours.info("context", text=secret, raw=secret.encode(), deep={"list": [secret, {secret: 1}]}, pair=(secret,))
    ours.info("url", url=f"https://host/path?key={quote(secret, safe='')}&again={quote_plus(secret)}")
    ours.info("basic", header=base64.b64encode(secret.encode()).decode())
    ours.bind(bound=secret).warning("bound")
    theirs.info("argument %s", secret)
    theirs.warning("mapping %(key)s", {"key": secret})
    theirs.info("extra", extra={"key": secret})
    theirs.info("bytes %s %r", secret.encode(), secret.encode())
    theirs.info("%d", secret)
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            error.add_note(f"note {secret}")
            raise RuntimeError(f"outer {secret}") from error
    except RuntimeError:
        ours.exception("failed")
        theirs.exception("failed")
    thread = threading.Thread(target=_raise, args=(secret,), name=secret)
    thread.start()
    thread.join()
    text = seen(capsys)
    assert text.count("***") >= 15
    assert "could not be written" in text
    assert "a thread died" in text


def _raise(text: str) -> None:
    raise OSError(text)


def test_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", SECRETS)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"careful with {SECRETS[0]}", stacklevel=1)
        text = seen(capsys)
        logging.captureWarnings(False)
    assert "careful with ***" in text


@pytest.mark.parametrize("name", ["ccxt.base.exchange", "aiohttp.client", "urllib3", "websockets.client", "asyncio"])
def test_libraries_that_print_requests_stay_at_warning(capsys: pytest.CaptureFixture[str], name: str) -> None:
    logs.configure("debug", "json", ())
    library = logging.getLogger(name)
    library.debug("quiet")
    library.setLevel(logging.DEBUG)
    library.debug("quiet, whatever it sets itself")
    library.info("quiet too")
    library.warning("said")
    library.setLevel(logging.NOTSET)
    text = seen(capsys)
    assert "quiet" not in text
    assert "said" in text


def test_machines_get_one_json_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "auto", ())
    logger = structlog.get_logger("keeper.test")
    logger.info("traded\nnot two lines", hedge="btc", contracts=3)
    logger.debug("below the level")
    try:
        raise ValueError("x")
    except ValueError:
        logger.exception("failed")
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["traded\nnot two lines", "failed"]
    assert lines[0]["hedge"] == "btc"
    assert lines[0]["level"] == "info"
    assert lines[0]["logger"] == "keeper.test"
    assert "ValueError: x" in lines[1]["exception"]


def test_configuring_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", ())
    logs.configure("info", "json", ())
    structlog.get_logger("keeper.test").info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_secret_learnt_later_is_hidden_from_then_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console", ())
    logs.hide("later-token-1234")
    structlog.get_logger("keeper.test").info("token later-token-1234")
    text = capsys.readouterr().err
    assert "***" in text
    assert "later-token" not in text
    assert "\x1b" not in text


def test_tiny_texts_are_not_masked() -> None:
    logs.hide("", "ab")
    assert logs.redact("absolutely about") == "absolutely about"
