"""Silver rows from a spaCy pipeline: offsets of characters, and no code that a pipeline brings."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "silver_entities.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("silver_entities", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import spacy

    made = spacy.blank("en")
    made.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "London"}, {"label": "PER", "pattern": "Ada Lovelace"}])
    folder = tmp_path_factory.mktemp("pipeline") / "pipeline"
    made.to_disk(folder)
    return folder


def test_entities_stand_at_their_characters(script: ModuleType, pipeline: Path, tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "silver.jsonl"
    texts.write_text("😀 Ada Lovelace lived in London.\n\nNobody here\nNobody here\n", encoding="utf-8")
    assert script.main([str(pipeline), str(texts), str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [[row["text"][item["start"] : item["end"]] for item in row["entities"]] for row in rows] == [["Ada Lovelace", "London"], []]
    assert [item["label"] for item in rows[0]["entities"]] == ["PER", "LOC"]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "model.pkl").write_bytes(b"x"), "pickles"),
        (lambda folder: (folder / "own.py").write_bytes(b"x"), "pickles"),
        (lambda folder: (folder / "link").symlink_to("/etc"), "links"),
        (lambda folder: (folder / "meta.json").unlink(), "meta.json"),
        (lambda folder: add(folder, '\n[nlp.x]\n@misc = "mine.run.v1"\n'), "not spaCy's own"),
        (lambda folder: add(folder, '\n[components.x]\nfactory = "mine"\n'), "factory"),
        (lambda folder: add(folder, "\nno ini at all\n"), "config.cfg"),
    ],
)
def test_what_a_pipeline_brings_of_its_own_is_not_run(
    script: ModuleType, pipeline: Path, tmp_path: Path, *, spoil: Callable[[Path], object], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    folder = tmp_path / "pipeline"
    shutil.copytree(pipeline, folder)
    spoil(folder)
    with pytest.raises(SystemExit):
        script.main([str(folder), "none", "none"])
    assert problem in capsys.readouterr().err


def add(folder: Path, text: str) -> None:
    with (folder / "config.cfg").open("a", encoding="utf-8") as file:
        file.write(text)
