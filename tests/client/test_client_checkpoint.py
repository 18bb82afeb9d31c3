"""A map that was broken off goes on where it stopped."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from hanlin import errors
from hanlin.client import Ask, AsyncHanlin, Classify, Embed, Predict, TagTokens
from hanlin.client.checkpoint import Checkpoint, digest_of

TEXTS = [f"{'好' if index % 3 else '坏'} {index}" for index in range(200)]


def answers(hanlin, path: Path, texts=TEXTS, **more) -> list[str]:
    rows = hanlin.map("sentiment", texts, group_size=10, checkpoint=path, **more)
    return [getattr(row, "label", None) or row.code for row in rows]


def test_what_was_answered_is_not_asked_again(hanlin, world, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = hanlin.map("sentiment", TEXTS, group_size=10, checkpoint=path, concurrency=1)
    begun = list(itertools.islice(rows, 100))
    rows.close()
    asked = len(world.paths("POST"))
    assert answers(hanlin, path)[:100] == [row.label for row in begun]
    assert 9 <= len(world.paths("POST")) - asked <= 10
    asked = len(world.paths("POST"))
    assert answers(hanlin, path, iter(TEXTS)) == ["pos" if index % 3 else "neg" for index in range(200)]
    assert len(world.paths("POST")) == asked


async def test_it_goes_on_with_asyncio_what_was_begun_without(hanlin, world, standin, tmp_path: Path) -> None:
    answers(hanlin, tmp_path / "a", TEXTS[:100])
    asked = len(world.paths("POST"))
    async with AsyncHanlin(world.url, standin.KEY) as client:
        rows = [row async for row in client.map("sentiment", TEXTS, group_size=10, checkpoint=tmp_path / "a")]
    assert (len(rows), len(world.paths("POST")) - asked) == (200, 10)


@pytest.mark.parametrize("left", [1, 30, 5000])
def test_half_a_line_is_cut_off(hanlin, world, tmp_path: Path, left: int) -> None:
    path = tmp_path / "a"
    whole = answers(hanlin, path)
    content = path.read_bytes()
    path.write_bytes(content[:-left])
    asked = len(world.paths("POST"))
    assert answers(hanlin, path) == whole
    assert len(world.paths("POST")) > asked
    assert path.read_bytes() == content


def test_an_empty_file_is_a_beginning(hanlin, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"hanlin_map"')
    assert len(answers(hanlin, tmp_path / "a")) == 200


def test_refused_texts_are_written_down_with_their_errors(hanlin, world, tmp_path: Path) -> None:
    texts = [*TEXTS[:15], "", *TEXTS[15:20]]
    first = answers(hanlin, tmp_path / "a", texts, on_error="return")
    asked = len(world.paths("POST"))
    assert answers(hanlin, tmp_path / "a", texts, on_error="return") == first
    assert (first[15], len(world.paths("POST"))) == ("empty_text", asked)


def test_a_text_that_was_raised_may_be_mended(hanlin, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput):
        answers(hanlin, tmp_path / "a", [*TEXTS[:15], ""])
    assert len(answers(hanlin, tmp_path / "a", [*TEXTS[:15], "好"])) == 16


def test_other_work_is_refused(hanlin, tmp_path: Path) -> None:
    path = tmp_path / "a"
    answers(hanlin, path)
    for texts in (TEXTS[:5], ["other", *TEXTS[1:]]):
        with pytest.raises(errors.Conflict) as caught:
            answers(hanlin, path, texts)
        assert caught.value.code == "checkpoint_of_other_work"
    for endpoint, question in (("sentiment", Classify(top_k=1)), ("other", Classify()), ("sentiment", Embed())):
        with pytest.raises(errors.Conflict):
            list(hanlin.map(endpoint, TEXTS, question, checkpoint=path))


def test_one_map_a_file(hanlin, tmp_path: Path) -> None:
    rows = hanlin.map("sentiment", TEXTS, checkpoint=tmp_path / "a")
    next(rows)
    with pytest.raises(errors.Conflict) as caught:
        answers(hanlin, tmp_path / "a")
    assert caught.value.code == "checkpoint_in_use"
    rows.close()


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b'{"digest": "x"}\n', b'{"digest": "x", "answers": [{"answer": 7}]}\n'])
def test_a_file_that_cannot_be_read_is_told(hanlin, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a"
    answers(hanlin, path, TEXTS[:10])
    head = path.read_bytes().split(b"\n", 1)[0] + b"\n"
    path.write_bytes(head + line)
    with pytest.raises(errors.DataCorrupt) as caught:
        answers(hanlin, path)
    assert caught.value.code == "checkpoint_corrupt"


@pytest.mark.parametrize("content", [b"notes without a line end", b"\0" * 500, b"first\nsecond without an end", b"\xff\xfe"])
def test_a_file_of_something_else_stays_as_it_is(hanlin, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(errors.DataCorrupt):
        answers(hanlin, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content


def test_a_folder_is_no_checkpoint(hanlin, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        answers(hanlin, tmp_path)
    assert caught.value.code == "file_unwritable"


@pytest.mark.parametrize(
    ("endpoint", "question"),
    [
        ("sentiment", Classify()),
        ("vectors", Embed(dimensions=2)),
        ("names", TagTokens()),
        ("sentiment", Predict({"top_k": 1})),
        ("sentiment", Ask()),
    ],
)
def test_every_question_reads_what_it_wrote(hanlin, tmp_path: Path, endpoint, question) -> None:
    texts = ["Ada 好", "Bob"]
    found = list(hanlin.map(endpoint, texts, question, checkpoint=tmp_path / "a"))
    file = Checkpoint(tmp_path / "a", endpoint, question)
    (kept,) = file.kept()
    file.close()
    assert kept.answers == found


def test_digests_tell_texts_apart() -> None:
    lists = [["a", "b"], ["ab"], ["a", "b", ""], ["b", "a"], [None], ["None"], [1], ["a\ud800"]]
    assert len({digest_of(texts) for texts in lists}) == len(lists)
