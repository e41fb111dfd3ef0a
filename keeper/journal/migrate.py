"""Brings a journal's tables to this version of keeper, or refuses it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from keeper.errors import ConfigError, UnsafeError
from keeper.journal.schema import HEAD, VERSION_TABLE, metadata

SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, journal: str) -> None:
    """Create or migrate the tables inside the caller's transaction.

    Raises :class:`UnsafeError` for the journal of a newer keeper and :class:`ConfigError` for what is no journal.
    """
    # Alembic takes a fifth of a second to import, so it is loaded only when there is something to do.
    if version_of(connection, journal) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def version_of(connection: Connection, journal: str) -> str | None:
    """The version of the tables, None when there are none yet; refuses as :func:`upgrade` does."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        # A server's database may be shared with other programs; a file may not.
        foreign = tables if connection.dialect.name == "sqlite" else tables & set(metadata.tables)
        if foreign:
            raise ConfigError(
                f"[journal] url: {journal} holds the tables of another program "
                f"({', '.join(sorted(foreign)[:3])}); give keeper a journal of its own"
            )
        return None
    # The name is a constant of this program.
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    if version is None:
        return None
    if str(version) > HEAD:
        raise UnsafeError(
            f"journal {journal} was written by a newer keeper (its version is {version}, this keeper knows {HEAD}); "
            "install that keeper again, or give this one a journal of its own"
        )
    return str(version)
