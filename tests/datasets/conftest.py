from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS

TASK = TASKS.get("text-classification")
PACKAGES = Path(__file__).parents[2] / "build" / "packages"  # fetched once, shared with the demo's tests


class Bench:
    """Writes source files and ingests them into fresh folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def file(self, name, content):
        path = self.folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return SourceFile(name, path)

    def ingest(self, *files, **options):
        self.runs += 1
        self.out = self.folder / f"out-{self.runs}"
        source = [file if isinstance(file, SourceFile) else self.file(*file) for file in files]
        return ingest(source, task=TASK, options=ReadOptions(**options), out=self.out)

    def refusal(self, *files, **options):
        with pytest.raises(InvalidInput) as caught:
            self.ingest(*files, **options)
        error = caught.value
        assert error.message != error.code.replace("_", " "), f"{error.code} has no words"
        assert "{" not in error.message.replace("{“", "") or error.code == "json_unreadable"
        assert len(str(error.to_wire("zh"))) < 4096
        return error


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def packages():
    return PACKAGES
