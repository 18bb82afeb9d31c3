"""Deployments beside the one that serves (canary, shadow), and a range of replicas."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What was deployed serves, with as many replicas as before."""
    with op.batch_alter_table("deployments") as table:
        table.add_column(sa.Column("role", sa.String(length=255), nullable=False, server_default="live"))
        table.add_column(sa.Column("weight", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("max_replicas", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("stats", sa.JSON(), nullable=True))
