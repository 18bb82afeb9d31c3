"""Extractive question answering: the piece of a context that answers a question, or that none does. Wire shape of Hugging Face's task.

A network says of every token how well an answer starts and ends there; its first token, which is no part of the context, stands for "no
answer". Source: Devlin et al., BERT (2019), section 4.3; Rajpurkar et al., SQuAD 2.0 (2018).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.answer_metrics import answer_metrics, place_metrics
from hanlin.tasks.answered_questions import AnsweredQuestions
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_text
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.likeness import FLAGS, Likeness, Numbers, Raw
from hanlin.tasks.parameters import check_names, integer, maybe
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.shapes import TEXT, Shape, each, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText, json_type

LABELS = ("start", "end")
PROBE = "What is it about?"
MAX_ANSWER_TOKENS = 30
_FIELDS = {"question", "context"}
_ASKED: JsonObject = {
    "type": "object", "required": ["question", "context"], "additionalProperties": False,
    "properties": {"question": TEXT, "context": TEXT},
}  # fmt: skip
ASKED: JsonObject = {"anyOf": [_ASKED, {"type": "array", "items": _ASKED, "minItems": 1}]}
_FOUND: JsonObject = {
    "type": "object", "required": ["answer", "score", "start", "end"],
    "properties": {
        "answer": {"type": "string", "description": "as it stands in the context; empty where it holds no answer"},
        "score": {"type": "number"}, "start": {"type": "integer", "description": "character of the context"}, "end": {"type": "integer"},
        "no_answer_score": {"type": "number", "description": "of there being none"},
    },
}  # fmt: skip
_TOP_K = integer("top_k", "how many answers to give, best first; left out, one, and no list", low=1, high=100, example=3)
_LONGEST = integer("max_answer_len", f"tokens that an answer may have; left out, {MAX_ANSWER_TOKENS}", low=1, high=512, example=15)
_STRIDE = integer(
    "doc_stride", "tokens that the windows of a long context share; left out, a quarter of a window", low=1, high=4096, example=64
)  # fmt: skip
_IMPOSSIBLE = maybe(
    "handle_impossible_answer", "whether the answer may be that there is none; left out, as the model was taught: beyond its own threshold"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnsweringOptions(TaskOptions):
    """Options of a call.

    Args:
        questions: one a context.
        is_impossible_allowed: None leaves it to the model.
    """

    questions: tuple[str, ...] = ()
    top_k: int | None = None
    max_answer_tokens: int = MAX_ANSWER_TOKENS
    stride: int | None = None
    is_impossible_allowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A piece of a context; `start` = `end` = 0: no answer."""

    text: str
    score: float
    start: int
    end: int
    no_answer: float

    def to_json(self) -> JsonObject:
        """The wire form."""
        found: JsonObject = {"answer": self.text, "score": self.score, "start": self.start, "end": self.end}
        return found | {"no_answer_score": self.no_answer}


class AnswerLikeness:
    """Two runs by their numbers: of tokens, how surely an answer starts and ends there; of answers, place and score."""

    def numbers(self, raw: Raw) -> Numbers:
        """Of an engine's values: the sigmoid of each."""
        return FLAGS.numbers(raw)

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`: answers `(score, start, end)` agree in their places."""
        if found.shape[1] == 2:
            return FLAGS.agree(found, reference)
        return np.asarray((found[:, 1:] == reference[:, 1:]).all(axis=1) | (np.abs(found - reference)[:, 0] < 0.01))

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return FLAGS.differ(found, reference) if found.shape[1] == 2 else np.asarray(np.abs(found - reference)[:, 0])

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """The share of rows that agree."""
        return float(self.agree(found, reference).mean())


@TASKS.register("question-answering")
class QuestionAnswering:
    """The piece of a context that answers a question, or that none does."""

    name = "question-answering"
    main_metric = "f1"
    figures: tuple[str, ...] = ("f1", "exact")
    head: HeadKind = "tokens"
    likeness: Likeness = AnswerLikeness()
    is_row_by_row = False
    examples: ExampleForm = AnsweredQuestions()
    shape = Shape(ASKED, each({"anyOf": [_FOUND, rows(_FOUND)]}))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {
            "inputs": {"question": "When does the shop open?", "context": "The shop opens at nine and closes at six."}, "parameters": {},
        },
        "response": {"answer": "nine", "score": 0.93, "start": 18, "end": 22, "no_answer_score": 0.01},
    }  # fmt: skip

    parameters: tuple[Parameter[Any], ...] = (_TOP_K, _LONGEST, _STRIDE, _IMPOSSIBLE)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        items = inputs if isinstance(inputs, list) else [inputs]
        if not items:
            raise InvalidInput("empty_batch")
        if len(items) > limits.max_items:
            raise InvalidInput("batch_too_large", items=len(items), limit=limits.max_items)
        pairs = [_read_item(item, index, limits) for index, item in enumerate(items)]
        options = AnsweringOptions(
            questions=tuple(question for question, _ in pairs), top_k=_TOP_K.read(parameters),
            max_answer_tokens=_LONGEST.read(parameters) or MAX_ANSWER_TOKENS, stride=_STRIDE.read(parameters),
            is_impossible_allowed=_IMPOSSIBLE.read(parameters),
        )  # fmt: skip
        return TaskRequest(tuple(context for _, context in pairs), not isinstance(inputs, list), options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: long contexts are always read in windows, the question before each."""
        options = request.options
        assert isinstance(options, AnsweringOptions), "options of another task"
        contexts = cast("tuple[str, ...]", request.texts)  # `check` takes nothing else
        found = encoder.encode_questions(options.questions, contexts, stride=options.stride, max_windows=max_windows)
        return found if spec.has_types else Encoded(found.rows, windows=found.windows, marks=found.marks)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: each token from the window whose own it is; "no answer" from the window that believes in it least."""
        values = [row["token_logits"] for row in rows]
        first, last = windows[0], windows[-1]
        null = min((value[0] for value in values), key=lambda logits: float(logits.sum()))
        own = [
            value[window.place + window.own_start - window.start : window.place + window.own_end - window.start]
            for window, value in zip(windows, values, strict=True)
        ]
        tail = values[-1][last.place + last.end - last.start :]
        return {"token_logits": np.concatenate([null[None], values[0][1 : first.place], *own, tail])}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[Answer]]:
        """See `Task.decode`."""
        assert isinstance(options, AnsweringOptions), "options of another task"
        assert encoded is not None and encoded.marks is not None, "places come from the rows"
        logits = outputs.get("token_logits")
        if logits is None or logits.ndim != 3 or logits.shape[2] != len(LABELS) or len(logits) != len(encoded.marks):
            raise EngineFailed("model_output_invalid", details=f"token_logits of shape {None if logits is None else logits.shape}")
        found = []
        for values, marks in zip(logits, encoded.marks, strict=True):
            own = values[: len(marks.spans)].astype(np.float64)
            if len(own) < len(marks.spans) or not np.isfinite(own).all():
                raise EngineFailed("model_output_invalid", details="NaN or infinity in the token_logits, or too few of them")
            found.append(_answers(own, marks, spec, options))
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: an answer for a single question, a list of them where several are asked for."""
        options = cast("AnsweringOptions", request.options)
        is_list = options.top_k is not None and options.top_k > 1
        answers: list[JsonValue] = [[item.to_json() for item in row] if is_list else row[0].to_json() for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: pieces of contexts, start and end `(rows, 2)`; empty: no answer. `quality` reads texts, as scorers do."""
        return place_metrics(np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.float64))

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: a plain text is a context, of which always the same is asked."""
        return [item if isinstance(item, dict) else {"question": PROBE, "context": item} for item in questions], {}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: score and places of each answer."""
        found = cast("list[dict[str, Any]]", answer)
        return [np.array([[item["score"], item["start"], item["end"]]], dtype=np.float64) for item in found]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        texts = [str(item["answer"]) for item in cast("list[dict[str, Any]]", answers)]
        return answer_metrics(texts, [[item["text"] for item in json.loads(annotation)["answers"]] for annotation in gold])


def _read_item(item: JsonValue, index: int, limits: Limits) -> tuple[str, str]:
    if not isinstance(item, dict) or item.keys() != _FIELDS:
        raise InvalidInput("invalid_question", index=index, found=json_type(item))
    return check_text(item["question"], index, limits), check_text(item["context"], index, limits)


def _answers(logits: npt.NDArray[np.float64], marks: Marks, spec: ModelSpec, options: AnsweringOptions) -> list[Answer]:
    """The best pieces of one context, or no answer. Pieces end where they start or behind it, and are not too long."""
    places = np.array([0, *(at for at, span in enumerate(marks.spans) if span is not None)])
    starts, ends = (_softmax(logits[places, side]) for side in (0, 1))
    null = float(starts[0] * ends[0])
    text = marks.text or ""
    num = len(places) - 1
    best: dict[tuple[int, int], float] = {}
    for first in np.argsort(-starts[1:], kind="stable")[: max(20, options.top_k or 1)].tolist():
        reach = ends[1 + first : 1 + min(num, first + options.max_answer_tokens)]
        for more in np.argsort(-reach, kind="stable")[: options.top_k or 1].tolist():
            begin, end = (marks.spans[places[1 + at]] for at in (first, first + more))
            assert begin is not None and end is not None, "a place of the context"
            score = float(starts[1 + first] * reach[more])
            best[begin[0], end[1]] = max(best.get((begin[0], end[1]), 0.0), score)
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    found = [Answer(text[start:end], score, start, end, null) for (start, end), score in ordered]
    is_allowed = bool(spec.thresholds) if options.is_impossible_allowed is None else options.is_impossible_allowed
    if is_allowed or not found:
        gap = np.log(max(null, 1e-300)) - np.log(max(found[0].score if found else 0.0, 1e-300))
        is_none = not found or gap > (spec.thresholds[0] if spec.thresholds else 0.0)
        found.insert(0 if is_none else 1, Answer("", null, 0, 0, null))
    return found[: options.top_k or 1]


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())
