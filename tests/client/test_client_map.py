"""`map` against a real server: order, memory, bad rows, a busy server, one that is killed in between."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hanlin import errors
from hanlin.client import Ask, AsyncHanlin, Classify, Embed, Hanlin, Predict, Prediction, TagTokens

TEXTS = [f"{'好' if index % 3 else '坏'} {index}" for index in range(1000)]
LABELS = ["pos" if index % 3 else "neg" for index in range(1000)]


def labels(rows: object) -> list[str]:
    return [row.label if isinstance(row, Prediction) else row.code for row in rows]  # type: ignore[attr-defined]


def test_answers_come_in_order(hanlin, world) -> None:
    assert labels(hanlin.map("sentiment", TEXTS)) == LABELS
    assert len(world.paths("POST")) == 8  # 128 texts a request


async def test_answers_come_in_order_async(world, standin) -> None:
    async def source() -> AsyncIterator[str]:
        for text in TEXTS:
            yield text

    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert labels([row async for row in client.map("sentiment", source(), group_size=100)]) == LABELS
        assert labels([row async for row in client.map("sentiment", TEXTS[:3])]) == LABELS[:3]


def test_every_question_has_its_answer(hanlin) -> None:
    assert list(hanlin.map("vectors", ["a", "abc"], Embed(dimensions=2))) == [[1.0, -1.0], [3.0, -1.0]]
    assert [row[0].word for row in hanlin.map("names", ["Ada x", "Bob y"], TagTokens())] == ["Ada", "Bob"]
    assert list(hanlin.map("sentiment", ["好"], Predict({"top_k": 1}))) == [[{"label": "pos", "score": 0.9}]]
    assert [len(row) for row in hanlin.map("sentiment", ["好"], Classify(top_k=1))] == [1]
    cut = list(hanlin.map("sentiment", ["好", "好" * 60], Classify(truncate=True)))
    assert [row.is_truncated for row in cut] == [False, True]


def test_what_was_done_to_each_text_can_be_asked(hanlin) -> None:
    short, long = hanlin.map("sentiment", ["好", "好" * 60], Ask({"long_text": "window"}))
    assert (short.windows, long.windows, long.truncated) == ({}, {0: 3}, ())
    (cut,) = hanlin.map("sentiment", ["好" * 60], Ask({"truncation": True}))
    assert (cut.truncated, cut.model, cut.times_ms["queue"]) == ((0,), "sentiment-zh:1 openvino-int8", 0.5)


@pytest.mark.parametrize("column", [pd.Series, pl.Series, pa.array, lambda texts: pa.chunked_array([texts[:400], texts[400:]])])
def test_columns_of_tables_are_sources(hanlin, column) -> None:
    assert labels(hanlin.map("sentiment", column(TEXTS))) == LABELS


@pytest.mark.parametrize("source", ["one text", b"bytes", {"a": 1}, 7, None, pd.DataFrame({"text": ["a"]}), pa.table({"text": ["a"]})])
def test_what_is_no_list_of_texts_is_refused(hanlin, source) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.map("sentiment", source)
    assert caught.value.code == "texts_not_iterable"


@pytest.mark.parametrize("option", ["concurrency", "group_size"])
def test_options_that_make_no_sense_are_refused(hanlin, option) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.map("sentiment", ["a"], **{option: 0})
    assert caught.value.code == "map_option_too_small"


def test_an_option_that_is_none_is_named_with_those_there_are(hanlin) -> None:
    with pytest.raises(errors.InvalidInput, match=r"concurency.*concurrency") as caught:
        hanlin.map("sentiment", ["a"], concurency=4)
    assert caught.value.code == "map_option_unknown"


def test_the_source_is_read_as_far_as_needed(hanlin) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for read in itertools.count(1):  # noqa: B007 - counts for the outer scope
            yield "好"

    rows = hanlin.map("sentiment", endless(), group_size=10, concurrency=2)
    assert labels(itertools.islice(rows, 200)) == ["pos"] * 200
    rows.close()
    assert read <= 200 + 4 * 2 * 10 + 10


def test_bad_rows_stand_in_their_places(hanlin) -> None:
    texts = [*TEXTS[:100], "", *TEXTS[100:150], None, *TEXTS[150:160]]
    rows = list(hanlin.map("sentiment", texts, on_error="return"))
    assert labels(rows) == [*LABELS[:100], "empty_text", *LABELS[100:150], "invalid_inputs", *LABELS[150:160]]
    assert (rows[100].params["index"], rows[151].params["index"]) == (100, 151)


def test_a_bad_row_is_raised_behind_the_answers_before_it(hanlin) -> None:
    got = []
    with pytest.raises(errors.InvalidInput) as caught:
        for row in hanlin.map("sentiment", [*TEXTS[:70], ""]):
            got.append(row)
    assert (labels(got), caught.value.params["index"]) == (LABELS[:70], 70)


def test_a_busy_server_slows_it_down_and_loses_nothing(hanlin, world) -> None:
    world.faults = ["429", "503", "cut", "garbage", "429", "500"]
    assert labels(hanlin.map("sentiment", TEXTS, group_size=50)) == LABELS
    assert len(world.paths("POST")) >= 20 + 6


def test_an_endpoint_that_is_not_there_ends_it(hanlin, world) -> None:
    with pytest.raises(errors.NotFound):
        list(hanlin.map("nothing", TEXTS, on_error="return"))
    world.faults = ["429-quota"]
    with pytest.raises(errors.QuotaExceeded):
        list(hanlin.map("sentiment", ["好"]))


def test_it_outlives_a_server_that_is_away(standin) -> None:
    world = standin.World()
    got = []
    with standin.serve(world) as world:
        port = int(world.url.rpartition(":")[2])
        client = Hanlin(world.url, standin.KEY)
        rows = client.map("sentiment", TEXTS, group_size=20, concurrency=2)
        got += itertools.islice(rows, 100)
    back = threading.Event()
    again = standin.World()

    def come_back() -> None:
        time.sleep(0.5)
        with standin.serve(again, port):
            back.wait(60)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        got += rows
    finally:
        back.set()
        thread.join()
        client.close()
    assert labels(got) == LABELS
    assert again.paths("POST")


def test_progress_is_told(hanlin, capsys) -> None:
    told = []
    list(hanlin.map("sentiment", TEXTS[:100], group_size=64, progress=lambda done, total: told.append((done, total))))
    assert told == [(64, 100), (100, 100)]

    class Bar:
        n = 0

        def update(self, n: int) -> None:
            self.n += n

    bar = Bar()
    list(hanlin.map("sentiment", iter(TEXTS[:100]), progress=bar))
    assert bar.n == 100
    list(hanlin.map("sentiment", TEXTS[:100], progress=True))
    assert "100/100" in capsys.readouterr().err
