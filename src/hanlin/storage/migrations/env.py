"""Alembic's entry: uses the connection that `run.upgrade` hands over and leaves the commit to it."""

from alembic import context

from hanlin.storage.tables import TeamRow

context.configure(connection=context.config.attributes["connection"], target_metadata=TeamRow.metadata)
context.run_migrations()
