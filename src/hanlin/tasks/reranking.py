"""Reranking: how well each text answers a query. A cross-encoder reads query and text together; an embedding model compares vectors.

Wire shape of text-embeddings-inference's `/rerank`, with query and texts as the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, Exam, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_text, check_texts, read_long_text
from hanlin.tasks.embedding import merged_vectors, normalized, vectors_of
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import Column, ExampleForm
from hanlin.tasks.explained_vectors import RANKING_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import SCORES, Likeness, Numbers
from hanlin.tasks.pair_encoding import PairEncoder
from hanlin.tasks.parameters import LONG_TEXT, boolean, check_names, integer
from hanlin.tasks.ranking_exam import ranking_exam
from hanlin.tasks.ranking_metrics import ScalarMetrics, ranking_metrics
from hanlin.tasks.related import Related, RelatedTexts
from hanlin.tasks.shapes import RANKED, RANKING, Shape, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import TOKEN_IDS, JsonObject, JsonValue, LongText, json_type

PROBE_QUERY = "Was it worth the money?"
_FIELDS = {"query", "texts"}


@dataclass(frozen=True, slots=True)
class RerankingOptions(TaskOptions):
    """Options of a call.

    Args:
        query: what the texts are held against.
        top_k: how many texts to answer, best first; None means all.
        returns_text: whether each answer repeats its text.
        is_raw: whether a cross-encoder's numbers come as they are instead of through a sigmoid.
    """

    query: str = ""
    top_k: int | None = None
    returns_text: bool = False
    is_raw: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """One text by its place in the request, and its score."""

    index: int
    score: float


_TOP_K = integer("top_k", "how many texts to answer, best first; left out, all", low=1, high=2**31, example=3)
_RETURN_TEXT = boolean("return_text", "whether each answer repeats its text")
_RAW_SCORES = boolean("raw_scores", "whether a cross-encoder's numbers come as they are instead of through a sigmoid")


@TASKS.register("reranking")
class Reranking:
    """The texts of a request in the order in which they answer its query."""

    name = "reranking"
    main_metric = "ndcg"
    figures: tuple[str, ...] = ("ndcg", "mrr")
    head: HeadKind = "pairs"
    likeness: Likeness = SCORES
    explaining: Explaining = RANKING_TARGETS
    is_row_by_row = False
    examples: ExampleForm = RelatedTexts((
        Column(
            "query", "text", is_optional=True,
            aliases=("question", "search", "anchor", "title", "sentence1", "text1", "查询", "问题", "问句", "标题"),
        ),
        Column(
            "text", "text", is_optional=True,
            aliases=("positive", "passage", "document", "answer", "content", "body", "sentence2", "text2",
                     "文本", "段落", "答案", "回答", "正文", "内容"),
        ),
        Column("negatives", "json", is_optional=True, aliases=("negative", "neg", "hard_negative", "hard_negatives", "负例", "反例")),
        Column("score", "label", is_optional=True, aliases=("label", "relevance", "grade", "相关", "相关度", "分数", "得分", "标签")),
        Column("group", "label", is_optional=True, aliases=("page", "分组", "页面")),
    ))  # fmt: skip
    shape = Shape(RANKING, rows(RANKED))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {
            "inputs": {"query": "How do I return a parcel?", "texts": ["Our shop opens at nine.", "Send it back within 30 days."]},
            "parameters": {"top_k": 1},
        },
        "response": [{"index": 1, "score": 0.91}],
    }

    parameters: tuple[Parameter[Any], ...] = (_TOP_K, _RETURN_TEXT, _RAW_SCORES, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        if not isinstance(inputs, dict) or set(inputs) != _FIELDS:
            raise InvalidInput("invalid_ranking", found=json_type(inputs))
        texts = inputs["texts"]
        if not isinstance(texts, list):
            raise InvalidInput("invalid_ranking", found=json_type(texts))
        if any(isinstance(text, dict) and TOKEN_IDS in text for text in (inputs["query"], *texts)):
            raise InvalidInput("token_ids_not_taken")  # which of a pair's tokens are the query's, and of which type, only its maker knows
        options = RerankingOptions(
            long_text=read_long_text(parameters),
            query=_check_query(inputs["query"], limits),
            top_k=_TOP_K.read(parameters),
            returns_text=_RETURN_TEXT.read(parameters),
            is_raw=_RAW_SCORES.read(parameters),
        )
        return TaskRequest(check_texts(texts, limits)[0], False, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: pairs for a cross-encoder; every text and then the query for an embedding model."""
        options = request.options
        assert isinstance(options, RerankingOptions), "options of another task"
        policy = options.long_text or long_text
        if spec.vectors is None:
            return PairEncoder(encoder).encode_pairs(options.query, _texts(request), policy, max_windows=max_windows)
        ask, tell = spec.vectors.role_words("query"), spec.vectors.role_words("passage")
        try:
            query = encoder.encode([ask + options.query], truncate=policy == "truncate")
        except InvalidInput as error:
            raise _of_query(error) from error
        told = encoder.plan([tell + text for text in _texts(request)], policy, max_windows=max_windows)
        return Encoded(told.rows + query, told.cut, told.windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: the best window of a cross-encoder; of an embedding model the vector that embedding would answer."""
        if "embeddings" in rows[0]:
            return merged_vectors(windows, rows)
        return {"logits": np.stack([row["logits"] for row in rows]).max(axis=0)}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Ranked]:
        """See `Task.decode`: best first; equal scores keep the order of the request."""
        assert isinstance(options, RerankingOptions), "options of another task"
        if spec.vectors is not None:
            vectors = normalized(vectors_of(outputs, spec)).astype(np.float64)
            scores = vectors[:-1] @ vectors[-1]
        else:
            scores = _pair_scores(outputs)
            scores = scores if options.is_raw else 0.5 * (1.0 + np.tanh(0.5 * scores))
        order = np.argsort(-scores, kind="stable")[: options.top_k]
        return [Ranked(index, float(scores[index])) for index in order.tolist()]

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`."""
        options = cast("RerankingOptions", request.options)
        answers: list[JsonValue] = []
        for row in rows:
            more: JsonObject = {"text": _texts(request)[row.index]} if options.returns_text else {}
            answers.append({"index": row.index, "score": row.score, **more})
        return answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: scores `(queries, texts)` against relevance, NaN where a query has fewer texts."""
        return ranking_metrics(np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.float64))

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: under the query of the first example that has one; lone texts all get the same, whatever their company."""
        examples = [Related.asked(question) for question in questions]
        query = next((example.first for example in examples if example.second), PROBE_QUERY)
        texts: list[JsonValue] = [example.second or example.first for example in examples]
        return {"query": query, "texts": texts}, {"truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: one number a text."""
        ranked = cast("list[dict[str, Any]]", answer)
        return [np.array([[item["score"]]], dtype=np.float64) for item in sorted(ranked, key=lambda item: int(item["index"]))]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        inputs, parameters = self.probe([question])
        return inputs, parameters

    def exam(self, questions: Sequence[JsonValue], spec: ModelSpec) -> Exam:
        """See `SetsExams.exam`: each query with all its texts."""
        return ranking_exam(questions, task=self.name)

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`: one text of a query says nothing of a ranking; `exam` asks for all of them."""
        raise InvalidInput("not_judged", task=self.name)


def _texts(request: TaskRequest) -> tuple[str, ...]:
    return cast("tuple[str, ...]", request.texts)  # `check` takes nothing else


def _pair_scores(outputs: Mapping[str, npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    logits = outputs.get("logits")
    if logits is None or logits.ndim != 2 or logits.shape[1] != 1:
        raise EngineFailed("model_output_invalid", details=f"logits of shape {None if logits is None else logits.shape}")
    if not np.isfinite(logits).all():
        raise EngineFailed("model_output_invalid", details="NaN or infinity in the logits")
    return np.asarray(logits[:, 0], dtype=np.float64)


def _check_query(value: JsonValue, limits: Limits) -> str:
    try:
        return check_text(value, 0, limits)
    except InvalidInput as error:
        raise _of_query(error) from error


def _of_query(error: InvalidInput) -> InvalidInput:
    """A refusal of the query, which has no index among the texts."""
    return InvalidInput("invalid_query", problem=error.code, details=error.message)
