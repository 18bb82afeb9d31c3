"""Which labels are new and which are gone is said in both languages, whatever their order."""

from __future__ import annotations

import pytest

from hanlin.tasks.label_change import label_change

CASES = [
    (("a", "b"), ("b", "c"), "the labels are not those of m:1: new are c; gone are a", "标签与 m:1 不同：新增 c；减少 a"),
    (("a",), ("a", "c", "b"), "the labels are not those of m:1: new are b, c", "标签与 m:1 不同：新增 b, c"),
    (("a", "b"), (), "the labels are not those of m:1: gone are a, b", "标签与 m:1 不同：减少 a, b"),
]


@pytest.mark.parametrize(("before", "now", "english", "chinese"), CASES)
def test_the_change_is_said(before: tuple[str, ...], now: tuple[str, ...], english: str, chinese: str) -> None:
    found = label_change("m:1", before, now)
    assert found is not None
    assert (found.text("en"), found.text("zh")) == (english, chinese)


def test_the_same_labels_are_no_change() -> None:
    assert label_change("m:1", ("a", "b"), ["b", "a"]) is None


def test_of_very_many_the_first_are_named() -> None:
    found = label_change("m:1", (), [f"label-{number:02}" for number in range(30)])
    assert found is not None
    assert found.params["new"] == "label-00, label-01, label-02, label-03, label-04, label-05, label-06, label-07, label-08, label-09, …"
