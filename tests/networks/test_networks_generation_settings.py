"""Settings of writing: stored and read again, refused by name."""

from __future__ import annotations

import pytest

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.types import JsonValue


def test_stored_settings_are_what_differs_and_come_back() -> None:
    settings = GenerationSettings(max_new_tokens=9, num_beams=4, early_stopping=True, length_penalty=2, stop_ids=(1, 2), prefix=(7,))
    stored = settings.to_json()
    assert stored == {
        "max_new_tokens": 9, "num_beams": 4, "early_stopping": True, "length_penalty": 2, "stop_ids": [1, 2], "prefix": [7],
    }  # fmt: skip
    assert GenerationSettings.from_json(stored) == settings
    assert GenerationSettings().to_json() == {}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (["num_beams"], "generation"),
        ({"beams": 3}, "beams"),
        ({"grammar": None}, "grammar"),
        ({"num_beams": "3"}, "num_beams"),
        ({"num_beams": True}, "num_beams"),
        ({"num_beams": 33}, "num_beams"),
        ({"num_beams": 2, "temperature": 1.0}, "temperature"),
        ({"early_stopping": 1}, "early_stopping"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": 5, "min_new_tokens": 6}, "min_new_tokens"),
        ({"top_p": 0.0}, "top_p"),
        ({"temperature": float("nan")}, "temperature"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"stop_ids": [-1]}, "stop_ids"),
        ({"banned_ids": ["a"]}, "banned_ids"),
        ({"prefix": [1.5]}, "prefix"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_settings_are_refused_by_name(value: JsonValue, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        GenerationSettings.from_json(value)
    assert caught.value.code == "invalid_generation_settings"
    assert name in str(caught.value)
