"""What pydantic finds wrong with a field, in words that say what would be right."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("given", "words", "chinese"),
    [
        (
            {"n_epochs": 0},
            "n_epochs' is wrong: Input should be greater than or equal to 1, or 'auto'",
            "n_epochs' 有误：应不小于 1，或为 'auto'",
        ),
        ({"n_epochs": 1001}, "less than or equal to 1000, or 'auto'", "应不大于 1000，或为 'auto'"),
        ({"learning_rate_multiplier": 0}, "greater than 0, or 'auto'", "应大于 0，或为 'auto'"),
        ({"batch_size": "many"}, "batch_size' is wrong: Input should be a valid integer", "应为整数，或为 'auto'"),
        ({"learning_rate_multiplier": []}, "Input should be a valid number, or 'auto'", "应为数，或为 'auto'"),
    ],
)
async def test_a_number_that_may_be_a_word_is_judged_as_a_number(http, given, words, chinese) -> None:
    body = {"model": "lstm", "training_file": "f", "method": {"type": "supervised", "supervised": {"hyperparameters": given}}}
    async with http.client(http.key()) as client:
        error = (await client.post("/v1/fine_tuning/jobs", json=body)).json()["error"]
        other = (await client.post("/v1/fine_tuning/jobs", json=body, headers={"Accept-Language": "zh"})).json()["error"]
    assert words in error["message"]
    assert "literal" not in error["message"]
    assert chinese in (other.get("message_zh") or other["message"])
