"""What may be searched: every option of a training that can vary, checked by the training's own rules; the rest is refused by name."""

from __future__ import annotations

import pytest

from hanlin.errors import InvalidInput
from hanlin.training.option_rules import SCRATCH_MODELS
from hanlin.training.search.space import Between, Choices, Space
from hanlin.types import JsonObject, JsonValue

TASK = "text-classification"


def space_of(space: JsonObject | None, fixed: JsonObject | None = None, model: str = "lstm") -> Space:
    return Space.from_json(space, fixed=fixed or {}, model=model, task=TASK)


def test_every_form_is_read_and_written_back() -> None:
    asked: JsonObject = {
        "rate": {"min": 1e-4, "max": 0.1, "log": True}, "epochs": {"min": 2, "max": 8, "step": 2}, "dropout": {"min": 0, "max": 0.5},
        "schedule": {"choices": ["linear", "cosine"]}, "ngrams": [True, False],
    }  # fmt: skip
    found = space_of(asked)
    assert found.options["rate"] == Between(1e-4, 0.1, None, True, False)
    assert found.options["epochs"] == Between(2, 8, 2, False, True)
    assert found.options["ngrams"] == Choices((True, False))
    assert space_of(found.to_json()).options == found.options


@pytest.mark.parametrize("model", [*SCRATCH_MODELS, "base"])
def test_the_default_space_holds_what_the_model_has_without_a_search_and_nothing_it_cannot_have(model: str) -> None:
    found = space_of(None, model=model)
    assert len(found.options) >= 7
    assert found.defaults() is not None
    assert space_of(found.to_json(), model=model).options == found.options, "each bound passes the option's own check"


def test_what_is_set_is_not_searched_by_default() -> None:
    assert "rate" not in space_of(None, {"rate": 0.01}).options


def test_defaults_outside_of_the_space_are_none() -> None:
    assert space_of({"rate": {"min": 0.1, "max": 1.0}}).defaults() is None
    assert space_of({"epochs": {"min": 2, "max": 8, "step": 2}}).defaults() is None, "3 epochs lie between two steps"
    assert space_of({"epochs": {"min": 1, "max": 9, "step": 2}}).defaults() == {"epochs": 3}


@pytest.mark.parametrize(
    ("space", "fixed", "code"),
    [
        ({"learning_rate": [1]}, {}, "unknown_training_option"),
        ({"metric": ["loss", "accuracy"]}, {}, "option_not_searched"),
        ({"seed": [1, 2]}, {}, "option_not_searched"),
        ({"model": ["lstm", "gru"]}, {}, "option_not_searched"),
        ({"rate": {"min": 0.1, "max": 1}}, {"rate": 0.2}, "option_searched_and_set"),
        ({}, {}, "space_size"),
        ({"rate": 0.1}, {}, "space_shape"),
        ({"rate": {"low": 0.1, "high": 1}}, {}, "space_shape"),
        ({"rate": {"min": 0.1, "max": 1, "choices": [1]}}, {}, "space_shape"),
        ({"optimizer": {"min": 1, "max": 2}}, {}, "space_words"),
        ({"wide": {"min": 0, "max": 1}}, {}, "space_words"),
        ({"rate": {"min": 0.1}}, {}, "space_numbers"),
        ({"rate": {"min": "a", "max": 1}}, {}, "space_numbers"),
        ({"rate": {"min": 0.1, "max": 1, "log": 1}}, {}, "space_numbers"),
        ({"epochs": {"min": 1, "max": 2.5}}, {}, "space_numbers"),
        ({"rate": {"min": 1, "max": 0.1}}, {}, "space_order"),
        ({"dropout": {"min": 0, "max": 0.5, "log": True}}, {}, "space_log"),
        ({"rate": {"min": 0.1, "max": 1, "step": 0.1, "log": True}}, {}, "space_log"),
        ({"epochs": {"min": 1, "max": 3, "step": 5}}, {}, "space_step"),
        ({"epochs": {"min": 1, "max": 3, "step": 0}}, {}, "space_step"),
        ({"rate": {"min": 0.1, "max": 1, "step": 1e-320}}, {}, "space_step"),
        ({"epochs": []}, {}, "space_choices"),
        ({"epochs": [1, 1]}, {}, "space_choices"),
        ({"epochs": [1, [2]]}, {}, "space_choices"),
        ({"rate": {"min": 0.1, "max": 1e9}}, {}, "invalid_training_option"),
        ({"optimizer": ["adam", "lion"]}, {}, "invalid_training_option"),
        ({"epochs": ["three"]}, {}, "invalid_training_option"),
        ({"rate": [0.1]}, {"dropout": 7}, "invalid_training_option"),
    ],
)
def test_a_wrong_space_is_refused_by_name_with_the_next_step(space: dict[str, JsonValue], fixed: JsonObject, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        space_of(space, fixed)
    assert caught.value.code == code
    name = next(iter({**space, **fixed}), "")
    assert name in caught.value.message or code in {"space_size", "invalid_training_option"}
    assert caught.value.next_step and caught.value.advice("zh")


def test_bounds_are_included_and_steps_are_kept_to() -> None:
    assert all(Between(0.1, 0.5).contains(value) for value in (0.1, 0.3, 0.5))
    assert not any(Between(0.1, 0.5).contains(value) for value in (0.09, 0.51, "0.3", True))
    assert Between(0.1, 0.5, 0.1).contains(0.3)
    assert not Between(0.1, 0.5, 0.1).contains(0.35)
    assert Choices((1, "a")).contains(1)
    assert not Choices((1, "a")).contains(True)
