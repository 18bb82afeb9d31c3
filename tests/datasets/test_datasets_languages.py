"""Pairs of texts in objects by language, as transformers' users have them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS

TEXTS = [{"en": f"Row {n}.", "zh": f"第{n}行。", "de": f"Zeile {n}."} for n in range(20)]
ROWS = [{"id": str(n), "translation": texts} for n, texts in enumerate(TEXTS)]


def take(folder: Path, name: str, content: str | bytes, task: str = "translation", **options: str) -> dict[str, str]:
    """The target of each source."""
    folder.mkdir(parents=True)
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    ingest([SourceFile(name, path)], task=TASKS.get(task), options=ReadOptions(split="34/33/33", **options), out=folder / "out")
    rows = [read_split(folder / "out", split) for split in ("train", "validation", "test")]
    return {text: json.loads(gold)["target"] for part in rows for text, gold in zip(part.texts, part.labels, strict=True)}


def lines(rows: list[dict[str, object]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def test_the_first_two_languages_are_source_and_target_and_columns_choose_others(tmp_path: Path) -> None:
    wanted = {f"Row {n}.": f"第{n}行。" for n in range(20)}
    assert take(tmp_path / "a", "a.jsonl", lines(ROWS)) == wanted
    assert take(tmp_path / "b", "a.jsonl", lines(ROWS), columns="source=zh,target=de")["第3行。"] == "Zeile 3."
    assert take(tmp_path / "c", "a.json", json.dumps({"data": ROWS})) == wanted


def test_tables_of_the_hub_hold_structs(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(20)], "translation": TEXTS}), path)
    wanted = {f"Row {n}.": f"第{n}行。" for n in range(20)}
    assert take(tmp_path / "a", "a.parquet", path.read_bytes()) == wanted
    assert take(tmp_path / "b", "a.parquet", path.read_bytes(), columns="source=zh,target=de")["第3行。"] == "Zeile 3."


def test_all_rows_are_of_one_direction(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"translation": texts if n % 2 == 0 else dict(reversed(texts.items()))} for n, texts in enumerate(TEXTS)
    ]  # fmt: skip
    assert take(tmp_path / "a", "a.jsonl", lines(rows)) == {f"Row {n}.": f"第{n}行。" for n in range(20)}


def test_a_translation_that_is_a_text_is_the_target(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"source": f"Row {n}.", "translation": f"第{n}行。"} for n in range(20)]
    assert take(tmp_path / "a", "a.jsonl", lines(rows))["Row 3."] == "第3行。"


def test_other_tasks_know_no_such_objects(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        take(tmp_path / "a", "a.jsonl", lines(ROWS), task="summarization")
    assert caught.value.code == "column_not_found"
