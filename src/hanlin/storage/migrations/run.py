"""Runs alembic from inside the process, on a connection that already holds the write lock."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Applies the missing migrations within the connection's transaction: all of them, or none."""
    config = Config()
    config.set_main_option("script_location", "hanlin:storage/migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
