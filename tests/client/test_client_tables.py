"""Tables in and out: the same kind of table with answers in columns of its own."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, Embed, Predict, TagTokens

TEXTS = ["好 a", None, "坏 b", "好 c"]
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "Table": pa.table, "RecordBatch": pa.RecordBatch.from_pydict}


def as_dict(table: object) -> dict[str, list[object]]:
    """Columns of any table; what is missing is None."""
    if isinstance(table, pd.DataFrame):
        return {name: [None if repr(value) == "nan" else value for value in table[name]] for name in table.columns}
    return table.to_dict(as_series=False) if isinstance(table, pl.DataFrame) else table.to_pydict()  # type: ignore[attr-defined]


@pytest.fixture(params=list(KINDS))
def table(request):
    return KINDS[request.param]({"id": [1, 2, 3, 4], "text": TEXTS})


def test_labels_come_beside_the_texts(hanlin, table, world) -> None:
    found = hanlin.map_table("sentiment", table, "text", group_size=2)
    assert type(found) is type(table)
    assert as_dict(found) == {
        "id": [1, 2, 3, 4], "text": TEXTS, "label": ["pos", None, "neg", "pos"], "score": [0.9, None, 0.8, 0.9],
    }  # fmt: skip
    assert list(as_dict(table)) == ["id", "text"], "the caller's table stays as it was"
    assert len(world.paths("POST")) == 2


def test_every_question_has_its_columns(hanlin, table) -> None:
    assert as_dict(hanlin.map_table("vectors", table, "text", Embed(dimensions=2)))["embedding"] == [[3, -1], None, [3, -1], [3, -1]]
    entities = as_dict(hanlin.map_table("names", table, "text", TagTokens()))["entities"]
    assert entities[0] == [{"label": "PER", "score": 0.97, "word": "好", "start": 0, "end": 1}]
    assert entities[1] is None
    answers = as_dict(hanlin.map_table("sentiment", table, "text", Predict({"top_k": 1}), prefix="raw_"))["raw_answer"]
    assert answers[:2] == ['[{"label": "pos", "score": 0.9}]', None]


def test_why_a_row_has_no_answer_stands_beside_it(hanlin) -> None:
    for kind in KINDS.values():
        table = kind({"text": ["好", "", None, "坏"]})
        found = as_dict(hanlin.map_table("sentiment", table, "text", on_error="return"))
        assert found["label"] == ["pos", None, None, "neg"]
        first, second, third, fourth = found["error"]
        assert (first, third, fourth) == (None, None, None)
        assert "the text is empty" in str(second)


def test_an_error_names_the_row_of_the_table(hanlin) -> None:
    table = pl.DataFrame({"text": [None, None, "好", ""]})
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.map_table("sentiment", table, "text")
    assert (caught.value.code, caught.value.params["index"]) == ("empty_text", 3)


def test_a_table_without_any_text_asks_nothing(hanlin, world) -> None:
    for table in (pl.DataFrame({"text": [None, None]}), pa.table({"text": pa.array([None], pa.string())}), pd.DataFrame({"text": []})):
        assert set(as_dict(hanlin.map_table("sentiment", table, "text"))["label"]) <= {None}
    assert world.paths("POST") == []


def test_pandas_keeps_its_index_and_knows_its_missing_values(hanlin) -> None:
    table = pd.DataFrame({"text": pd.Series(["好", pd.NA, float("nan"), "坏"], dtype="object", index=[7, 7, 8, 9])})
    found = hanlin.map_table("sentiment", table, "text")
    assert list(found.index) == [7, 7, 8, 9]
    assert as_dict(found)["label"] == ["pos", None, None, "neg"]


async def test_tables_can_be_awaited(world, standin, table) -> None:
    async with AsyncHanlin(world.url, standin.KEY) as client:
        found = await client.map_table("sentiment", table, "text", prefix="mood_")
    assert as_dict(found)["mood_label"] == ["pos", None, "neg", "pos"]


@pytest.mark.parametrize(
    ("given", "column", "code"),
    [
        (pl.DataFrame({"text": []}), "words", "column_missing"),
        (pl.DataFrame({"text": [], "label": []}), "text", "column_exists"),
        (pl.LazyFrame({"text": []}), "text", "table_unknown"),
        (pl.Series(["a"]), "text", "table_unknown"),
        ({"text": ["a"]}, "text", "table_unknown"),
        (None, "text", "table_unknown"),
    ],
)
def test_what_is_no_such_table_is_refused_before_sending(hanlin, world, given, column: str, code: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.map_table("sentiment", given, column)
    assert caught.value.code == code
    assert world.requests == []


def test_the_sdk_imports_none_of_them() -> None:
    code = "import sys, hanlin.client; print(sorted({'pandas', 'polars', 'pyarrow', 'numpy', 'tqdm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
