"""Finding credentials: the environment first, then the files that the configuration names (systemd credentials).

A credential's text appears in no message, and neither does what was written as a file name: people paste keys there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keeper.config.environment import CREDENTIALS, DELIMITER, PREFIX
from keeper.config.problems import Problems

_MAX_BYTES = 64 * 1024
_PEM = "-----BEGIN "
STAND_IN = "-"
"""Takes the place of a credential whose absence has been noted, so that the other keys are still checked."""


def refuse_in_file(document: Mapping[str, Any], problems: Problems) -> None:
    """Note every credential that is written in the file itself, and take it out of the document."""
    venues = document.get("venues")
    for venue, table in venues.items() if isinstance(venues, dict) else ():
        if not isinstance(table, dict):
            continue
        for key in list(table):
            credential = credential_meant(str(key))
            if credential is None:
                continue
            del table[key]
            problems.add(
                ("venues", str(venue), str(key)),
                "is a credential, and this file is no place for one; remove it here and give it as "
                f'{credential}_file = "FILE" or in the environment variable {variable_of(str(venue), credential)}',
            )


def resolve(document: Mapping[str, Any], base: Path, environ: Mapping[str, str], problems: Problems) -> tuple[str, ...]:
    """Put each venue's credentials into ``document``; returns warnings about files that others can read."""
    warnings: list[str] = []
    venues = document.get("venues")
    for venue, table in venues.items() if isinstance(venues, dict) else ():
        if not isinstance(table, dict):
            continue
        for credential in CREDENTIALS:
            path = ("venues", str(venue), f"{credential}_file")
            text = table.get(credential)
            if text is None and isinstance(table.get(path[2]), str):
                text = _from_file(table[path[2]], base, environ, path, problems, warnings)
            elif text is None and credential != "password":
                variable = variable_of(str(venue), credential)
                if path[2] not in table and not _asks_nothing(document, table):
                    problems.add(
                        ("venues", str(venue), credential),
                        f'is missing; set the environment variable {variable}, or {path[2]} = "FILE" in this table',
                    )
                text = STAND_IN
            if text is not None:
                table[credential] = _checked(text, (*path[:2], credential), problems)
    return tuple(warnings)


def _asks_nothing(document: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    """Whether the venue is asked for public data alone: its account is one of paper that the file itself begins."""
    paper = table.get("paper")
    return document.get("mode") == "paper" and isinstance(paper, dict) and paper.get("seed") is None


def variable_of(venue: str, credential: str) -> str:
    """The environment variable that holds a credential of a venue."""
    return DELIMITER.join((f"{PREFIX}VENUES", venue.upper().replace("-", "_"), credential.upper()))


def credential_meant(key: str) -> str | None:
    """Which credential a key is meant to be, however it is written; None for any other key."""
    name = key.replace("_", "").replace("-", "").lower()
    meanings = {
        "apikey": "api_key",
        "key": "api_key",
        "apisecret": "api_secret",
        "secret": "api_secret",
        "secretkey": "api_secret",
        "privatekey": "api_secret",
        "password": "password",
        "passphrase": "password",
    }
    return meanings.get(name)


def _checked(text: object, path: tuple[str, ...], problems: Problems) -> str:
    """One word, or a PEM block; anything else is a slip of the hand."""
    if not isinstance(text, str) or not text.strip():
        problems.add(path, "is empty; give the credential alone, on one line")
        return STAND_IN
    text = text.strip()
    if not text.startswith(_PEM) and (not text.isprintable() or any(c.isspace() for c in text)):
        problems.add(path, "holds blanks or line breaks; give the credential alone, on one line")
    return text


def _from_file(
    name: str, base: Path, environ: Mapping[str, str], path: tuple[str, ...], problems: Problems, warnings: list[str]
) -> str:
    credentials_directory = environ.get("CREDENTIALS_DIRECTORY", "")
    try:
        file = _locate(name, base, credentials_directory)
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            problems.add(path, "names something that is not a plain file; name the file that holds the credential")
            return STAND_IN
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            problems.add(path, "names a file that is too large to hold a credential alone")
            return STAND_IN
        text = content.decode("utf-8-sig")
    except (OSError, RuntimeError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not readable as text"
        searched = " and ".join(filter(None, (credentials_directory and "$CREDENTIALS_DIRECTORY", str(base))))
        problems.add(
            path,
            f"names a file that cannot be read ({why}; looked in {searched}); give a path that this "
            "user can read, relative to the config file or absolute",
        )
        return STAND_IN
    if mode & stat.S_IROTH:
        warnings.append(f"{'.'.join(path)}: the file can be read by every user of this machine; chmod 600 it")
    return text


def _locate(name: str, base: Path, credentials_directory: str) -> Path:
    for spelling in ("${CREDENTIALS_DIRECTORY}", "$CREDENTIALS_DIRECTORY", "%d"):
        if name.startswith(spelling + "/"):
            name = name.removeprefix(spelling + "/")
            return Path(credentials_directory) / name if credentials_directory else base / name
    given = Path(name).expanduser()
    in_credentials = Path(credentials_directory) / given
    return in_credentials if credentials_directory and in_credentials.is_file() else base / given
