"""Options that another one switches on: refused while it is off, and left out of trials that have it off."""

from __future__ import annotations

from typing import Any

import pytest

from hanlin.errors import InvalidInput
from hanlin.training.config import TrainConfig, preset
from hanlin.training.option_rules import NEEDS
from hanlin.training.search.space import Space

NEEDING: dict[str, Any] = {
    "momentum": 0.5, "lora_rank": 4, "lora_alpha": 4.0, "lora_dropout": 0.1, "lora_targets": "all", "ngram_buckets": 64,
    "ngram_dropout": 0.1, "beta": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", NEEDS)
def test_an_option_whose_switch_is_off_is_refused_and_says_which(name: str) -> None:
    switch, values = NEEDS[name]
    off = {"optimizer": "adamw", "adapter": "head", "ngrams": False, "objective": "clm"}[switch]
    model = "base" if switch in {"adapter", "objective"} else "lstm"
    task = "text-generation" if switch == "objective" else "text-classification"
    value = NEEDING[name]
    beside = {"wide": False} if switch == "adapter" else {}
    with pytest.raises(InvalidInput) as refused:
        TrainConfig.from_json({**beside, switch: off, name: value}, model=model, task=task)
    assert refused.value.code == "option_needs_another"
    assert switch in refused.value.message and str(values[0]).lower() in str(refused.value.params["right"])
    TrainConfig.from_json({**beside, switch: off, name: getattr(preset(model, task), name)}, model=model, task=task)
    TrainConfig.from_json({**beside, switch: values[0], name: value}, model=model, task=task)  # type: ignore[dict-item]  # as stored


def test_a_search_tells_trials_whose_switch_is_off_nothing_of_the_option() -> None:
    asked: dict[str, Any] = {"optimizer": ["sgd", "adamw"], "momentum": {"min": 0.1, "max": 0.8}}
    space = Space.from_json(asked, fixed={}, model="lstm", task="text-classification")
    assert space.config({"optimizer": "sgd", "momentum": 0.5}).momentum == 0.5
    assert space.config({"optimizer": "adamw", "momentum": 0.5}).momentum == preset("lstm").momentum
    with pytest.raises(InvalidInput) as refused:
        Space.from_json({"momentum": {"min": 0.1, "max": 0.8}}, fixed={}, model="lstm", task="text-classification")
    assert refused.value.code == "option_needs_another"
