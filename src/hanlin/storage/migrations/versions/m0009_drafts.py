"""Deployments say which version guesses for theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """What there is has none."""
    with op.batch_alter_table("deployments") as table:
        table.add_column(sa.Column("draft", sa.String(length=255), nullable=False, server_default=""))
