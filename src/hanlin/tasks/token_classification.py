"""Token classification: a label for each token, or for each run of tokens. Wire shapes of Hugging Face's task API.

Words and places are those of the text as the caller sent it, whatever cleaning and tokenizer made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_items, read_long_text
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.entities import Entity, Strategy, entities
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_tokens import ENTITY_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.labels import MAX_LABELS
from hanlin.tasks.likeness import LABELS, Likeness, Numbers
from hanlin.tasks.parameters import LONG_TEXT, check_names, choice, words
from hanlin.tasks.shapes import ENTITY, ONE_OR_MORE, Shape, each, rows
from hanlin.tasks.span_metrics import SpanMetrics, span_metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tagged_texts import TaggedTexts, quality_of
from hanlin.tasks.token_ids import TokenIds
from hanlin.tasks.token_rows import best_labels, merge_token_rows
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class TaggingOptions(TaskOptions):
    """Options of a call.

    Args:
        strategy: how tokens become entities; `none` answers token by token.
        ignored: labels that are not answered.
    """

    strategy: Strategy = "none"
    ignored: frozenset[str] = frozenset({OUTSIDE})


_STRATEGY: Parameter[Strategy] = choice(
    "aggregation_strategy", "how tokens become entities: none answers token by token, simple joins tokens that continue each other, the "
    "others join whole words", choices=get_args(Strategy), default="none", example="simple",
)  # fmt: skip
_IGNORED = words("ignore_labels", "labels that are not answered", default=(OUTSIDE,), limit=MAX_LABELS, example=("O", "MISC"))


@TASKS.register("token-classification")
class TokenClassification:
    """A label out of a closed set for each token of a text: names, places, parts of speech."""

    name = "token-classification"
    main_metric = "f1"
    figures: tuple[str, ...] = ("f1", "precision", "recall", "accuracy")
    head: HeadKind = "tokens"
    likeness: Likeness = LABELS
    explaining: Explaining = ENTITY_TARGETS
    is_row_by_row = False
    examples: ExampleForm = TaggedTexts()
    shape = Shape(ONE_OR_MORE, each(rows(ENTITY)))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "Ada Lovelace lived in London.", "parameters": {"aggregation_strategy": "simple"}},
        "response": [
            {"entity_group": "PER", "score": 0.99, "word": "Ada Lovelace", "start": 0, "end": 12},
            {"entity_group": "LOC", "score": 0.98, "word": "London", "start": 22, "end": 28},
        ],
    }

    parameters: tuple[Parameter[Any], ...] = (_STRATEGY, _IGNORED, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_items(inputs, limits)
        options = TaggingOptions(
            long_text=read_long_text(parameters), strategy=_STRATEGY.read(parameters), ignored=frozenset(_IGNORED.read(parameters))
        )
        if options.strategy != "none" and any(isinstance(text, TokenIds) for text in texts):  # ids do not tell what a word is
            raise InvalidInput("invalid_parameter", name=_STRATEGY.name, expected="none beside token ids", found=options.strategy)
        return TaskRequest(texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`."""
        return encoder.encode_marked(request.texts, request.options.long_text or long_text, max_windows=max_windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: each token from the window whose own it is, special tokens from the first and the last."""
        return merge_token_rows(windows, rows)

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[Entity]]:
        """See `Task.decode`."""
        assert isinstance(options, TaggingOptions), "options of another task"
        assert encoded is not None and encoded.marks is not None, "places come from the rows"
        logits = outputs.get("token_logits")
        shape = (len(encoded.marks), max(len(marks.spans) for marks in encoded.marks), len(spec.labels))
        if logits is None or logits.ndim != 3 or logits.shape[::2] != shape[::2] or logits.shape[1] < shape[1]:
            raise EngineFailed("model_output_invalid", details=f"token_logits of shape {None if logits is None else logits.shape}")
        found: list[list[Entity]] = []
        for values, marks in zip(logits, encoded.marks, strict=True):
            own = values[: len(marks.spans)]
            if not np.isfinite(own).all():
                raise EngineFailed("model_output_invalid", details="NaN or infinity in the token_logits")
            read = _read(own, marks, spec, options.strategy)
            found.append([item for item in read if item.label not in options.ignored])
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: a list of entities for a single text, a list of such lists for a list."""
        answers: list[JsonValue] = [[item.to_json() for item in row] for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> SpanMetrics:
        """See `Task.metrics`: probabilities `(tokens, labels)` against label indices `(tokens,)`, see `span_metrics`."""
        return span_metrics(probabilities.argmax(axis=1), gold, labels)

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: every token with its label, also those outside of all entities."""
        return list(questions), {"aggregation_strategy": "none", "ignore_labels": [], "truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: one row a token, its best score at the place of its label."""
        places = {label: place for place, label in enumerate(spec.labels)}
        found: list[Numbers] = []
        for row in cast("list[list[dict[str, Any]]]", answer):
            numbers = np.zeros((len(row), len(spec.labels)))
            for line, item in enumerate(row):
                numbers[line, places[item["entity"]]] = item["score"]
            found.append(numbers)
        return found

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`: every token with its label, long texts in windows."""
        return [question], {"aggregation_strategy": "none", "ignore_labels": [], "long_text": "window"}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> SpanMetrics:
        """See `Task.quality`: entities over the tokens of the gold rows where they have any, else over the model's own."""
        rows = [cast("list[list[dict[str, Any]]]", answer)[0] for answer in answers]
        return quality_of([[(item["start"], item["end"], item["entity"]) for item in row] for row in rows], gold, labels)


def _read(logits: npt.NDArray[np.floating], marks: Marks, spec: ModelSpec, strategy: Strategy) -> list[Entity]:
    if spec.chain is None:
        return entities(LABELS.numbers(logits), marks, spec.labels, strategy)
    scores, path = best_labels(logits, marks, spec)
    return entities(scores, marks, spec.labels, strategy, path)
