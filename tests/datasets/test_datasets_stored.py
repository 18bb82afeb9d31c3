"""A stored split that is gone through without being held."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.datasets import StoredSplit, read_split, store
from hanlin.errors import DataCorrupt


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "_GROUP_ROWS", 3)
    with store.SplitWriter(tmp_path, "train") as writer:
        for number in range(10):
            writer.add(f"text {number}", f"label {number % 2}")
    return tmp_path


def test_it_says_what_the_split_in_memory_says(folder: Path) -> None:
    stored, whole = StoredSplit.of(folder, "train"), read_split(folder, "train")
    assert len(stored) == len(stored.texts) == 10
    assert [*stored.texts] == [*stored.texts] == whole.texts  # again and again
    assert [*stored.labels] == whole.labels
    assert stored.texts[7] == "text 7"
    assert stored.texts[2:5] == whole.texts[2:5]
    with pytest.raises(IndexError):
        stored.texts[10]


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "train.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataCorrupt):
        StoredSplit.of(folder, "train")
