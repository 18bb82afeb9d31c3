"""Doubts about tags: planted wrong ones come first, in both languages and for roles; nothing is doubted where nothing can be learnt."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hanlin.tasks import TASKS
from hanlin.training import doubted_tokens
from hanlin.training.doubted_tokens import Read, find_doubted_tokens, of_entities, of_frames
from hanlin.training.doubts import Doubts
from hanlin.types import JsonObject

NAMES = {
    "en": ({"PER": ["Ann Lee", "Bob Ray", "Eve Fox", "Tom Hill"], "LOC": ["Rome", "Oslo", "New York", "Bonn"]}, "{PER} lives in {LOC} now"),
    "zh": ({"PER": ["张三丰", "李四", "王小明", "赵云"], "LOC": ["北京", "上海市", "南京", "巴黎"]}, "昨天{PER}到了{LOC}去看书"),
}


def tagged(language: str, wrong: dict[int, str]) -> tuple[list[str], list[str]]:
    """Texts and annotations; in `wrong` rows the place has another label, or none."""
    names, form = NAMES[language]
    chance, texts, annotations = random.Random(1), [], []
    for row in range(200):
        chosen = {label: chance.choice(words) for label, words in names.items()}
        text = f"{chance.randrange(10**6)} {form.format(**chosen)}"
        labels = {"PER": "PER", "LOC": wrong.get(row, "LOC")}
        entities = [
            {"start": text.index(words), "end": text.index(words) + len(words), "label": labels[label]}
            for label, words in chosen.items()
            if labels[label]
        ]
        example = TASKS.get("token-classification").examples.read({"text": text, "entities": entities})
        texts.append(example.text), annotations.append(example.annotation)
    return texts, annotations


def doubts_of(texts: list[str], annotations: list[str], read: Read) -> Doubts:
    found = find_doubted_tokens(texts, annotations, read, np.arange(len(texts)))
    assert found is not None
    return found


@pytest.mark.parametrize("language", NAMES)
def test_wrong_tags_come_first_with_the_words_that_have_them(language: str) -> None:
    wrong = {11: "PER", 60: "", 120: "PER", 177: ""}
    texts, annotations = tagged(language, wrong)
    found = doubts_of(texts, annotations, of_entities)
    first = {doubt.row: doubt for doubt in found.doubts[:4]}
    assert first.keys() == wrong.keys()
    assert all((doubt.given, doubt.other) == (wrong[row], "LOC") for row, doubt in first.items())
    assert all(any(first[row].words in name for name in NAMES[language][0]["LOC"]) for row in wrong)
    assert len({doubt.row for doubt in found.doubts}) == len(found.doubts) == sum(rows for _, _, rows in found.confusions)
    assert found.right > 0.95 > found.plain


def framed(wrong: set[int]) -> tuple[list[str], list[str]]:
    chance, texts, annotations = random.Random(2), [], []
    form = TASKS.get("semantic-role-labelling").examples
    for row in range(200):
        tokens = [chance.choice(["Ann", "Bob", "Eve"]), chance.choice(["eats", "sees", "buys"]), chance.choice(["bread", "fish", "cake"])]
        roles = ("A1", "A0") if row in wrong else ("A0", "A1")
        arguments = [{"start": at, "end": at + 1, "role": role} for at, role in zip((0, 2), roles, strict=True)]
        fields: JsonObject = {"tokens": [*tokens, str(row)], "frames": [{"predicate": 1, "arguments": arguments}]}  # type: ignore[dict-item]
        example = form.read(fields)
        texts.append(example.text), annotations.append(example.annotation)
    return texts, annotations


def test_wrong_roles_come_first() -> None:
    wrong = {5, 77, 150}
    found = doubts_of(*framed(wrong), of_frames)
    assert {doubt.row for doubt in found.doubts[:3]} == wrong
    assert {(doubt.given, doubt.other) for doubt in found.doubts[:3]} <= {("A0", "A1"), ("A1", "A0")}


def test_a_text_counts_once_for_each_of_its_predicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tags of a text are looked at anew for each: what is looked at at most holds for them together."""
    texts, annotations = framed(set())
    form = TASKS.get("semantic-role-labelling").examples
    tokens = ["Ann", "eats", "bread"] * 40
    frames = [{"predicate": at, "arguments": [{"start": at - 1, "end": at, "role": "A0"}]} for at in range(1, 120, 3)]
    dense = form.read({"tokens": tokens, "frames": frames})
    limit = sum(map(len, texts))
    monkeypatch.setattr(doubted_tokens, "MAX_CHARACTERS", limit)
    looked: list[str] = []

    def read(text: str, annotation: str) -> list[doubted_tokens.Tagged]:
        looked.append(text)
        return of_frames(text, annotation)

    assert doubts_of([*texts, dense.text], [*annotations, dense.annotation], read).rows == len(texts)
    assert looked == texts
    looked.clear()
    some = form.read({"tokens": tokens[:6], "frames": [{"predicate": at, "arguments": []} for at in range(6)]})
    assert doubts_of([*texts, *[some.text] * 10], [*annotations, *[some.annotation] * 10], read).rows == len(looked) < len(texts)


def test_where_nothing_can_be_learnt_nothing_is_doubted() -> None:
    texts = [f"word{row}" for row in range(60)]
    form = TASKS.get("token-classification").examples
    one = [form.read({"text": text, "entities": []}).annotation for text in texts]
    assert find_doubted_tokens(texts, one, of_entities, np.arange(60)) is None
    chance = random.Random(3)
    spans = [[{"start": 0, "end": len(text), "label": chance.choice("ab")}] for text in texts]
    found = doubts_of(
        texts, [form.read({"text": text, "entities": one}).annotation for text, one in zip(texts, spans, strict=True)], of_entities
    )
    assert found.right <= found.plain
    assert not found.doubts
