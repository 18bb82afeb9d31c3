"""The parts of a batch: files to rows, rows to calls, answers to lines, and the mark that a kill cannot make wrong."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanlin.datasets import SourceFile
from hanlin.datasets.inputs import InputColumns
from hanlin.errors import EngineFailed, HanlinError, InvalidInput, NotFound
from hanlin.pipelines.batch_calls import Answered
from hanlin.pipelines.batch_forms import GROUP_BYTES, RowsForm
from hanlin.pipelines.batch_pace import MOST, START, Turns
from hanlin.pipelines.batch_results import Mark, Results
from hanlin.pipelines.batch_source import row_lines
from hanlin.pipelines.batch_spool import Row, Spool, build_spool, find_spool


def spool(folder: Path, path: Path, *, text: str = "", id: str = "", max_rows: int = 1000) -> list[Row]:  # noqa: A002
    lines = row_lines(SourceFile(path.name, path), "", InputColumns(text, id), max_rows=max_rows)
    return [row for row, _ in build_spool(folder, lines, lambda: None).read(0)]


def told(row: Row) -> tuple[object, ...]:
    return row.number, row.problem, json.loads(bytes(row.inputs)), json.loads(bytes(row.id))


ROWS = [(1, "", "first, one", "a"), (2, "", "第二", "b"), (3, "", "third", "c")]


def write(path: Path) -> Path:
    texts, names = [row[2] for row in ROWS], [row[3] for row in ROWS]
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"name": names, "text": texts}), path)
    elif path.suffix in {".csv", ".tsv"}:
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(
                [("name", "text"), *zip(names, texts, strict=True)]
            )
    else:
        objects = [{"name": name, "text": text} for name, text in zip(names, texts, strict=True)]
        path.write_text(json.dumps(objects) if path.suffix == ".json" else "\n".join(map(json.dumps, objects)), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_every_form_of_file_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"in.{suffix}")
    assert [told(row) for row in spool(tmp_path, path, id="name")] == ROWS


def test_a_plain_text_file_has_a_text_a_line_and_no_header(tmp_path: Path) -> None:
    """Bug avoided: the first text was taken for a header, and a comma made a line another table."""
    (tmp_path / "in.txt").write_text("first, one\n\n第二\r\nthird", encoding="utf-8")
    found = spool(tmp_path, tmp_path / "in.txt")
    assert [(row.number, row.line, json.loads(bytes(row.inputs))) for row in found] == [
        (1, 1, "first, one"),
        (2, 3, "第二"),
        (3, 4, "third"),
    ]
    (tmp_path / "table.txt").write_text("name,text\na,eins\n", encoding="utf-8")
    (row,) = spool(tmp_path, tmp_path / "table.txt", text="text")
    assert json.loads(bytes(row.inputs)) == "eins"


def test_lines_of_json_may_be_texts_texts_in_objects_or_whole_inputs(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '"plain"\n{"inputs": {"query": "q", "texts": ["a"]}, "parameters": {"top_k": 1}}\n\n{"text": 5}\n[1]\n{"x"\n{"text": "t"}'
    )
    rows = spool(tmp_path, path)
    assert [(row.number, row.line, row.problem, row.is_text) for row in rows] == [
        (1, 1, "", True), (2, 2, "", False), (3, 4, "text_type", False), (4, 5, "json", False), (5, 6, "json", False), (6, 7, "", True),
    ]  # fmt: skip
    assert json.loads(bytes(rows[1].parameters)) == {"top_k": 1}


def test_a_list_of_json_may_hold_the_same(tmp_path: Path) -> None:
    """Bug avoided: texts of a list were refused, those of lines were not."""
    (tmp_path / "in.json").write_text('["plain", {"inputs": "whole"}, {"text": "t"}, 5]')
    found = [(row.problem, json.loads(bytes(row.inputs))) for row in spool(tmp_path, tmp_path / "in.json")]
    assert found == [("", "plain"), ("", "whole"), ("", "t"), ("json", None)]


def test_an_id_keeps_all_its_digits(tmp_path: Path) -> None:
    """Bug avoided: beyond 64 bits it became a float of lines, another id."""
    rows = [{"text": "t", "id": 10**29 + 7}, {"text": "t", "id": 0.5}]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("in.json", "in.jsonl"):
        assert [told(row)[3] for row in spool(tmp_path, tmp_path / name, id="id")] == [10**29 + 7, 0.5]


def test_a_key_that_is_said_twice_is_an_error_of_its_row(tmp_path: Path) -> None:
    twice = '{"text": "a", "text": "b"}', '{"inputs": {"query": "q", "query": "r", "texts": ["a"]}}'
    good = '{"text": "at 9:30: twice, twice", "other": {"text": 1}}'
    (tmp_path / "in.jsonl").write_text("\n".join([*twice, good]))
    (tmp_path / "in.json").write_text("[\n" + ",\n".join([*twice, good]) + "]")
    for name, line in (("in.jsonl", 1), ("in.json", 2)):
        rows = spool(tmp_path, tmp_path / name)
        assert [(row.line, row.problem) for row in rows] == [(line, "json_twice"), (line + 1, "json_twice"), (line + 2, "")]


def test_a_file_without_the_column_is_refused_whole(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        with pytest.raises(InvalidInput) as caught:
            spool(tmp_path, write(tmp_path / f"in.{suffix}"), text="missing")
        assert caught.value.code == "input_column_not_found"
        assert "--text" in caught.value.next_step
        assert "--label" not in caught.value.next_step, "which datasets have, and batches have not"


def test_which_of_two_columns_is_meant_is_asked_for_by_its_own_option(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("body,comment\na,b\n")
    for columns, option in (({}, "--text"), ({"text": "body", "id": "none"}, "--id")):
        with pytest.raises(InvalidInput) as caught:
            spool(tmp_path, path, **columns)
        assert option in caught.value.next_step


def test_a_batch_has_a_bounded_number_of_rows(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        spool(tmp_path, write(tmp_path / "in.csv"), max_rows=2)
    assert caught.value.code == "too_many_batch_rows"
    assert find_spool(tmp_path) is None


def test_a_spool_is_read_on_from_any_row(tmp_path: Path) -> None:
    spool(tmp_path, write(tmp_path / "in.csv"))
    found = find_spool(tmp_path)
    assert found is not None
    assert found.rows == 3
    offsets = [0, *(offset for _, offset in found.read(0))]
    for done, offset in enumerate(offsets):
        assert [row.number for row, _ in found.read(offset)] == [1, 2, 3][done:]


def test_a_kill_costs_what_was_not_marked_and_nothing_else(tmp_path: Path) -> None:
    first = Results(tmp_path)
    first.add([b"one\n"], [b"two\n"], 10)
    first.save()
    first.add([b"three\n", b"four\n"], [], 20)
    first.close()  # without its mark, as a kill leaves it: more in the file than the mark says, half a line of it
    with first.output.open("ab") as stream:
        stream.write(b"fi")
    again = Results(tmp_path)
    assert again.mark == Mark(10, 2, 1, 1, 4, 4)
    again.add([b"three\n"], [], 15)
    again.save()
    again.close()
    assert again.output.read_bytes() == b"one\nthree\n"
    assert again.errors.read_bytes() == b"two\n"


def test_files_that_do_not_reach_the_mark_begin_anew(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add([b"one\n"], [], 10)
    results.save()
    results.close()
    results.output.write_bytes(b"")
    again = Results(tmp_path)
    again.close()
    assert again.mark == Mark()


class Endpoint:
    """Answers each text with its length; refuses those that say so, as a worker does."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def ask(self, path: str, body: bytes) -> Answered:
        assert path == "/models/e"
        inputs = json.loads(body)["inputs"]
        if isinstance(inputs, dict):
            return Answered(200, b'{"whole":true}')
        self.calls.append(inputs)
        error = self._error(inputs)
        if error is not None:
            return Answered(422, b"{}", error=error)
        return Answered(200, json.dumps([len(text) for text in inputs]).encode())

    def _error(self, texts: list[str]) -> HanlinError | None:
        for index, text in enumerate(texts):
            if text == "bad":
                return InvalidInput("empty_text", index=index)
            if text in {"kills", "poison"}:
                return EngineFailed("engine_failed") if text == "kills" else InvalidInput("poison_input")
            if text == "gone":
                return NotFound("endpoint_not_found")
        return None


def rows_of(*values: object) -> list[Row]:
    return [Row(number, number, "", json.dumps(value).encode(), b"null", b"null") for number, value in enumerate(values, 1)]  # type: ignore[arg-type]


def answers(rows: list[Row]) -> tuple[list[int], list[tuple[int, str]], Endpoint]:
    endpoint = Endpoint()
    good, bad = asyncio.run(RowsForm("e", {}, "en").lines(endpoint, rows))  # type: ignore[arg-type]
    errors = [json.loads(line) for line in bad]
    return [json.loads(line)["row"] for line in good], [(row["row"], row["error"]["code"]) for row in errors], endpoint


def test_texts_go_in_one_call() -> None:
    good, bad, endpoint = answers(rows_of("a", "b", "c"))
    assert (good, bad, endpoint.calls) == ([1, 2, 3], [], [["a", "b", "c"]])


@pytest.mark.parametrize(("word", "code"), [("bad", "empty_text"), ("kills", "engine_failed"), ("poison", "poison_input")])
def test_a_row_that_fails_takes_no_other_with_it(word: str, code: str) -> None:
    rows = rows_of(*(word if number in {3, 9, 10, 11, 12, 40} else f"t{number}" for number in range(1, 65)))
    good, bad, endpoint = answers(rows)
    assert bad == [(number, code) for number in (3, 9, 10, 11, 12, 40)]
    assert good == [number for number in range(1, 65) if number not in {3, 9, 10, 11, 12, 40}]
    assert len(endpoint.calls) < 70


def test_all_bad_rows_cost_about_one_call_each() -> None:
    _, bad, endpoint = answers(rows_of(*["bad"] * 64))
    assert len(bad) == 64
    assert len(endpoint.calls) < 3 * 64


def test_whole_inputs_go_alone_and_unreadable_rows_do_not_go() -> None:
    rows = [*rows_of("a", {"query": "q", "texts": []}), Row(3, 7, "json")]
    good, bad, endpoint = answers(rows)
    assert (good, bad, endpoint.calls) == ([1, 2], [(3, "row_unreadable")], [["a"]])


def test_an_endpoint_that_is_gone_ends_the_batch() -> None:
    with pytest.raises(NotFound):
        answers(rows_of("a", "gone"))


def test_groups_are_bounded_by_rows_and_bytes() -> None:
    form = RowsForm("e", {}, "en", max_rows=4)
    short, long = rows_of(*["x"] * 10), rows_of(*["x" * (GROUP_BYTES // 2)] * 5)
    assert [len(group) for group, _ in form.groups(iter([(row, row.number) for row in short]))] == [4, 4, 2]
    assert [(len(group), end) for group, end in form.groups(iter([(row, row.number) for row in long]))] == [(n, n) for n in (1,)] + [
        (1, 2), (1, 3), (1, 4), (1, 5)
    ]  # fmt: skip


def test_the_pace_grows_by_answers_and_halves_once_a_round() -> None:
    now = [0.0]
    pace = Turns(clock=lambda: now[0])
    for _ in range(10_000):
        pace.taken()
    assert pace.allowed == MOST
    now[0] = 5.0
    for _ in range(10):  # all of these began before the first of them was refused
        pace.refused(began_s=4.0)
    assert pace.allowed == MOST / 2
    for began_s in range(6, 30):
        now[0] = began_s + 0.5
        pace.refused(began_s=began_s)
    assert pace.allowed == 1


async def test_no_more_calls_are_in_flight_than_the_pace_allows() -> None:
    pace, most = Turns(), 0

    async def call() -> None:
        nonlocal most
        async with pace.turn():
            most = max(most, pace.inflight)
            await asyncio.sleep(0)

    await asyncio.gather(*(call() for _ in range(50)))
    assert most == START
    assert pace.inflight == 0


def test_a_spool_of_nothing_is_empty(tmp_path: Path) -> None:
    assert build_spool(tmp_path, iter(()), lambda: None) == Spool(tmp_path / "rows.jsonl", 0)
