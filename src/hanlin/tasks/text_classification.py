"""Text classification: one label of a closed set for each text or pair of texts, or all that apply, or a score.

Wire shapes of Hugging Face's task API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Quality, Row, Scored, TaskOptions, TaskRequest
from hanlin.tasks.checks import read_long_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import Column, ExampleForm, label_positions
from hanlin.tasks.explained_labels import LABEL_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.label_metrics import multi_label_metrics, score_metrics
from hanlin.tasks.labelled import AnsweredTexts, Gold, problem_of, read_gold
from hanlin.tasks.labels import MAX_LABELS
from hanlin.tasks.likeness import LABELS, Likeness, Numbers
from hanlin.tasks.metrics import classification_metrics
from hanlin.tasks.pairs import PAIRS_OR_MORE, check_pairs, encode_singles_or_pairs
from hanlin.tasks.parameters import LONG_TEXT, check_names, integer, maybe_choice
from hanlin.tasks.problems import FUNCTIONS, HALF, Function, scores_of, thresholds_of
from hanlin.tasks.shapes import SCORED, Shape, each, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText


@dataclass(frozen=True, slots=True)
class ClassificationOptions(TaskOptions):
    """Options of a call.

    Args:
        top_k: how many labels to answer, best first; None means all.
        function: what turns logits into scores; None: what suits the model's problem.
        pairs: the text beside each text, empty where there is none.
    """

    top_k: int | None = None
    function: Function | None = None
    pairs: tuple[str, ...] = ()


_TOP_K = integer("top_k", "how many labels to answer, best first; left out, all", low=1, high=MAX_LABELS, example=3)
_FUNCTION: Parameter[Function | None] = maybe_choice(
    "function_to_apply", "what turns the model's numbers into scores: softmax makes them sum to 1, sigmoid judges each label by itself; "
    "left out, what suits the model: softmax for one label, sigmoid for several, none for a score",
    choices=get_args(Function), example="sigmoid",
)  # fmt: skip


_TEXT_HEADERS = (
    "sentence", "sentence1", "premise", "review", "content", "comment", "message", "document", "body", "input", "inputs", "text_a", "文本",
    "内容", "评论", "句子", "正文", "评价", "文章",
)  # fmt: skip
_LABEL_HEADERS = (
    "labels", "class", "category", "sentiment", "target", "topic", "intent", "tag", "label_text", "标签", "类别", "分类", "情感",
    "类目", "主题",
)  # fmt: skip


@TASKS.register("text-classification")
class TextClassification:
    """One label of a closed set for each text or pair of texts; all that apply, where the model is made so; or a score."""

    name = "text-classification"
    main_metric = "accuracy"
    figures: tuple[str, ...] = ("accuracy", "macro_f1", "micro_f1", "map", "auc", "spearman", "pearson")
    head: HeadKind = "labels"
    likeness: Likeness = LABELS
    explaining: Explaining = LABEL_TARGETS
    is_row_by_row = True
    examples: ExampleForm = AnsweredTexts((
        Column("text", "text", aliases=_TEXT_HEADERS),
        Column("label", "label", aliases=_LABEL_HEADERS, stand_in="score"),
        Column("text_pair", "text", aliases=("sentence2", "text_b", "hypothesis", "文本2", "句子2"), is_optional=True),
        Column("score", "number", aliases=("similarity", "分数", "相似度"), is_optional=True),
    ))  # fmt: skip
    shape = Shape(PAIRS_OR_MORE, each(rows(SCORED)))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "The food was wonderful.", "parameters": {"top_k": 2}},
        "response": [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}],
    }

    parameters: tuple[Parameter[Any], ...] = (_TOP_K, _FUNCTION, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, pairs, is_single = check_pairs(inputs, limits)
        options = ClassificationOptions(
            long_text=read_long_text(parameters), top_k=_TOP_K.read(parameters), function=_FUNCTION.read(parameters), pairs=pairs
        )
        return TaskRequest(texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: pairs only for a model that reads them. Raises InvalidInput (`text_pairs_not_taken`) besides."""
        options = request.options
        assert isinstance(options, ClassificationOptions), "options of another task"
        policy = options.long_text or long_text
        return encode_singles_or_pairs(encoder, spec, request.texts, options.pairs, policy, max_windows=max_windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: the mean of the logits, each window weighted by its own tokens."""
        weights = np.array([window.num_own for window in windows], dtype=np.float64)
        logits = np.stack([row["logits"] for row in rows]).astype(np.float64)  # (windows, labels)
        return {"logits": weights @ logits / weights.sum()}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[Scored]]:
        """See `Task.decode`."""
        assert isinstance(options, ClassificationOptions), "options of another task"
        logits = outputs.get("logits")
        if logits is None or logits.ndim != 2 or logits.shape[1] != len(spec.labels):
            raise EngineFailed("model_output_invalid", details=f"logits of shape {None if logits is None else logits.shape}")
        if not np.isfinite(logits).all():
            raise EngineFailed("model_output_invalid", details="NaN or infinity in the logits")
        scores = scores_of(logits, options.function or FUNCTIONS[spec.problem])
        has_verdict = spec.problem == "multi-label" and options.function in {None, "sigmoid"}
        passes = (scores >= thresholds_of(spec)).tolist() if has_verdict else None
        order = np.argsort(-scores, axis=1, kind="stable")[:, : options.top_k]  # ties keep the order of the labels
        best = np.take_along_axis(scores, order, axis=1)
        return [
            [Scored(spec.labels[at], score, passes[row][at] if passes else None) for at, score in zip(indices, values, strict=True)]
            for row, (indices, values) in enumerate(zip(order.tolist(), best.tolist(), strict=True))
        ]

    def answer(self, rows: Sequence[Sequence[Scored]], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: a list of labels for a single text, a list of such lists for a list."""
        answers: list[JsonValue] = [[item.to_json() for item in row] for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> Quality:
        """See `Task.metrics`: against `(rows, labels)` truths where several labels may apply, against numbers `(rows,)` where scores do.

        Without the model's spec the former pass from a half on; `quality` has the thresholds' own verdicts.
        """
        scores = np.asarray(probabilities, dtype=np.float64)
        if gold.ndim == 2:
            return multi_label_metrics(scores, scores >= HALF, gold.astype(bool), labels)
        if np.issubdtype(gold.dtype, np.floating):
            return score_metrics(scores.reshape(-1), gold)
        return classification_metrics(scores, gold, labels)

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`."""
        return list(questions), {"truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: one row of probabilities a text, in the order of the labels."""
        rows = [{item["label"]: item["score"] for item in row} for row in cast("list[list[dict[str, Any]]]", answer)]
        return [np.array([[row[label] for label in spec.labels]], dtype=np.float64) for row in rows]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`: every label's score is wanted."""
        return question, {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> Quality:
        """See `Task.quality`."""
        rows = [{item["label"]: item for item in row} for row in cast("list[list[dict[str, Any]]]", answers)]
        scores = np.array([[row[label]["score"] for label in labels] for row in rows], dtype=np.float64)
        is_several = "passes" in rows[0][labels[0]]
        truth = gold_array([read_gold(annotation) for annotation in gold], labels, is_several=is_several)
        if truth.ndim == 2:
            passes = np.array([[row[label].get("passes", row[label]["score"] >= HALF) for label in labels] for row in rows])
            return multi_label_metrics(scores, passes, truth.astype(bool), labels)
        return self.metrics(scores, truth, labels)


def gold_array(golds: Sequence[Gold], labels: Sequence[str], *, is_several: bool = False) -> npt.NDArray[Any]:
    """What is right: indices `(rows,)`, truths `(rows, labels)` where several labels may apply, or scores `(rows,)` float64.

    Args:
        is_several: whether the model may answer several labels even where each of these texts has one.

    Raises:
        InvalidInput: `foreign_label`; `mixed_answers` for scores among labels, or against a model of labels.
    """
    problem = problem_of(golds)
    if problem == "regression":
        if len(labels) != 1:
            raise InvalidInput("mixed_answers")
        return np.array([gold.score for gold in golds], dtype=np.float64)
    if problem == "single-label" and not is_several:
        return np.array(label_positions([gold.labels[0] for gold in golds], labels), dtype=np.int64)
    truth = np.zeros((len(golds), len(labels)), dtype=bool)
    for row, gold in enumerate(golds):
        truth[row, label_positions(gold.labels, labels)] = True
    return truth
