"""OpenAI's moderations, on a classifier that the operator has chosen. Source: its reference of `/v1/moderations`.

Categories are the classifier's own labels; those that the operator named are harmful.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec

from hanlin.errors import InvalidInput, NotFound
from hanlin.gateway import openai_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import text
from hanlin.settings import Settings
from hanlin.types import JsonObject, JsonValue, json_type

PATH = "/v1/moderations"
_FIELDS = ("input", "model")
_OPENAI = ("omni-moderation", "text-moderation")  # how names of OpenAI's own models begin


def doors(settings: Settings) -> tuple[Door, ...]:
    """The door as the operator has set it up."""
    endpoint, harmful, threshold = settings.moderation_endpoint, settings.harmful_labels, settings.moderation_threshold

    def read(body: bytes, _: str) -> Ask:
        value = strict_json.parse_object(body, allowed=_FIELDS, required=("input",))
        model = "" if value.get("model") is None else text(value, "model")
        asked = model if model.startswith("ft:") else endpoint  # a fine-tuned classifier is named, and needs no choice of the operator's
        if not asked:
            raise NotFound("no_moderation_endpoint")
        if model and model != asked and not model.startswith(_OPENAI):
            raise NotFound("endpoint_not_found")

        def write(outcome: Outcome) -> bytes:
            results = [_result(row, harmful, threshold) for row in msgspec.json.decode(outcome.body)]
            return msgspec.json.encode({"id": f"modr-{uuid4().hex}", "model": asked, "results": results})

        return Ask(asked, _texts(value["input"]), {}, "text-classification", write)

    return (Door(PATH, read=read, post=operations.MODERATIONS),)


def _texts(inputs: JsonValue) -> JsonValue:
    """A list of texts: of a text, of texts, or of parts `{"type": "text", "text": …}`. Whatever else it is, the task judges."""
    if isinstance(inputs, str):
        return [inputs]
    return [_text(item, index) for index, item in enumerate(inputs)] if isinstance(inputs, list) else inputs


def _text(item: JsonValue, index: int) -> JsonValue:
    """Raises InvalidInput (`invalid_inputs`): pictures are not judged."""
    if not isinstance(item, dict) or item.get("type") is None:
        return item
    if item["type"] != "text" or item.keys() != {"type", "text"}:
        raise InvalidInput("invalid_inputs", found=json_type(item), index=index)
    return item["text"]


def _result(row: list[dict[str, Any]], harmful: frozenset[str], threshold: float) -> JsonObject:
    scores = {item["label"]: item["score"] for item in row}
    # A model of several labels has thresholds of its own, tuned on its validation rows.
    categories: JsonObject = {
        item["label"]: item["label"] in harmful and bool(item.get("passes", item["score"] >= threshold)) for item in row
    }  # fmt: skip
    applied: JsonObject = {label: ["text"] for label in scores}
    return {
        "flagged": any(categories.values()), "categories": categories, "category_scores": scores, "category_applied_input_types": applied,
    }  # fmt: skip


DOORS = doors(Settings.model_validate({}))
