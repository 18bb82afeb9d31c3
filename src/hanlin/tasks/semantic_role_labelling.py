"""Semantic role labelling: who does what to whom. For each predicate of a text the runs of characters that play a role in it.

The version's finder proposes predicates; each is a row of its own, told by token types, and all rows of a text go through the engine
together. The network labels the row's arguments, and the predicate itself `V`: where it does not, the proposal was none.
Source: Shi and Lin, Simple BERT Models for Relation Extraction and Semantic Role Labeling (2019), for predicates told by token types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_texts, read_long_text
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.entities import Entity, entities
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_tokens import ROLE_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.frames import VERB, Frame, FramedTexts, read_frames
from hanlin.tasks.likeness import LABELS, Likeness, Numbers
from hanlin.tasks.parameters import LONG_TEXT, boolean, check_names
from hanlin.tasks.role_metrics import RoleMetrics, role_metrics
from hanlin.tasks.shapes import FRAME, TEXT, TEXTS, Shape, each, rows
from hanlin.tasks.span_metrics import SpanMetrics, span_metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_rows import best_labels
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText, shorten

MAX_PREDICATES = 64  # proposals of one text
MAX_PREDICATES_OF_CALL = 2048


@dataclass(frozen=True, slots=True)
class RoleOptions(TaskOptions):
    """Options of a call.

    Args:
        returns_tags: the tag of every token of every proposal is answered instead of frames.
    """

    returns_tags: bool = False


_TAGS = boolean("return_tags", "answer every proposed predicate with the tag and score of each token, instead of frames")


@TASKS.register("semantic-role-labelling")
class SemanticRoleLabelling:
    """The predicates of a text, each with its arguments and their roles."""

    name = "semantic-role-labelling"
    main_metric = "f1"
    figures: tuple[str, ...] = ("f1", "precision", "recall")
    head: HeadKind = "roles"
    likeness: Likeness = LABELS
    explaining: Explaining = ROLE_TARGETS
    is_row_by_row = False
    examples: ExampleForm = FramedTexts()
    shape = Shape({"anyOf": [TEXT, TEXTS]}, each(rows(FRAME)))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "Ada wrote a letter.", "parameters": {}},
        "response": [
            {
                "predicate": "wrote", "start": 4, "end": 9, "score": 0.99,
                "arguments": [
                    {"role": "ARG0", "word": "Ada", "start": 0, "end": 3, "score": 0.98},
                    {"role": "ARG1", "word": "a letter", "start": 10, "end": 18, "score": 0.97},
                ],
            }
        ],
    }  # fmt: skip
    parameters: tuple[Parameter[Any], ...] = (_TAGS, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        is_single = isinstance(inputs, str)
        texts, _ = check_texts([inputs] if is_single else inputs, limits)
        return TaskRequest(texts, is_single, RoleOptions(long_text=read_long_text(parameters), returns_tags=_TAGS.read(parameters)))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: a row for each proposed predicate; a text without one has a row in which no token is told apart.

        Long texts are cut or refused: a window might not hold what its predicate needs.

        Raises:
            InvalidInput: also `too_many_predicates`, `too_many_predicates_in_call`.
        """
        policy = request.options.long_text or long_text
        encoded = encoder.encode_marked(request.texts, "refuse" if policy == "window" else policy)
        assert encoded.marks is not None
        told = Encoded([], encoded.cut, types=[], marks=[], texts=[])
        for index, (row, marks) in enumerate(zip(encoded.rows, encoded.marks, strict=True)):
            found = proposals(marks, spec)
            if len(found) > MAX_PREDICATES:
                raise InvalidInput("too_many_predicates", index=index, found=len(found), limit=MAX_PREDICATES)
            rows: list[Span | None] = [*found]
            for proposal in rows or [None]:
                add_row(told, index, row, marks, proposal)
        if max_windows is not None and len(told.rows) > MAX_PREDICATES_OF_CALL:  # evaluations ask many at once
            raise InvalidInput("too_many_predicates_in_call", found=len(told.rows), limit=MAX_PREDICATES_OF_CALL)
        return told

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: there are no windows."""
        raise AssertionError("role labelling makes no windows")

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[JsonValue]]:
        """See `Task.decode`: the frames of each text, or its proposals with tags, in the order of the text."""
        assert isinstance(options, RoleOptions), "options of another task"
        assert encoded is not None and encoded.marks and encoded.types and encoded.texts, "places come from the rows"
        logits = outputs.get("token_logits")
        if logits is None or logits.ndim != 3 or logits.shape[0] != len(encoded.rows) or logits.shape[2] != len(spec.labels):
            raise EngineFailed("model_output_invalid", details=f"token_logits of shape {None if logits is None else logits.shape}")
        found: list[list[JsonValue]] = [[] for _ in range(encoded.texts[-1] + 1)]
        for values, types, marks, text in zip(logits, encoded.types, encoded.marks, encoded.texts, strict=True):
            if not np.isfinite(values[: len(types)]).all():
                raise EngineFailed("model_output_invalid", details="NaN or infinity in the token_logits")
            if any(types):
                scores, path = best_labels(values[: len(types)], marks, spec)
                read = _tags(scores, path, marks, spec) if options.returns_tags else _frame(scores, path, types, marks, spec)
                found[text] += [] if read is None else [read]
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: a list of frames for a single text, a list of such lists for a list."""
        answers: list[JsonValue] = [*rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> SpanMetrics:
        """See `Task.metrics`: probabilities `(tokens, labels)` against label indices `(tokens,)`, see `span_metrics`."""
        return span_metrics(probabilities.argmax(axis=1), gold, labels)

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: every token of every proposal."""
        return list(questions), {"return_tags": True, "truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: a row a token of a proposal, its score at the place of its label; a text without any has one of zeros."""
        places = {label: place for place, label in enumerate(spec.labels)}
        found: list[Numbers] = []
        for proposals in cast("list[list[dict[str, Any]]]", answer):
            tags = [tag for proposal in proposals for tag in proposal["tags"]]
            numbers = np.zeros((max(1, len(tags)), len(spec.labels)))
            for line, tag in enumerate(tags):
                numbers[line, places[tag["label"]]] = tag["score"]
            found.append(numbers)
        return found

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return [question], {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> RoleMetrics:
        """See `Task.quality` and `role_metrics`."""
        wanted = [read_frames(annotation) for annotation in gold]
        for frames in wanted:
            for frame in frames:
                for _, _, role in frame.arguments:
                    if f"B-{role}" not in labels:
                        raise InvalidInput("foreign_label", label=shorten(role))
        return role_metrics([_frames(cast("list[list[dict[str, Any]]]", answer)[0]) for answer in answers], wanted)


def add_row(encoded: Encoded, text: int, row: list[int], marks: Marks, predicate: Span | None) -> None:
    """Another row of a text, the tokens of its predicate told apart."""
    assert encoded.types is not None
    assert encoded.marks is not None
    assert encoded.texts is not None
    encoded.rows.append(row)
    encoded.types.append([int(predicate is not None and _touches(span, predicate)) for span in marks.spans])
    encoded.marks.append(marks)
    encoded.texts.append(text)


def proposals(marks: Marks, spec: ModelSpec) -> list[Span]:
    """The proposals that have a token in the row."""
    if spec.finder is None or marks.text is None:
        return []
    return [span for span in spec.finder.find(marks.text) if any(_touches(token, span) for token in marks.spans)]


def _touches(token: Span | None, span: Span) -> bool:
    return token is not None and token[0] < span[1] and token[1] > span[0]


def _tags(scores: Numbers, path: Sequence[int], marks: Marks, spec: ModelSpec) -> JsonObject:
    tags: list[JsonValue] = [
        {"label": spec.labels[path[place]], "score": float(scores[place, path[place]])}
        for place, span in enumerate(marks.spans)
        if span is not None
    ]
    return {"tags": tags}


def _frame(scores: Numbers, path: Sequence[int], types: Sequence[int], marks: Marks, spec: ModelSpec) -> JsonObject | None:
    """The frame of a row; None where the network says that the proposal is no predicate."""
    found = entities(scores, marks, spec.labels, "simple", path)
    own = [span for span, kind in zip(marks.spans, types, strict=True) if kind and span is not None]
    verb = next((item for item in found if item.label == VERB and any(_touches(span, _place(item)) for span in own)), None)
    if verb is None:
        return None
    sense: JsonObject = {} if spec.senses is None else {"sense": spec.senses.of(verb.word or "")}
    arguments: list[JsonValue] = [
        {"role": item.label, "word": item.word, "start": item.start, "end": item.end, "score": item.score}
        for item in found
        if item.label not in {VERB, "O"}
    ]
    return {"predicate": verb.word, **sense, "start": verb.start, "end": verb.end, "score": verb.score, "arguments": arguments}


def _place(item: Entity) -> Span:
    assert item.start is not None
    assert item.end is not None
    return item.start, item.end


def _frames(answer: Sequence[Mapping[str, Any]]) -> list[Frame]:
    return [
        Frame((item["start"], item["end"]), [(one["start"], one["end"], one["role"]) for one in item["arguments"]], item.get("sense", ""))
        for item in answer
    ]
