"""Raw text as a file: a text a line, or a text between empty lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, ingest, read_split
from hanlin.datasets.formats import txt
from hanlin.datasets.lines import Meter
from hanlin.datasets.readers import find_format
from hanlin.datasets.values import BadRow, SourceFile
from hanlin.encodings import detect
from hanlin.tasks import TASKS


def _texts(path: Path, content: str | bytes) -> list[object]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    file = SourceFile(path.name, path)
    encoding = detect(path, name=path.name, declared="utf-8", is_lenient=True)
    rows = txt.TxtFormat().read(file, encoding, Meter(0, None))
    return [(row.line, row.problem) if isinstance(row, BadRow) else (row.line, row.fields["text"]) for row in rows]


@pytest.mark.parametrize(("content", "texts"), [
    ("one\ntwo\n", [(1, "one"), (2, "two")]),
    ("\n\none\ntwo\n\n\n", [(3, "one"), (4, "two")]),
    ("one\r\ntwo\r\n\r\nthree\r\n", [(1, "one\ntwo"), (4, "three")]),
    ("春眠不觉晓\n处处闻啼鸟\n \n床前明月光", [(1, "春眠不觉晓\n处处闻啼鸟"), (4, "床前明月光")]),
    ("", []),
    (b"one\nt\xffo\nthree\n", [(1, "one"), (2, "bytes"), (3, "three")]),
])  # fmt: skip
def test_lines_or_blocks(tmp_path: Path, content: str | bytes, texts: list[object]) -> None:
    assert _texts(tmp_path / "some.txt", content) == texts


def test_a_long_text_goes_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(txt, "MAX_CHARACTERS", 10)
    assert _texts(tmp_path / "some.txt", "abcd\nefgh\nijkl\n\nmnop\n") == [(1, "abcd\nefgh"), (3, "ijkl"), (5, "mnop")]


def test_only_tasks_that_learn_from_raw_text_take_it(tmp_path: Path) -> None:
    file = SourceFile("a.txt", tmp_path / "a.txt")
    file.path.write_text("one\n", encoding="utf-8")
    assert find_format([file], "", ("txt",)) == find_format([file, file], "", ("txt",)) == "txt"
    assert (find_format([file], ""), find_format([file, file], "")) == ("csv", "folder")


@pytest.mark.parametrize("task", ["fill-mask", "text-generation"])
def test_models_of_language_learn_from_it(tmp_path: Path, task: str) -> None:
    """Commas and all: it is no table."""
    file = SourceFile("poems.txt", tmp_path / "poems.txt")
    file.path.write_text("".join(f"Poem {n}, line one,\nline two.\n\n" for n in range(30)), encoding="utf-8")
    report = ingest([file], task=TASKS.get(task), options=ReadOptions(), out=tmp_path / "out")
    assert (report.format, report.rows_kept, report.bad_rows.total) == ("txt", 30, 0)
    assert read_split(tmp_path / "out", "train").texts[0].endswith(", line one,\nline two.")
