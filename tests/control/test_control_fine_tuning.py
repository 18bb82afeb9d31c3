"""A fine-tuning is a job in our own words, whatever words it was asked for in."""

from __future__ import annotations

import pytest

from hanlin.control import files, fine_tuning
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, NotFound
from hanlin.jobs import Job
from hanlin.training.config import preset
from hanlin.training.presets import ADAPTER_RATE
from hanlin.types import Principal


def asked(
    platform: Platform, owner: Principal, model: str, rate: float | None = None, *, validation: str | None = None, **metadata: str
) -> Job:  # fmt: skip
    path = platform.settings.home / "rows.jsonl"
    path.write_bytes(b"{}")
    kept = files.add(platform, owner, path, name=path.name, purpose="fine-tune")
    return fine_tuning.create(
        platform, owner, model=model, training_file=kept.id, validation_file=validation, suffix="", seed=1, metadata=metadata,
        hyperparameters={"learning_rate_multiplier": rate},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("named", "task"), [("ner", "token-classification"), ("sequence-classification", "text-classification"), ("sentiment", "sentiment")]
)
def test_a_task_has_our_name_in_the_job_and_the_callers_in_its_metadata(platform, owner, named: str, task: str) -> None:
    job = asked(platform, owner, "lstm", task=named)
    assert (job.config["task"], job.config["metadata"]) == (task, {"task": named})


def test_an_adapter_is_asked_for_and_keeps_its_own_rate(platform, owner, make_version) -> None:
    make_version()
    assert asked(platform, owner, "mood", adapter="lora").config["options"] == {"adapter": "lora"}
    assert asked(platform, owner, "mood", 2.0, adapter="head").config["options"] == {"adapter": "head", "rate": 2 * ADAPTER_RATE}
    assert asked(platform, owner, "mood", 2.0, adapter="none").config["options"] == {"adapter": "none", "rate": 2 * preset("base").rate}
    for model, word, code in (("lstm", "lora", "option_without_effect"), ("mood", "qlora", "invalid_training_option")):
        with pytest.raises(InvalidInput) as refused:
            asked(platform, owner, model, adapter=word)
        assert (refused.value.code, refused.value.params["name"]) == (code, "'adapter'")


@pytest.mark.parametrize("name", ["", "file-none"])
def test_a_validation_file_that_is_not_there_is_not_passed_over(platform, owner, name: str) -> None:
    """Bug: an empty name was taken for none, and a tenth of the rows was held back instead."""
    with pytest.raises(NotFound):
        asked(platform, owner, "lstm", validation=name)
