"""Corpora out of the small real packages, whole: counts, places of spans, meanings. Fetched once into build/packages."""

import hashlib
import json
import sqlite3
from collections import Counter

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.datasets.columns import choose_columns
from hanlin.datasets.corpora import CORPORA, library, write
from hanlin.tasks import TASKS

ROWS = {
    "newspaper-entities": 18_994, "newspaper-pos": 18_999, "newspaper-questions": 5_770, "home-intents-en": 10_108,
    "home-intents-zh": 7_585,
    "question-answers-en": 898, "question-answers-zh": 465, "answer-pairs-zh": 921, "chats-en": 899, "chats-zh": 465,
    "library-queries-en": 1_271, "library-queries-zh": 1_327, "review-aspects-en": 920, "review-aspects-zh": 6_533,
    "reviews-en": 2_983, "reviews-zh": 17_363,
    "brown-pos": 56_418, "brown-genres": 6_042, "brown-text": 500,
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rows(rows_of, name):
    rows, corpus = rows_of(name), CORPORA.get(name)
    assert len(rows) == ROWS[name]
    assert all(tuple(row) == corpus.columns for row in rows)
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", [name for name in ROWS if not name.startswith("library-queries")])
def test_tasks_read_them_without_options(rows_of, name):
    corpus, rows = CORPORA.get(name), rows_of(name)[:200]
    if corpus.task in TASKS.names() and (form := TASKS.get(corpus.task).examples).has_answers:
        choice = choose_columns(corpus.columns, TASKS.get(corpus.task), ReadOptions(), file=name)
        for row in rows:
            example = form.read({column: row[header] for column, header in choice.headers.items()})
            assert example.annotation or (corpus.task == "fill-mask" and example.text)  # a raw text says itself what is right


@pytest.mark.parametrize("name", ["newspaper-entities", "home-intents-en", "home-intents-zh"])
def test_spans_are_where_they_say(rows_of, name):
    for row in rows_of(name):
        end = 0
        for span in sorted(row.get("entities", row.get("spans")), key=lambda span: span["start"]):
            said = row["text"][span["start"] : span["end"]]
            assert span["start"] >= end
            assert said == said.strip() != ""
            end = span["end"]


def test_names_of_two_words_are_one_person(rows_of):
    row = next(row for row in rows_of("newspaper-entities") if row["text"].startswith("中共中央总书记、国家主席江泽民"))
    assert [(row["text"][span["start"] : span["end"]], span["label"]) for span in row["entities"]] == [
        ("中共中央", "ORG"),
        ("江泽民", "PER"),
    ]
    kinds = Counter(span["label"] for row in rows_of("newspaper-entities") for span in row["entities"])
    assert set(kinds) == {"PER", "LOC", "ORG"}
    assert min(kinds.values()) > 3_000


def test_meanings_are_whole(rows_of):
    for name, intents in (("home-intents-en", 42), ("home-intents-zh", 40)):
        rows = rows_of(name)
        assert len({row["intent"] for row in rows}) == intents
        assert max(Counter(row["group"] for row in rows).values()) <= 36  # a template that stands in several places
        for row in rows:
            spoken = {span["label"]: span["value"] for span in row["spans"]}
            assert row["slots"] == {**row["implied"], **spoken}
    meanings = {}
    for row in rows_of("home-intents-en"):
        assert meanings.setdefault(row["text"], row["slots"]) == row["slots"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_query_runs_and_nearly_all_find_something(rows_of, language):
    database = sqlite3.connect(":memory:")
    database.executescript(library.script(language))
    found = [database.execute(row["sql"]).fetchall() for row in rows_of(f"library-queries-{language}")]
    database.close()
    assert sum(map(bool, found)) > 0.95 * len(found)
    assert len({row["pattern"] for row in rows_of(f"library-queries-{language}")}) == 39


def test_answers_stand_in_their_contexts(rows_of):
    rows = rows_of("newspaper-questions")
    answered = [row for row in rows if row["answers"]["text"]]
    for row in answered:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
    assert 0.2 < 1 - len(answered) / len(rows) < 0.4


def test_brown_reads_like_text(rows_of):
    first = rows_of("brown-text")[0]["text"].split("\n")[0]
    assert first.startswith(
        'The Fulton County Grand Jury said Friday an investigation of Atlanta\'s recent primary election produced "no evidence"'
    )
    assert len({row["label"] for row in rows_of("brown-genres")}) == 15
    tags = Counter(tag for row in rows_of("brown-pos") for tag in row["tags"])
    assert len(tags) < 250
    assert tags.most_common(1)[0][0] == "nn"


@pytest.mark.parametrize("name", ["home-intents-zh", "library-queries-en", "newspaper-entities"])
def test_a_corpus_is_the_same_every_time(source, tmp_path, name):
    first, again = (write(CORPORA.get(name), source, tmp_path / folder) for folder in "ab")
    assert first.sha256 == again.sha256 == hashlib.sha256(again.path.read_bytes()).hexdigest()


def test_a_corpus_is_read_as_a_dataset_with_its_groups(rows_of, source, tmp_path):
    written = write(CORPORA.get("brown-genres"), source, tmp_path, rows=1_500)
    options = ReadOptions()
    report = ingest(
        [SourceFile(written.path.name, written.path)], task=TASKS.get("text-classification"), options=options, out=tmp_path / "out"
    )
    assert report.rows_kept > 1_400
    documents = {row["text"]: row["group"] for row in rows_of("brown-genres")}
    found: dict[str, set[str]] = {}
    for split in ("train", "validation", "test"):
        for text in read_split(tmp_path / "out", split).texts:
            found.setdefault(documents[text], set()).add(split)
    assert len(found) > 90
    assert all(len(splits) == 1 for splits in found.values())
