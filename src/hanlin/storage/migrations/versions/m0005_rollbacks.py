"""Deployments say which one they undid: whoever asks for the same rollback again finds it done."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What there is undid nothing: a rollback of an endpoint that was rolled back before goes on to where it would have gone."""
    op.add_column("deployments", sa.Column("undid_id", sa.String(length=255), nullable=True))
