"""Texts under labels that are named in the call, by an embedding model: no training, no head. The shape of Hugging Face's zero-shot task.

Each label becomes a sentence by a template; a text is compared with all of them. Cosines of one model lie close together, so they are
spread by a temperature before they become scores: softly calibrated, an order with a sense of distance rather than a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits, Parameter
from hanlin.tasks.checks import check_text, read_names
from hanlin.tasks.parameters import boolean, words
from hanlin.tasks.problems import scores_of
from hanlin.types import JsonObject, JsonValue, json_type, shorten

MAX_CANDIDATES = 100
TEMPERATURE = 0.05  # two cosines so far apart differ by one in the logits; near what contrastive training uses (0.01 to 0.07)
TEMPLATE = "This example is {}."
_NEUTRAL = "something"  # what each label is held against where several may apply

_CANDIDATES = words(
    "candidate_labels",
    "labels to put each text under, or one string of them with commas; given, the answer is scores of labels and no vectors", default=(),
    limit=MAX_CANDIDATES, example=("travel", "cooking"),
)  # fmt: skip


def read_template(parameters: JsonObject) -> str:
    """The template. Raises InvalidInput (`invalid_parameter`) for one without a place for the label."""
    value: JsonValue = parameters.get("hypothesis_template")
    if value is None:
        return TEMPLATE
    if not isinstance(value, str) or "{}" not in value or len(value) > 1000:
        found = shorten(value) if isinstance(value, str) else json_type(value)
        raise InvalidInput("invalid_parameter", name="hypothesis_template", expected="a sentence with {}", found=found)
    return value


HYPOTHESIS: Parameter[str] = Parameter(
    "hypothesis_template",
    {"type": "string", "default": TEMPLATE, "example": "It is about {}.", "description": "the sentence that a label becomes, at its `{}`"},
    read_template,
)
MULTI = boolean("multi_label", "whether several candidate labels may apply: each is judged by itself, and scores do not sum to 1")
PARAMETERS: tuple[Parameter[Any], ...] = (_CANDIDATES, HYPOTHESIS, MULTI)


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """What a call asks.

    Args:
        hypotheses: a sentence for each label, and the neutral one.
    """

    labels: tuple[str, ...]
    hypotheses: tuple[str, ...]
    is_multi: bool

    def answer(self, vectors: npt.NDArray[np.float32]) -> list[list[JsonObject]]:
        """Labels with their scores, best first, for each text.

        Args:
            vectors: of length 1, texts first, then hypotheses: `(texts + labels + 1, dimensions)`.
        """
        texts, held = vectors[: -len(self.hypotheses)].astype(np.float64), vectors[-len(self.hypotheses) :].astype(np.float64)
        cosines = texts @ held.T  # (texts, labels + 1)
        logits = (cosines[:, :-1] - cosines[:, -1:]) / TEMPERATURE
        scores = scores_of(logits, "sigmoid" if self.is_multi else "softmax")
        order = np.argsort(-scores, axis=1, kind="stable")
        return [[{"label": self.labels[at], "score": float(scores[row, at])} for at in places] for row, places in enumerate(order.tolist())]


def read_zero_shot(parameters: JsonObject, limits: Limits) -> ZeroShot | None:
    """What is asked; None for a call that wants vectors.

    Raises:
        InvalidInput: `invalid_parameter`; `empty_text` and others for a label that is no text.
    """
    template, is_multi = HYPOTHESIS.read(parameters), MULTI.read(parameters)
    if parameters.get("candidate_labels") in (None, []):
        return None
    said = parameters["candidate_labels"]
    given = {"candidate_labels": [part.strip() for part in said.split(",")]} if isinstance(said, str) else parameters
    labels = read_names(given, "candidate_labels", default=(), limit=MAX_CANDIDATES)  # type: ignore[arg-type]  # checked there
    if len(set(labels)) < len(labels):
        raise InvalidInput("invalid_parameter", name="candidate_labels", expected="different labels", found="a label twice")
    hypotheses = [template.replace("{}", check_text(label, index, limits)) for index, label in enumerate(labels)]
    return ZeroShot(tuple(labels), (*hypotheses, template.replace("{}", _NEUTRAL)), is_multi)


def check_alone(parameters: JsonObject, names: Sequence[str]) -> None:
    """Raises InvalidInput (`invalid_parameter`) for a parameter of vectors beside labels."""
    for name in names:
        if parameters.get(name) is not None:
            raise InvalidInput("invalid_parameter", name=name, expected="absent beside `candidate_labels`", found="both of them")
