"""Results of a batch as CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hanlin.pipelines.batch_tables import write_table

LABELS = [{"row": 1, "id": "a", "result": [{"label": "x", "score": 0.75}]}, {"row": 3, "result": [{"label": "y", "score": 0.5}]}]
VECTORS = [{"row": 1, "result": [0.25, 1]}, {"row": 2, "result": [0.5, 0.5]}]


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_results_become_tables(tmp_path: Path, form: str) -> None:
    source, target = tmp_path / "output.jsonl", tmp_path / f"table.{form}"
    for rows, has_ids in ((LABELS, True), (VECTORS, False)):
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        write_table(source, target, form, has_ids=has_ids)
        if form == "parquet":
            table = pq.read_table(target).to_pylist()
        else:
            with target.open(newline="") as stream:
                table = list(csv.DictReader(stream, delimiter="\t" if form == "tsv" else ","))
        assert [int(row["row"]) for row in table] == [row["row"] for row in rows]
        if has_ids:
            assert [(row["label"], float(row["score"]), row["id"] or None) for row in table] == [("x", 0.75, "a"), ("y", 0.5, None)]
        elif form == "parquet":
            assert [row["embedding"] for row in table] == [[0.25, 1.0], [0.5, 0.5]]
        else:
            assert [json.loads(row["embedding"]) for row in table] == [[0.25, 1.0], [0.5, 0.5]]


def test_no_results_become_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "output.jsonl").write_bytes(b"")
    for form in ("csv", "parquet"):
        write_table(tmp_path / "output.jsonl", tmp_path / f"t.{form}", form, has_ids=False)
    assert (tmp_path / "t.csv").read_bytes() == b""
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


def test_vectors_beside_other_answers_become_json(tmp_path: Path) -> None:
    """Bug avoided: a row that is a whole input of two texts ended the batch, after all of it was asked."""
    rows = [*VECTORS, {"row": 3, "result": [[0.25, 1], [0.5, 0.5]]}]
    (tmp_path / "output.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_table(tmp_path / "output.jsonl", tmp_path / "t.parquet", "parquet", has_ids=False)
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [json.loads(row["result"]) for row in table] == [row["result"] for row in rows]
