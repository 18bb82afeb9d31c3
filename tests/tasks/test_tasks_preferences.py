"""Rows of language models as files have them: prompts with completions, talks of OpenAI's files, preference pairs of many forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.tasks.base import TASKS
from hanlin.tasks.continued_texts import ContinuedTexts, messages_of, passage_of, rejected_of, unlearned_of
from hanlin.tasks.examples import BadExample, Example

USER = {"role": "user", "content": "The capital of Italy?"}
ROME, OSLO = ({"role": "assistant", "content": city} for city in ("Rome.", "Oslo."))
TALK = [("user", "The capital of Italy?"), ("assistant", "Rome.")]


def read(**fields: object) -> Example:
    return ContinuedTexts().read(fields)


def refused(**fields: object) -> str:
    with pytest.raises(BadExample) as caught:
        read(**fields)
    return caught.value.problem


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": {"messages": [USER], "tools": []}, "chosen": [ROME], "rejected": [OSLO]},  # OpenAI's columns by their other names
        {"prompt": [USER], "chosen": [ROME], "rejected": [OSLO]},
        {"prompt": [USER], "chosen": "Rome.", "rejected": "Oslo."},
        {"prompt": USER["content"], "chosen": [ROME], "rejected": [OSLO]},
        {"prompt": USER["content"], "chosen": [USER, ROME], "rejected": [USER, OSLO]},
        {"prompt": [USER], "chosen": [USER, ROME], "rejected": [USER, OSLO]},
        {"chosen": [USER, ROME], "rejected": [USER, OSLO]},
        {"prompt": json.dumps([USER]), "chosen": json.dumps([ROME]), "rejected": json.dumps([OSLO])},
        {"prompt": [{**USER, "content": [{"type": "text", "text": USER["content"]}]}], "chosen": ROME, "rejected": OSLO},
    ],
)
def test_pairs_of_talks_are_one_form(fields: dict[str, object]) -> None:
    found = read(**fields)
    assert [each[:2] for each in messages_of(found.annotation)] == TALK
    assert (rejected_of(found.annotation), found.group) == ("Oslo.", USER["content"])
    assert ContinuedTexts().question(found.text, found.annotation) == {"messages": [USER, ROME]}


@pytest.mark.parametrize(
    "fields", [{"prompt": "Italy:", "chosen": " Rome", "rejected": " Oslo"}, {"chosen": "Italy: Rome", "rejected": "Italy: Oslo"}]
)
def test_pairs_of_texts_are_taken_as_they_are(fields: dict[str, object]) -> None:
    found = read(**fields)
    assert (passage_of(found.annotation), rejected_of(found.annotation)) == (("Italy:", " Rome"), " Oslo")
    assert ContinuedTexts().question(found.text, found.annotation) == "Italy: Rome"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompt": "a", "chosen": "b"}, "pair_missing"),
        ({"prompt": "a", "rejected": "b"}, "pair_missing"),
        ({"prompt": "a", "chosen": "b", "rejected": [OSLO]}, "pair_kinds"),
        ({"prompt": 3, "chosen": "b", "rejected": "c"}, "pair_kinds"),
        ({"prompt": [USER], "chosen": [ROME], "rejected": [ROME]}, "pair_same"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "pair_same"),
        ({"prompt": [USER], "chosen": [ROME, USER], "rejected": [OSLO, USER]}, "pair_answer"),
        ({"chosen": [USER, ROME], "rejected": [ROME, OSLO]}, "pair_answer"),
        ({"chosen": [ROME], "rejected": [OSLO]}, "pair_answer"),
        ({"prompt": [USER], "chosen": [{"role": "assistant", "content": None}], "rejected": [OSLO]}, "messages"),
        ({"prompt": [{"role": "judge", "content": "x"}], "chosen": [ROME], "rejected": [OSLO]}, "messages"),
        ({"prompt": [USER], "chosen": [], "rejected": [OSLO]}, "messages"),
        ({"prompt": "a", "chosen": " ", "rejected": "b"}, "text_empty"),
        ({"prompt": "a\ud800", "chosen": "c", "rejected": "b"}, "text_unicode"),
        ({"chosen": "same", "rejected": "same"}, "pair_same"),
    ],
)
def test_a_row_that_is_no_pair_says_why(fields: dict[str, object], problem: str) -> None:
    assert refused(**fields) == problem


def test_prompts_and_completions() -> None:
    found = read(prompt="Italy:", completion=" Rome")
    assert (found.text, passage_of(found.annotation), found.group) == ("Italy: Rome", ("Italy:", " Rome"), "Italy:")
    assert rejected_of(found.annotation) is None
    assert read(prompt="", completion="Rome") == read(text="Rome")
    assert refused(prompt="a", completion="") == "text_empty"
    assert refused(prompt=["a"], completion="b") == "text_type"


def test_talks_of_openais_files() -> None:
    """Weights of answers, the role developer, parts of text, fields that hold nothing."""
    first = {"role": "assistant", "content": "Hi.", "weight": 0, "refusal": None, "tool_calls": None}
    system = {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "short."}]}
    found = read(messages=[system, {"role": "user", "content": "Hello"}, first, USER, {**ROME, "weight": 1}])
    assert messages_of(found.annotation)[0][:2] == ("system", "Be short.")
    assert unlearned_of(found.annotation) == {2}
    assert unlearned_of(read(messages=[USER, ROME]).annotation) == frozenset()
    assert refused(messages=[USER, {**ROME, "weight": 0}]) == "no_answer"
    assert refused(messages=[USER, {**ROME, "weight": 0.5}]) == "messages"
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert refused(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [call]}, ROME]) == "messages_tools"
    assert refused(messages=[USER, {"role": "tool", "content": "x", "tool_call_id": "1"}, ROME]) == "messages_tools"


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"input": {"messages": [{"role": "user", "content": f"{number}?"}]}, "preferred_output": [ROME], "non_preferred_output": [OSLO]}
        for number in range(count)
    ]  # fmt: skip


def test_openais_file_becomes_a_dataset_that_names_its_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    turned = {**rows(1)[0], "preferred_output": [OSLO], "non_preferred_output": [ROME]}
    lines = [*rows(40), {**rows(1)[0], "non_preferred_output": [ROME]}, turned]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    found = ingest([SourceFile(path.name, path)], task=TASKS.get("text-generation"), options=ReadOptions(), out=tmp_path / "out")
    assert [(bad.place.line, bad.problem) for bad in found.bad_rows.first] == [(41, "pair_same")]
    assert (found.conflicts.total, found.rows_kept) == (1, 39), "the same pair both ways round is a contradiction"
    kept = [label for name in ("train", "validation", "test") for label in read_split(tmp_path / "out", name).labels]
    assert {rejected_of(label) for label in kept} == {"Oslo."}


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl", "completions.jsonl"])
def test_files_of_texts(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "pairs.csv":
        path.write_text("prompt,chosen,rejected\n" + "".join(f"{number}:, yes, no\n" for number in range(40)), encoding="utf-8")
    else:
        more = {"chosen": " yes", "rejected": " no"} if name == "pairs.jsonl" else {"completion": " yes"}
        path.write_text("\n".join(json.dumps({"prompt": f"{number}:", **more}) for number in range(40)), encoding="utf-8")
    ingest([SourceFile(name, path)], task=TASKS.get("text-generation"), options=ReadOptions(), out=tmp_path / "out")
    labels = read_split(tmp_path / "out", "train").labels
    assert {found.completion for label in labels if (found := passage_of(label))} == {" yes"}
    assert {rejected_of(label) for label in labels} == ({None} if name == "completions.jsonl" else {" no"})
