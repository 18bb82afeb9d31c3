"""Rows as files of the field's formats."""

import json

import pytest

from hanlin.datasets.corpora import FORMATS, Corpus, Source, write
from hanlin.datasets.corpora.writing import bio
from hanlin.errors import InvalidInput

SPANS = {"text": "江泽民 在北京", "entities": [{"start": 0, "end": 3, "label": "PER"}, {"start": 5, "end": 7, "label": "LOC"}]}
FRAMES = {
    "tokens": ["She", "gave", "him", "books"],
    "frames": [
        {
            "predicate": 1,
            "lemma": "give",
            "arguments": [
                {"start": 0, "end": 1, "role": "ARG0", "head": 0},
                {"start": 2, "end": 3, "role": "ARG2", "head": 2},
                {"start": 3, "end": 4, "role": "ARGM-TMP", "head": 3},
            ],
        }
    ],
}
QUESTION = {"id": "1", "question": "Who?", "context": "It was Ann.", "answers": {"text": ["Ann"], "answer_start": [7]}}
UNANSWERED = {"id": "2", "question": "Where?", "context": "It was Ann.", "answers": {"text": [], "answer_start": []}}


def corpus_of(rows, *formats, beside=()):
    return Corpus("little", "task", ("en",), "gold", "here", "MIT", "About.", "关于。", lambda source: iter(rows), (), formats, beside)


def content(tmp_path, rows, form):
    written = write(corpus_of(rows, form), Source(tmp_path), tmp_path / "out")
    assert written.rows == len(rows)
    return written.path.read_text(encoding="utf-8")


def test_spans_become_bio_by_character(tmp_path):
    assert bio(SPANS) == [("江", "B-PER"), ("泽", "I-PER"), ("民", "I-PER"), ("在", "O"), ("北", "B-LOC"), ("京", "I-LOC")]
    assert content(tmp_path, [SPANS, SPANS], "conll").count("\n\n") == 2
    assert content(tmp_path, [{"tokens": ["a", "b"], "tags": ["X", "Y"]}], "conll") == "a X\nb Y\n\n"


def test_frames_become_columns(tmp_path):
    lines = [line.split("\t") for line in content(tmp_path, [FRAMES], "conll2009").splitlines() if line]
    assert [line[1] for line in lines] == FRAMES["tokens"]
    assert [len(line) for line in lines] == [15] * 4
    assert lines[1][12:14] == ["Y", "give"]
    assert [line[14] for line in lines] == ["ARG0", "_", "ARG2", "ARGM-TMP"]


def test_frames_become_props(tmp_path):
    assert content(tmp_path, [FRAMES], "props") == "She\t-\t(A0*)\ngave\tgive\t(V*)\nhim\t-\t(A2*)\nbooks\t-\t(AM-TMP*)\n\n"


def test_questions_become_squad(tmp_path):
    found = json.loads(content(tmp_path, [QUESTION, UNANSWERED], "squad"))
    ((paragraph,),) = [article["paragraphs"] for article in found["data"]]
    assert [qa["is_impossible"] for qa in paragraph["qas"]] == [False, True]
    answer = paragraph["qas"][0]["answers"][0]
    assert paragraph["context"][answer["answer_start"] :].startswith(answer["text"])


def test_pairs_become_a_table_and_texts_become_lines(tmp_path):
    assert content(tmp_path, [{"source": "a\tb", "target": "c\nd"}], "tsv") == "source\ttarget\na b\tc d\n"
    assert content(tmp_path, [], "tsv") == ""
    assert content(tmp_path, [{"text": "a\nb"}, {"text": "c"}], "txt") == "a b\nc\n"


def test_what_it_is_stands_beside_it(tmp_path):
    write(corpus_of([SPANS], "jsonl", beside=(("tables.sql", lambda: "CREATE TABLE a (b);"),)), Source(tmp_path), tmp_path)
    told = json.loads((tmp_path / "little.about.json").read_text(encoding="utf-8"))
    assert (told["licence"], told["nature"], told["rows"], told["file"]) == ("MIT", "gold", 1, "little.jsonl")
    assert (tmp_path / "tables.sql").read_text() == "CREATE TABLE a (b);"
    assert json.loads((tmp_path / "little.jsonl").read_text(encoding="utf-8")) == SPANS
    assert not list(tmp_path.glob(".*"))


def test_a_sample_is_the_same_every_time_and_keeps_groups_together(tmp_path):
    rows = [{"text": str(at), "group": str(at // 4)} for at in range(400)]
    first, again = (write(corpus_of(rows, "jsonl"), Source(tmp_path), tmp_path / name, rows=40) for name in ("a", "b"))
    assert first.sha256 == again.sha256
    found = [json.loads(line) for line in first.path.read_text().splitlines()]
    assert len(found) == 40
    assert len({row["group"] for row in found}) == 10
    assert [int(row["text"]) for row in found] == sorted(int(row["text"]) for row in found)


def test_a_format_that_a_corpus_has_not_is_refused(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        write(corpus_of([SPANS], "jsonl", "conll"), Source(tmp_path), tmp_path, format="squad")
    assert caught.value.code == "corpus_format"
    assert "jsonl, conll" in str(caught.value)


def test_every_format_is_of_some_corpus():
    from hanlin.datasets.corpora import CORPORA

    known = {form for name in CORPORA.names() for form in CORPORA.get(name).formats}
    assert known == set(FORMATS)
