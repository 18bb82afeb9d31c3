"""Migrations, append-only. Importing this costs nothing: alembic is loaded only when there is something to do."""

from __future__ import annotations

# Oldest first. A new migration is a new file in `versions/` and a new entry here; none is ever edited or removed.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
HEAD = REVISIONS[-1]
