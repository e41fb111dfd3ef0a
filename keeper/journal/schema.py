"""The journal's tables.

Every amount is a :class:`StrictDecimal`, every time is in milliseconds since the epoch, every figure that was not known
is NULL and never zero. Changes here need a new file in ``migrations/versions`` and a new :data:`HEAD`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

HEAD = "0003"
"""The migration that makes a journal equal to these tables."""

VERSION_TABLE = "journal_version"
"""Of our own, so that a journal can share a PostgreSQL database with other programs that use Alembic."""


class StrictDecimal(TypeDecorator[Decimal]):
    """An exact decimal, kept as its text: SQLite's own numbers are floats, and money never passes through one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy calls it so
        """The text of a finite Decimal; raises TypeError for anything else, above all for a float."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"{value!r} is not a finite Decimal")
        return str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """The Decimal that was written, digit for digit."""
        return None if value is None else Decimal(value)


# SQLite counts ids only in a column that is declared INTEGER; PostgreSQL needs the wider type.
_Id = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tag", String(6), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("remembered_at_ms", BigInteger),
    CheckConstraint("id = 1", name="one_row"),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("mode", Text, nullable=False),
    Column("config_digest", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

intents = Table(
    "intents",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("client_id", Text, nullable=False, unique=True),
    Column("run", ForeignKey("runs.number"), nullable=False),
    Column("cycle", BigInteger, nullable=False),
    Column("hedge", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("contracts", StrictDecimal, nullable=False),
    Column("amount_base", StrictDecimal, nullable=False),
    Column("notional", StrictDecimal, nullable=False),
    Column("price", StrictDecimal, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_in_force", Text, nullable=False),
    Column("style", Text, nullable=False, server_default="market"),
    Column("arrival_mid", StrictDecimal),
    Column("expected_slippage", StrictDecimal),
    Column("position_before", StrictDecimal, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    # What is known now; how it became known is in ``outcomes``.
    Column("state", Text, nullable=False),
    Column("filled", StrictDecimal, nullable=False),
    Column("average_price", StrictDecimal),
    Column("venue_order_id", Text),
    Column("text", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("not_found", Integer, nullable=False),
    Column("not_found_since_ms", BigInteger),
    Index(None, "state"),
    Index(None, "created_at_ms"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("client_id", ForeignKey("intents.client_id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("filled", StrictDecimal, nullable=False),
    Column("average_price", StrictDecimal),
    Column("venue_order_id", Text),
    Column("text", Text, nullable=False),
    Index(None, "client_id"),
)

fills = Table(
    "fills",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("trade_id", Text, nullable=False),
    Column("venue_order_id", Text),
    Column("client_id", Text),
    Column("side", Text, nullable=False),
    Column("contracts", StrictDecimal, nullable=False),
    Column("price", StrictDecimal, nullable=False),
    Column("fee", StrictDecimal),
    Column("fee_asset", Text),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("venue", "symbol", "trade_id"),
    Index(None, "at_ms"),
)

funding = Table(
    "funding",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("amount", StrictDecimal, nullable=False),
    Column("asset", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("venue", "symbol", "entry_id"),
    Index(None, "at_ms"),
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.number"), nullable=False),
    Column("cycle", BigInteger, nullable=False),
    Column("taken_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False),
    # Every hedge was held: nothing was sent, and the cycle may be pruned when it is old.
    Column("is_hold", Boolean, nullable=False),
    # The whole snapshot; NULL in a hold like the one before it.
    Column("snapshot", Text),
    UniqueConstraint("run", "cycle"),
    Index(None, "ended_at_ms"),
)

FIGURES = (
    "spot_base",
    "collateral_base",
    "exposure_base",
    "futures_base",
    "hedge_ratio",
    "target_ratio",
    "target_base",
    "drift_base",
    "drift_ratio",
    "drift_notional",
    "net_delta_base",
    "equity_base",
)
"""The figures of an :class:`~keeper.core.model.Exposure` that are kept for every cycle, by their own names."""

hedge_cycles = Table(
    "hedge_cycles",
    metadata,
    Column("cycle_id", ForeignKey("cycles.id", ondelete="CASCADE"), primary_key=True),
    Column("hedge", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    *(Column(name, StrictDecimal) for name in FIGURES),
    Column("mark", StrictDecimal),
    Column("contracts", StrictDecimal),
    Column("residual_base", StrictDecimal),
    # The whole HedgeCycle, plan and outcomes included; NULL in a hold like the one before it.
    Column("detail", Text),
)

memories = Table(
    "memories",
    metadata,
    Column("hedge", Text, primary_key=True),
    Column("memory", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # The hedge, or the account, that it is about.
    Column("subject", Text, nullable=False),
    # A JSON object; decimals are strings in it.
    Column("detail", Text, nullable=False),
    Index(None, "kind", "subject"),
)

back_offs = Table(
    "back_offs",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)

remembered_holdings = Table(
    "remembered_holdings",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("wallet", Text, primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("amount_base", StrictDecimal, nullable=False),
)

remembered_positions = Table(
    "remembered_positions",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("contracts", StrictDecimal, nullable=False),
)
