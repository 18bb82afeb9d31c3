"""A task's worked example as one model would answer it, in its own labels. Knows no routes."""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.types import JsonObject

_PRAISE = {"positive", "pos", "good", "praise", "正面", "积极", "正向", "好评", "好", "正"}
_BINARY = {"0", "1"}  # nearly always: 1 is good
_ANY_TEXT = "Any text of yours."


def with_own_labels(example: JsonObject, labels: Sequence[str]) -> JsonObject:
    """The model's labels in place of the example's, none where it has fewer.

    The example praises something: a label that says so comes first, and where there is none the text praises nothing.
    """
    response = example.get("response")
    answers = [item for item in response if isinstance(item, dict) and "label" in item] if isinstance(response, list) else []
    if not labels or not answers:
        return example
    best = next((label for label in labels if _is_praise(label, labels)), None)
    ordered = sorted(labels, key=lambda label: label != best)
    shown = example | {"response": [{**item, "label": label} for item, label in zip(answers, ordered, strict=False)]}
    request = example.get("request")
    if best is None and isinstance(request, dict) and isinstance(request.get("inputs"), str):
        shown["request"] = {**request, "inputs": _ANY_TEXT}
    return shown


def _is_praise(label: str, labels: Sequence[str]) -> bool:
    return label.casefold() in _PRAISE or (label == "1" and set(labels) == _BINARY)
