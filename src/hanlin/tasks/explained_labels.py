"""What can be explained of labels of a whole text or of a pair: each label, and where the text stands on their scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, OfTexts, Part, Target, checked
from hanlin.tasks.spec import ModelSpec

if TYPE_CHECKING:
    from hanlin.tasks.base import Scored, TaskRequest
    from hanlin.tasks.text_classification import ClassificationOptions

_VALUE = "value"


class LabelTargets(OfTexts):
    """Kinds: `label`, with its score; `value`, the place on the scale. See `Explaining`."""

    beside = ("pairs",)
    whole = {"top_k": None}  # noqa: RUF012 - never written to

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`: the text, and the one beside it."""
        pairs = cast("ClassificationOptions", request.options).pairs
        return (*super().parts(request, encoder, spec), *(Part("text_pair", pair) for pair in pairs if pair))

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """See `Explaining.with_texts`."""
        options = cast("ClassificationOptions", request.options)
        return replace(request, texts=(texts[0],), options=replace(options, pairs=tuple(texts[1:]) or options.pairs))

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: all labels, best first, then the value."""
        row = _row(found)
        labels = [Target("label", item.label, item.score) for item in row]
        return labels if row[0].value is None else [*labels, Target(_VALUE, _VALUE, row[0].value)]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        row = _row(found)
        if target.kind == _VALUE:
            return checked(cast("float", row[0].value))
        return next(item.score for item in row if item.label == target.name)


def _row(found: Computed) -> Sequence[Scored]:
    return cast("Sequence[Sequence[Scored]]", found.decoded)[0]


LABEL_TARGETS = LabelTargets()
