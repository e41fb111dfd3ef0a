"""How each order was worked, and what it was measured by: its style, the mid at its decision, the slippage expected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was sent before was taken at once, and its mid is not known."""
    op.add_column("intents", sa.Column("style", sa.Text(), nullable=False, server_default="market"))
    op.add_column("intents", sa.Column("arrival_mid", sa.Text()))
    op.add_column("intents", sa.Column("expected_slippage", sa.Text()))
