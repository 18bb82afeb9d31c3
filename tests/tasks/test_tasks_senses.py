"""Senses of predicates: the one that a word mostly had, words never seen, what a stored form may hold."""

from __future__ import annotations

import json

import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks.senses import PredicateSenses, learn_senses

SEEN = [("Wrote", "write.01"), ("wrote", "write.01"), ("wrote", "write.02"), ("left", "leave.02"), ("left", "leave.01"), ("ran", "run.01")]


def test_a_word_has_the_sense_that_it_mostly_had() -> None:
    senses = learn_senses(SEEN)
    assert senses is not None
    assert [senses.of(word) for word in ("wrote", "WROTE", "left")] == ["write.01", "write.01", "leave.01"]  # equal: by the alphabet
    assert PredicateSenses.from_json(json.loads(json.dumps(senses.to_json()))) == senses


def test_a_word_never_seen_has_the_usual_number_or_its_own_name() -> None:
    assert [learn_senses(seen).of("Painted") for seen in (SEEN, [("卖", "卖"), ("买", "买")])] == ["painted.01", "painted"]  # type: ignore[union-attr]


def test_what_has_no_sense_teaches_none() -> None:
    assert learn_senses([]) is None
    assert learn_senses([("İ" * 80, "write.01")]) is None, "two characters each in lower case: it could not be read again"
    assert learn_senses([("wrote", ""), ("w" * 81, "write.01")]) is None
    assert learn_senses([("wrote", ""), ("ran", "run.01")]) == PredicateSenses({"ran": "run.01"}, "01")


@pytest.mark.parametrize(
    "value",
    [
        [], {"words": {}}, {"words": [], "usual": ""}, {"words": {"a": 1}, "usual": ""}, {"words": {"a": ""}, "usual": ""},
        {"words": {"a": "s" * 81}, "usual": ""}, {"words": {}, "usual": 1}, {"words": {}, "usual": "", "more": 1},
    ],
)  # fmt: skip
def test_a_broken_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        PredicateSenses.from_json(value)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_model_spec"
