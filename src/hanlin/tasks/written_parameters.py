"""What a call may say of how its answer is written: the names of Hugging Face's generation parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_NEW_TOKENS, GenerationSettings
from hanlin.tasks.base import Parameter
from hanlin.tasks.parameters import boolean, integer, maybe, number
from hanlin.types import JsonObject, JsonValue, json_type, shorten

MAXBEAMS_ASKED = 8  # of one call: every beam costs as much as a row
NESTED = "generate_parameters"

_LENGTH = integer("max_new_tokens", "most tokens of the answer", low=1, high=MAX_NEW_TOKENS, example=64)
_LEAST = integer("min_new_tokens", "least tokens of the answer", low=0, high=MAX_NEW_TOKENS, example=4)
BEAMS = integer("num_beams", "answers that are written side by side, of which the best is kept", low=1, high=MAXBEAMS_ASKED, example=4)
_PENALTY = number("length_penalty", "beams only: above 0 longer answers gain", low=-10, high=10, example=1.0)
_EARLY = maybe("early_stopping", "beams only: end at the first answers that are complete")
_SAMPLE = boolean("do_sample", "whether tokens are drawn by chance instead of taking the likeliest")
_WARMTH = number("temperature", "of the draws: the higher the freer", low=0.01, high=100, example=0.7)
_TOP_K = integer("top_k", "draw from so many likeliest tokens", low=1, high=100_000, example=50)
_TOP_P = number("top_p", "draw from the likeliest tokens that have this chance together", low=0.01, high=1, example=0.9)
_SEED = integer("seed", "of the draws: the same one draws the same", low=0, high=2**53, example=7)
_REPEAT = number("repetition_penalty", "above 1 makes tokens that stood before less likely", low=0.01, high=100, example=1.2)
_NGRAM = integer("no_repeat_ngram_size", "no run of so many tokens is written twice", low=1, high=100, example=3)

_OBJECT: JsonObject = {
    "type": "object", "description": "the same parameters once more, as Hugging Face's clients send them", "default": None,
    "example": {"num_beams": 4},
}  # fmt: skip
_PLAIN: tuple[Parameter[Any], ...] = (
    _LENGTH, _LEAST, BEAMS, _PENALTY, _EARLY, _SAMPLE, _WARMTH, _TOP_K, _TOP_P, _SEED, _REPEAT, _NGRAM,
)  # fmt: skip
_NAMES: dict[str, Parameter[Any]] = {
    "max_new_tokens": _LENGTH, "min_new_tokens": _LEAST, "num_beams": BEAMS, "length_penalty": _PENALTY, "early_stopping": _EARLY,
    "top_k": _TOP_K, "top_p": _TOP_P, "seed": _SEED, "repetition_penalty": _REPEAT, "no_repeat_ngram": _NGRAM,
}  # fmt: skip


def _nested(parameters: JsonObject) -> JsonObject:
    value: JsonValue = parameters.get(NESTED)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput("invalid_parameter", name=NESTED, expected="an object", found=json_type(value))
    known = [each.name for each in _PLAIN]
    for name in value:
        if name not in known:
            raise InvalidInput("unknown_parameter", name=shorten(f"{NESTED}.{name}"), choices=", ".join(known))
    return value


WRITING: tuple[Parameter[Any], ...] = (*_PLAIN, Parameter(NESTED, _OBJECT, _nested))


def read_writing(parameters: JsonObject) -> dict[str, object]:
    """What the call says of `GenerationSettings`, by their names; nothing else is in it.

    Raises:
        InvalidInput: `invalid_parameter`, `unknown_parameter`.
    """
    asked = {name: value for name, value in parameters.items() if name != NESTED} | _nested(parameters)
    found: dict[str, object] = {name: value for name, each in _NAMES.items() if (value := each.read(asked)) is not None}
    warmth = _WARMTH.read(asked)
    if _SAMPLE.read(asked) or (_SAMPLE.name not in asked and warmth is not None):
        found["temperature"] = 1.0 if warmth is None else warmth
    if found.get("temperature") and found.get("num_beams", 1) != 1:
        raise InvalidInput("invalid_parameter", name=BEAMS.name, expected="1 where tokens are drawn", found=str(found["num_beams"]))
    return found


def settled(stored: GenerationSettings, asked: dict[str, object], *, longest: int) -> GenerationSettings:
    """The version's own settings with what a call says over them; no more than `longest` tokens.

    Raises:
        InvalidInput: `invalid_generation_settings` where they do not fit each other.
    """
    changes = dict(asked)
    if changes.get("temperature"):
        changes.setdefault("num_beams", 1)
    elif changes.get("num_beams", 1) != 1:
        changes["temperature"] = 0.0
    changes["max_new_tokens"] = min(int(str(changes.get("max_new_tokens", stored.max_new_tokens))), longest)
    return replace(stored, **changes)  # type: ignore[arg-type]  # as their parameters read them
