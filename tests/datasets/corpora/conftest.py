from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hanlin.datasets.corpora import CORPORA, Source
from hanlin.datasets.debian import Entry


@dataclass(frozen=True, slots=True)
class Excerpts(Source):
    """A source with a few real pieces instead of packages."""

    files: dict[str, bytes] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    folders: dict[str, Path] = field(default_factory=dict)

    def members(self, package, pattern):
        return iter(self.files.items())

    def text(self, package, member):
        return self.files[member].decode()

    def debian_folder(self, name):
        return self.folders[name]

    def debian_entries(self):
        return iter(self.entries)


@pytest.fixture
def excerpts(tmp_path):
    return lambda **pieces: Excerpts(tmp_path, **pieces)


@pytest.fixture(scope="session")
def source():
    """The real packages, fetched once."""
    return Source(Path(__file__).parents[3] / "build" / "packages")


@pytest.fixture(scope="session")
def rows_of(source):
    """The rows of a corpus by name, made once."""
    made = {}

    def rows(name):
        if name not in made:
            made[name] = list(CORPORA.get(name).rows(source))
        return made[name]

    return rows
