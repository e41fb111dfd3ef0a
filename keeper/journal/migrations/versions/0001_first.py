"""The first journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_identity()
    _create_orders()
    _create_ledger()
    _create_cycles()
    _create_memory()


def _create_identity() -> None:
    """Who this journal is, and each start of its keeper."""
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(length=6), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("remembered_at_ms", sa.BigInteger(), nullable=True),
        # f(): the name is whole; without it the metadata's convention would be applied to it once more.
        sa.CheckConstraint("id = 1", name=op.f("ck_journal_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("config_digest", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
    )


def _create_orders() -> None:
    """What was meant to be sent, and what became of it."""
    op.create_table(
        "intents",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("cycle", sa.BigInteger(), nullable=False),
        sa.Column("hedge", sa.Text(), nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("contracts", sa.Text(), nullable=False),
        sa.Column("amount_base", sa.Text(), nullable=False),
        sa.Column("notional", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("position_before", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("filled", sa.Text(), nullable=False),
        sa.Column("average_price", sa.Text(), nullable=True),
        sa.Column("venue_order_id", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_found", sa.Integer(), nullable=False),
        sa.Column("not_found_since_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_intents_run"),
        sa.PrimaryKeyConstraint("id", name="pk_intents"),
        sa.UniqueConstraint("client_id", name="uq_intents_client_id"),
    )
    op.create_index("ix_intents_created_at_ms", "intents", ["created_at_ms"])
    op.create_index("ix_intents_state", "intents", ["state"])
    op.create_table(
        "outcomes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("filled", sa.Text(), nullable=False),
        sa.Column("average_price", sa.Text(), nullable=True),
        sa.Column("venue_order_id", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["intents.client_id"], name="fk_outcomes_client_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_client_id", "outcomes", ["client_id"])


def _create_ledger() -> None:
    """What the venue says was executed and paid."""
    op.create_table(
        "fills",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("venue_order_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("contracts", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("fee", sa.Text(), nullable=True),
        sa.Column("fee_asset", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fills"),
        sa.UniqueConstraint("venue", "symbol", "trade_id", name="uq_fills_venue_symbol_trade_id"),
    )
    op.create_index("ix_fills_at_ms", "fills", ["at_ms"])
    op.create_table(
        "funding",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_funding"),
        sa.UniqueConstraint("venue", "symbol", "entry_id", name="uq_funding_venue_symbol_entry_id"),
    )
    op.create_index("ix_funding_at_ms", "funding", ["at_ms"])


def _create_cycles() -> None:
    """What was seen and decided."""
    op.create_table(
        "cycles",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("cycle", sa.BigInteger(), nullable=False),
        sa.Column("taken_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_hold", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_cycles_run"),
        sa.PrimaryKeyConstraint("id", name="pk_cycles"),
        sa.UniqueConstraint("run", "cycle", name="uq_cycles_run_cycle"),
    )
    op.create_index("ix_cycles_ended_at_ms", "cycles", ["ended_at_ms"])
    op.create_table(
        "hedge_cycles",
        sa.Column("cycle_id", _ID, nullable=False),
        sa.Column("hedge", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("spot_base", sa.Text(), nullable=True),
        sa.Column("collateral_base", sa.Text(), nullable=True),
        sa.Column("exposure_base", sa.Text(), nullable=True),
        sa.Column("futures_base", sa.Text(), nullable=True),
        sa.Column("hedge_ratio", sa.Text(), nullable=True),
        sa.Column("target_ratio", sa.Text(), nullable=True),
        sa.Column("target_base", sa.Text(), nullable=True),
        sa.Column("drift_base", sa.Text(), nullable=True),
        sa.Column("drift_ratio", sa.Text(), nullable=True),
        sa.Column("drift_notional", sa.Text(), nullable=True),
        sa.Column("net_delta_base", sa.Text(), nullable=True),
        sa.Column("equity_base", sa.Text(), nullable=True),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.Column("contracts", sa.Text(), nullable=True),
        sa.Column("residual_base", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycles.id"], name="fk_hedge_cycles_cycle_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cycle_id", "hedge", name="pk_hedge_cycles"),
    )


def _create_memory() -> None:
    """What the next cycle needs to know of the last."""
    op.create_table(
        "memories",
        sa.Column("hedge", sa.Text(), nullable=False),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hedge", name="pk_memories"),
    )
    op.create_table(
        "back_offs",
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venue", name="pk_back_offs"),
    )
    op.create_table(
        "remembered_holdings",
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("amount_base", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "wallet", "asset", name="pk_remembered_holdings"),
    )
    op.create_table(
        "remembered_positions",
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("contracts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "symbol", name="pk_remembered_positions"),
    )
