"""Alembic's entry: uses the connection that `run.upgrade` hands over and leaves the commit to it."""

from alembic import context

from hanlin.storage.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
context.run_migrations()
