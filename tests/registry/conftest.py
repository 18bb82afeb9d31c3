"""A registry over a database of each kind, with two teams."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.registry import Registry
from hanlin.storage.database import Database
from hanlin.storage.stores.file import FileStore
from hanlin.storage.tables import TeamRow
from hanlin.types import TeamId, utc_now

OTHER = TeamId("other")


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    with database.write() as session:
        session.add(TeamRow(team_id=OTHER, name="other", is_active=True, created_at=utc_now()))
    return Registry(database, FileStore(tmp_path / "blobs"))
