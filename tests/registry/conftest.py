from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hanlin.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'hanlin.db'}")
    found.migrate()
    yield found
    found.close()
