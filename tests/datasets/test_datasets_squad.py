"""Questions in SQuAD's form, and in CMRC's two: the same examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.datasets.report import DatasetReport
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS

CONTEXT = "第{}号店九点开门，六点打烊，九点前不营业。"
START = CONTEXT.format(10).index("九点")  # of two-digit shops


def take(folder: Path, value: object, *, form: str = "squad", **options: str) -> tuple[DatasetReport, dict[str, dict[str, object]]]:
    """The report, and the annotation of each context."""
    path = folder / "file"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode())
    chosen = ReadOptions(format=form, split="34/33/33", **options)
    report = ingest([SourceFile("a.json", path)], task=TASKS.get("question-answering"), options=chosen, out=folder / "out")
    rows = [read_split(folder / "out", split) for split in ("train", "validation", "test")]
    return report, {text: json.loads(gold) for part in rows for text, gold in zip(part.texts, part.labels, strict=True)}


def squad(**question: object) -> list[dict[str, object]]:
    """Articles of one paragraph with one question."""
    return [
        {"title": str(n), "paragraphs": [{"id": str(n), "context": CONTEXT.format(n), "qas": [{"id": f"{n}-1", **question}]}]}
        for n in range(10, 30)
    ]  # fmt: skip


def cmrc(**question: object) -> list[dict[str, object]]:
    """CMRC 2018's own form."""
    return [
        {"context_id": str(n), "context_text": CONTEXT.format(n), "title": str(n), "qas": [{"query_id": f"{n}-1", **question}]}
        for n in range(10, 30)
    ]  # fmt: skip


ASKED = "几点开门？"
PLACED = [{"text": "九点", "answer_start": START}]
WANTED = {"question": ASKED, "answers": [{"text": "九点", "start": START}]}


@pytest.mark.parametrize(
    "value",
    [
        {"version": "1.1", "data": squad(question=ASKED, answers=PLACED)},
        {"version": "v2.0", "data": squad(question=ASKED, answers=PLACED, is_impossible=False)},
        squad(question=ASKED, answers=PLACED),
        squad(question=ASKED, answers=[{"text": "九点", "answer_start": -1}]),
        cmrc(query_text=ASKED, answers=["九点"]),
        {"data": cmrc(query_text=ASKED, answers=["九点"])},
    ],
    ids=["1.1", "2.0", "a list", "without places", "cmrc", "cmrc within data"],
)
def test_releases_give_the_same_questions(tmp_path: Path, value: object) -> None:
    report, found = take(tmp_path, value)
    assert found == {CONTEXT.format(n): WANTED for n in range(10, 30)}
    assert (report.format, report.bad_rows.total) == ("squad", 0)


def test_several_answers_as_plain_texts_stand_where_they_first_occur(tmp_path: Path) -> None:
    _, found = take(tmp_path, cmrc(query_text=ASKED, answers=["九点开门", "九点", "六点打烊"]))
    starts = [item["start"] for item in found[CONTEXT.format(12)]["answers"]]  # type: ignore[attr-defined]  # lists
    assert starts == [START, START, START + 5]


@pytest.mark.parametrize("question", [{"answers": []}, {"answers": PLACED, "is_impossible": True}])
def test_no_answer_is_an_answer(tmp_path: Path, question: dict[str, object]) -> None:
    _, found = take(tmp_path, {"data": squad(question=ASKED, **question)})
    assert found[CONTEXT.format(12)] == {"question": ASKED, "answers": []}


def test_what_is_no_question_is_a_bad_row_by_its_number(tmp_path: Path) -> None:
    value = cmrc(query_text=ASKED, answers=["九点"])
    value[1]["qas"] = ["what?"]
    value[2]["qas"] = [{"query_text": ASKED, "answers": ["十点"]}]
    value[3]["qas"] = [{"query_id": "x", "answers": ["九点"]}]
    report, found = take(tmp_path, value)
    assert [(row.place.line, row.problem) for row in report.bad_rows.first] == [(2, "json"), (3, "answer_place"), (4, "text_missing")]
    assert len(found) == 17


@pytest.mark.parametrize("content", [b'{"data": 3}', b"[1, 2", b'{"version": "2.0"}'])
def test_what_is_none_of_the_forms_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        take(tmp_path, content)
    assert caught.value.code == "json_unreadable"


@pytest.mark.parametrize("release", ["squad", "cmrc"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_files_named_json_are_known_by_their_keys(tmp_path: Path, release: str, codec: str) -> None:
    value = squad(question=ASKED, answers=PLACED) if release == "squad" else cmrc(query_text=ASKED, answers=["九点"])
    content = json.dumps({"version": "1.1", "data": value} if release == "squad" else value, ensure_ascii=False).encode(codec)
    report, found = take(tmp_path, content, form="")
    assert (report.format, found[CONTEXT.format(12)]) == ("squad", WANTED)


def test_a_plain_list_of_objects_is_none(tmp_path: Path) -> None:
    rows = [{"context": CONTEXT.format(n), "question": 'Which "qas"?', "answers": ["九点"]} for n in range(10, 30)]
    assert take(tmp_path, rows, form="")[0].format == "json"


def test_chinese_encodings(tmp_path: Path) -> None:
    content = json.dumps(cmrc(query_text=ASKED, answers=["九点"]), ensure_ascii=False).encode("gb18030")
    assert take(tmp_path, content)[1][CONTEXT.format(12)] == WANTED
