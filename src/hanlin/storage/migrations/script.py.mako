"""${message}."""

import sqlalchemy as sa
from alembic import op

from hanlin.storage.table_base import UtcDateTime

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Forward only."""
    ${upgrades if upgrades else "pass"}
