"""Files of a fine-tuning: chats become rows, and a validation file decides what is validated on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.errors import InvalidInput
from hanlin.pipelines.fine_tune import _plain
from hanlin.tasks.base import TASKS

TASK = "text-classification"


def chat(*turns: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n"


def test_chats_of_one_turn_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(chat(("system", "s"), ("user", "好"), ("assistant", "good")) + "\n" + chat(("user", "差"), ("assistant", "bad")))
    first, blank, last = _plain(path, TASK).read_text(encoding="utf-8").splitlines()
    assert (json.loads(first), blank, json.loads(last)) == ({"text": "好", "label": "good"}, "", {"text": "差", "label": "bad"})


@pytest.mark.parametrize("task", ["sentiment", "sentiment-analysis", "sequence-classification"])
def test_chats_teach_every_task_of_text_and_label(tmp_path: Path, task: str) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(chat(("user", f"好 {number}"), ("assistant", ["good", "bad"][number % 2])) for number in range(30)))
    found = ingest([SourceFile("rows.jsonl", _plain(path, task))], task=TASKS.get(task), options=ReadOptions(), out=tmp_path / "out")
    assert found.bad_rows.total == 0
    rows = [row for name in ("train", "validation", "test") for row in read_split(tmp_path / "out", name).labels]
    assert sorted(rows) == ["bad"] * 15 + ["good"] * 15


def test_other_files_stay_as_they_are(tmp_path: Path) -> None:
    for name, content in (("rows.jsonl", '{"text": "a", "label": "b"}\n'), ("rows.csv", "text,label\n"), ("broken.jsonl", "{")):
        path = tmp_path / name
        path.write_text(content)
        assert _plain(path, TASK) == path
    chats = tmp_path / "chats.jsonl"
    chats.write_text(chat(("user", "a"), ("assistant", "b")))
    assert _plain(chats, "embedding") == chats


@pytest.mark.parametrize(
    "line",
    [
        chat(("user", "a")), chat(("user", "a"), ("assistant", "b"), ("user", "c")), chat(("assistant", "a"), ("user", "b")),
        chat(("user", "a"), ("assistant", None)), "{\n", '{"messages": [{"role": "user"}]}\n', "3\n",
        '{"messages": 3}\n', '{"messages": ' + "[" * 100_000 + "\n",
    ],
)  # fmt: skip
def test_a_chat_of_another_form_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(chat(("user", "a"), ("assistant", "b")) + line)
    with pytest.raises(InvalidInput, match="line 2") as caught:
        _plain(path, TASK)
    assert caught.value.code == "chat_line_wrong"


def test_half_a_character_in_a_chat_is_a_bad_row_of_its_line(tmp_path: Path) -> None:
    """Bug: the job ended with an internal error."""
    path = tmp_path / "chats.jsonl"
    good = "".join(chat(("user", f"好 {number}"), ("assistant", ["good", "bad"][number % 2])) for number in range(30))
    path.write_text(good + "\n" + chat(("user", "\ud800"), ("assistant", "good")))
    found = ingest([SourceFile("rows.jsonl", _plain(path, TASK))], task=TASKS.get(TASK), options=ReadOptions(), out=tmp_path / "out")
    assert [(row.place.line, row.problem) for row in found.bad_rows.first] == [(32, "text_unicode")]


def test_other_files_of_deep_lines_are_left_to_their_reader(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_text("[" * 100_000)
    assert _plain(path, TASK) == path


def test_rows_of_a_validation_file_are_the_validation_split(tmp_path: Path) -> None:
    rows = {name: [f"{name} {number}" for number in range(count)] for name, count in (("train", 90), ("validation", 20))}
    files = []
    for name, texts in rows.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text, "label": "ab"[number % 2]}) + "\n" for number, text in enumerate(texts)))
        files.append(SourceFile(path.name, path))
    out = tmp_path / "out"
    ingest(files, task=TASKS.get(TASK), options=ReadOptions(), out=out, validation=(1,))
    assert sorted(read_split(out, "validation").texts) == sorted(rows["validation"])
    learnt, held = read_split(out, "train").texts, read_split(out, "test").texts
    assert sorted(learnt + held) == sorted(rows["train"])
    assert learnt and held
