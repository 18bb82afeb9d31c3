"""Fill-mask: which token stands where a text has a mask. Wire shapes of Hugging Face's task API.

Several masks of a text are filled each by itself, all of them hidden. A call may also hide tokens of whole texts (`hide_tokens`) to see how
well they are foreseen: evaluations and certificates stand on that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, Exam, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_texts, read_long_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_masks import MASK_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.hidden_tokens import MAX_MASKS, Asking, check_rows
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.masked_texts import DEPTHS, HIDDEN, RAW_TEXT, masked_metrics, metrics_of_answers, passages
from hanlin.tasks.next_token_likeness import COUNT, NEXT_TOKENS
from hanlin.tasks.parameters import LONG_TEXT, check_names, integer, words
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.shapes import ONE_OR_MORE_TEXTS, Shape, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

DEFAULT_TOP_K = 5
MAX_TARGETS = 100
_LEAST = 1e-38

_TOP_K = integer("top_k", f"how many tokens to answer a mask; left out, {DEFAULT_TOP_K}", low=1, high=1000, example=3)
_TARGETS = words(
    "targets", "the only words that are looked for; each must be one token of the model", default=(), limit=MAX_TARGETS,
    example=("capital", "heart"),
)  # fmt: skip
_HIDE = integer(
    "hide_tokens", "instead of filling masks: hide so many tokens of each text, one at a time, and tell how well each is foreseen", low=1,
    high=MAX_MASKS, example=4,
)  # fmt: skip
_TOKEN: JsonObject = {
    "score": {"type": "number", "description": "the chance of the token"}, "token": {"type": "integer"}, "token_str": {"type": "string"},
}  # fmt: skip
_FILLED: JsonObject = {
    "type": "object", "required": ["score", "token", "token_str"],
    "properties": _TOKEN | {"sequence": {"type": "string", "description": "the text with the token in the place of its mask"}},
}  # fmt: skip
_FORESEEN: JsonObject = {
    "type": "object", "required": ["score", "token", "token_str", "rank", "start", "end"],
    "properties": _TOKEN | {
        "rank": {"type": "integer", "description": "tokens that are as likely or likelier, itself included"},
        "start": {"type": "integer"}, "end": {"type": "integer"}, "filled": rows(_FILLED),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FillOptions(TaskOptions):
    """Options of a call.

    Args:
        hide_tokens: tokens of each text that are hidden; None where the caller's own masks are filled.
    """

    top_k: int = DEFAULT_TOP_K
    targets: tuple[str, ...] = ()
    hide_tokens: int | None = None


@TASKS.register("fill-mask")
class FillMask:
    """The tokens that fit best where a text has a mask."""

    name = "fill-mask"
    main_metric = "accuracy"
    figures: tuple[str, ...] = tuple(DEPTHS)
    head: HeadKind = "masks"
    likeness: Likeness = NEXT_TOKENS
    explaining: Explaining = MASK_TARGETS
    is_row_by_row = False
    examples: ExampleForm = RAW_TEXT
    shape = Shape(
        ONE_OR_MORE_TEXTS,
        {"anyOf": [rows(_FILLED), rows(rows(_FILLED)), rows(rows(rows(_FILLED))), rows(_FORESEEN), rows(rows(_FORESEEN))]},
    )
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "Paris is the [MASK] of France.", "parameters": {"top_k": 2}},
        "response": [
            {"score": 0.93, "token": 3007, "token_str": "capital", "sequence": "Paris is the capital of France."},
            {"score": 0.02, "token": 2540, "token_str": "heart", "sequence": "Paris is the heart of France."},
        ],
    }
    parameters: tuple[Parameter[Any], ...] = (_TOP_K, _TARGETS, _HIDE, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_texts(inputs, limits)
        targets, hide_tokens = tuple(filter(None, _TARGETS.read(parameters))), _HIDE.read(parameters)
        if targets and hide_tokens is not None:
            raise InvalidInput("invalid_parameter", name=_TARGETS.name, expected=f"absent beside {_HIDE.name}", found="both of them")
        check_rows(texts, hide_tokens, limits.max_items)
        top_k = _TOP_K.read(parameters) or DEFAULT_TOP_K
        return TaskRequest(texts, is_single, FillOptions(read_long_text(parameters), top_k, targets, hide_tokens))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: a row for each mask. A text that is too long is seen around its masks where that is not refused."""
        options = request.options
        assert isinstance(options, FillOptions), "options of another task"
        assert spec.mask_id is not None, "specs of models that fill masks have it"
        asking = Asking(encoder, spec.mask_id)
        for index, text in enumerate(cast("tuple[str, ...]", request.texts)):
            if options.hide_tokens is None:
                asking.ask_masks(text, index, options.long_text or long_text)
            else:
                asking.ask_tokens(text, index, options.hide_tokens)
        return asking.encoded(asking.choices(options.targets))

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: there are no windows."""
        raise AssertionError("masks are filled without windows")

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[JsonValue]]:
        """See `Task.decode`: for each text what is known of each of its masks."""
        assert isinstance(options, FillOptions), "options of another task"
        assert encoded is not None and encoded.texts and encoded.marks, "rows of masks"
        scores = outputs.get("mask_logits")
        if scores is None or scores.ndim != 2 or len(scores) != len(encoded.rows) or scores.shape[1] <= max(encoded.choices):
            raise EngineFailed("model_output_invalid", details=f"mask_logits of shape {None if scores is None else scores.shape}")
        if not np.isfinite(scores).all():
            raise EngineFailed("model_output_invalid", details="NaN or infinity in the mask_logits")
        found: list[list[JsonValue]] = [[] for _ in range(encoded.texts[-1] + 1)]
        for number, text in enumerate(encoded.texts):
            chances = _chances(scores[number])
            best = _best(chances, encoded.choices, options.top_k)
            if encoded.hidden:
                found[text].append(_foreseen(chances, best, encoded, number))
            else:
                found[text].append(_filled(chances, best, encoded, number))
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: the tokens of a text's one mask, or a list of such lists for several."""
        is_filled = cast("FillOptions", request.options).hide_tokens is None
        answers: list[JsonValue] = [row[0] if is_filled and len(row) == 1 else row for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: chances (places, vocabulary) against the tokens that stood there (places,)."""
        own = probabilities[np.arange(len(gold)), gold]
        return masked_metrics(own.tolist(), (probabilities >= own[:, None]).sum(axis=1).tolist())

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: what it thinks stands at some places of the texts."""
        return list(questions), {"hide_tokens": 4, "top_k": COUNT}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: a row a hidden token."""
        found: list[Numbers] = []
        for row in cast("list[list[dict[str, Any]]]", answer):
            places = [[(item["token"], float(np.log(max(item["score"], _LEAST)))) for item in place["filled"]] for place in row]
            found.append(NEXT_TOKENS.of([[*place, *[(-1, -np.inf)] * (COUNT - len(place))] for place in places]))
        return found

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {"hide_tokens": HIDDEN, "top_k": 1}

    def exam(self, questions: Sequence[JsonValue], spec: ModelSpec) -> Exam:
        """See `SetsExams.exam`: some passages of the texts, eight tokens of each hidden one at a time."""
        calls = [self.ask(passage) for passage in passages([str(question) for question in questions])]
        return Exam(calls, lambda answers: self.quality(answers, (), ()))

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        return metrics_of_answers(cast("Sequence[Sequence[Mapping[str, Any]]]", answers))


def _chances(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Softmax over the vocabulary."""
    raised = np.exp(scores.astype(np.float64) - scores.max())
    return np.asarray(raised / raised.sum())


def _best(chances: npt.NDArray[np.float64], choices: Sequence[int], count: int) -> list[int]:
    """The likeliest of the choices, best first; of equal ones the lower id."""
    own = chances[: len(choices)] if isinstance(choices, range) else chances[list(choices)]
    count = min(count, len(own))
    few = np.argpartition(-own, count - 1)[:count]
    return [int(choices[place]) for place in few[np.lexsort((few, -own[few]))]]


def _item(chances: npt.NDArray[np.float64], token: int, encoded: Encoded) -> JsonObject:
    assert encoded.spell is not None, "words come from the version's own tokenizer"
    return {"score": float(chances[token]), "token": token, "token_str": encoded.spell([token])}


def _filled(chances: npt.NDArray[np.float64], best: Sequence[int], encoded: Encoded, number: int) -> JsonValue:
    assert encoded.marks is not None
    marks = encoded.marks[number]
    assert marks.text is not None and marks.spans[0] is not None, "a mask in a text"
    start, end = marks.spans[0]
    items = [_item(chances, token, encoded) for token in best]
    return [item | {"sequence": _put(marks.text, start, end, str(item["token_str"]))} for item in items]


def _put(text: str, start: int, end: int, word: str) -> str:
    """The text with `word` in the place of its mask; the rest of a word closes up to what stands before it."""
    before, after, word = text[:start], text[end:], word.strip()
    return f"{before.rstrip()}{word[2:]}{after}" if word.startswith("##") and len(word) > 2 else f"{before}{word}{after}"


def _foreseen(chances: npt.NDArray[np.float64], best: Sequence[int], encoded: Encoded, number: int) -> JsonValue:
    assert encoded.marks is not None
    token, span = encoded.hidden[number], encoded.marks[number].spans[0]
    assert span is not None, "tokens of the text"
    filled: list[JsonValue] = [_item(chances, other, encoded) for other in best]
    rank = int((chances[: len(encoded.choices)] >= chances[token]).sum())
    return _item(chances, token, encoded) | {"rank": rank, "start": span[0], "end": span[1], "filled": filled}
