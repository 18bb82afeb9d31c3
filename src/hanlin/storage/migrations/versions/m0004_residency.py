"""Deployments say where their models live: in a worker of their own or a shared one, and after which time they sleep."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """What there is has workers of its own, and never sleeps."""
    with op.batch_alter_table("deployments") as table:
        table.add_column(sa.Column("isolation", sa.String(length=255), nullable=False, server_default="own"))
        table.add_column(sa.Column("idle_s", sa.Double(), nullable=False, server_default="0"))
