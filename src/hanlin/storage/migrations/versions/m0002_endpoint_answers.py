"""How an endpoint answers: what becomes of long texts, and how long answers are kept for calls that come again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Endpoints refuse long texts and keep no answers, as before."""
    with op.batch_alter_table("endpoints") as table:
        table.add_column(sa.Column("long_text", sa.String(length=255), nullable=False, server_default="refuse"))
        table.add_column(sa.Column("cache_ttl_s", sa.Integer(), nullable=False, server_default="0"))
