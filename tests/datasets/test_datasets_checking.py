"""What looking through stored rows finds: leaks that hashing misses, lengths, languages; rows named as they are stored."""

from __future__ import annotations

import pytest

from hanlin.datasets import read_split
from hanlin.datasets.checking import fetch_rows, look_through, shown_pairs, twins_report
from hanlin.datasets.language import language_of

SPLITS = ("train", "validation", "test")


def table(rows):
    return "text,label\n" + "\n".join(f"{text},{label}" for text, label in rows) + "\n"


def look(bench, tmp_path, *, is_classified=True, limit=8):
    work = tmp_path / f"work-{bench.runs}"
    work.mkdir()
    return look_through(bench.out, work, rows=1, is_classified=is_classified, likeness=0.7, limit=limit)


def test_near_copies_across_splits_are_leaks(bench, tmp_path):
    long = " ".join(f"{letter}{{0}}" for letter in "abcdefghijkl")
    rows = [(long.format(at), "good") for at in range(120)] + [(f"{long.format(at)} indeed", "bad") for at in range(120)]
    bench.ingest(("a.csv", table(rows)))
    found = look(bench, tmp_path)
    numbers = [number for pair in shown_pairs(found) for number in (pair.first, pair.second)]
    report = twins_report(found, fetch_rows(bench.out, found.edges, numbers))
    places = {text: split for split in SPLITS for text in read_split(bench.out, split).texts}
    order = SPLITS.index
    leaks = {"validation": 0, "test": 0}
    for at in range(120):
        one, other = sorted((places[long.format(at)], places[f"{long.format(at)} indeed"]), key=order)
        if one != other:
            leaks[other] += 1
    assert sum(leaks.values()) >= 20
    assert report["leaks"] == {"total": sum(leaks.values()), **leaks}
    assert (report["rows"], report["groups"], report["largest_group"], report["other_labels"]) == (120, 120, 2, 120)
    first = report["pairs"][0]
    assert first["first"]["split"] != first["second"]["split"]
    for row in (first["first"], first["second"]):
        stored = read_split(bench.out, row["split"])
        assert stored.texts[row["row"] - 1][:60] == row["text"][:60]
        assert stored.labels[row["row"] - 1] == row["answer"]


def test_lengths_and_languages_in_whole_and_by_label(bench, tmp_path):
    rows = [(f"这家酒店的房间很干净我们住了{at}天", "zh") for at in range(30)] + [(f"it was the best of {at}", "en") for at in range(20)]
    bench.ingest(("a.csv", table(rows)))
    profile = look(bench, tmp_path).profile
    assert profile["languages"] == [{"language": "zh", "rows": 30}, {"language": "en", "rows": 20}]
    assert profile["tokens"]["p50"] == 16
    assert (profile["tokens"]["cut"], profile["tokens"]["limit"], profile["tokens"]["by"]) == (30, 8, "units")
    assert profile["tokens"]["bars"] == [{"up_to": 10, "rows": 20}, {"up_to": 15, "rows": 0}, {"up_to": 20, "rows": 30}]
    assert [(one["label"], one["rows"], one["cut"]) for one in profile["labels"]] == [("zh", 30, 30), ("en", 20, 0)]
    assert profile["labels"][1]["languages"] == [{"language": "en", "rows": 20}]


def test_annotations_of_other_tasks_are_no_labels(bench, tmp_path):
    bench.ingest(("a.csv", table([(f"text number {at}", at % 2) for at in range(40)])))
    found = look(bench, tmp_path, is_classified=False)
    assert (found.golds, found.profile["labels"], found.rows) == ([], [], 40)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("这部 iPhone 手机不错", "zh"), ("The room was not clean.", "en"), ("これはペンです", "ja"), ("좋아요", "ko"),
        ("Das Zimmer ist nicht sauber", "de"), ("La chambre est très propre et calme", "fr"), ("Wow", "und-Latn"), ("12!", "und"),
        ("Очень хорошо", "und-Cyrl"), ("👍", "und"),
    ],
)  # fmt: skip
def test_languages_by_scripts_and_small_words(text, language):
    assert language_of(text) == language
