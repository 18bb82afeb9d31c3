"""Uploads of 2 GiB and more: PostgreSQL's integers end there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Existing sizes stay."""
    with op.batch_alter_table("uploads") as table:
        table.alter_column("size_bytes", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=False)
