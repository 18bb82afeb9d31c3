"""Embedding: one vector for each text, or one for each of its tokens. Wire shapes of Hugging Face's feature extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, Exam, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_items, read_long_text
from hanlin.tasks.comparing import COMPARED, as_list, check_nothing_else, is_comparison, similarities
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import Column, ExampleForm
from hanlin.tasks.explained_vectors import VECTOR_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import VECTORS, Likeness, Numbers
from hanlin.tasks.parameters import LONG_TEXT, check_names, choice, integer, maybe, word
from hanlin.tasks.ranking_metrics import ScalarMetrics, pair_metrics
from hanlin.tasks.related import Related, RelatedTexts
from hanlin.tasks.search_exam import vector_exam
from hanlin.tasks.shapes import NUMBERS, ONE_OR_MORE, SCORED, Shape, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_ids import TokenIds
from hanlin.tasks.token_vectors import MAX_TOKEN_NUMBERS, OutputValue, check_no_windows, plan_tokens, token_vectors_of
from hanlin.tasks.vectors import MAX_DIMENSIONS, VectorSettings
from hanlin.tasks.windows import Window
from hanlin.tasks.zero_shot import HYPOTHESIS, MULTI, PARAMETERS, TEMPLATE, ZeroShot, check_alone, read_zero_shot
from hanlin.types import JsonObject, JsonValue, LongText

Vectors = npt.NDArray[np.float32]  # (texts, dimensions)


@dataclass(frozen=True, slots=True)
class EmbeddingOptions(TaskOptions):
    """Options of a call.

    Args:
        normalize: whether vectors get length 1; None leaves them as the model gives them.
        dimensions: values of each vector to keep; None means all.
        prompt_name: whose words go before each text; None means the model's default prompt.
        is_compared: whether the first text is compared with the others, and no vectors are answered.
        hypothesis_template, is_multi: how labels are asked about, where there are any.
        zero_shot: the labels that texts are put under, instead of vectors.
        output_value: a vector for each text, or the vectors of its tokens, special ones included, as they are before pooling.
    """

    normalize: bool | None = None
    dimensions: int | None = None
    prompt_name: str | None = None
    is_compared: bool = False
    output_value: OutputValue = "sentence_embedding"
    zero_shot: ZeroShot | None = None
    hypothesis_template: str = TEMPLATE
    is_multi: bool = False

    @property
    def with_tokens(self) -> bool:
        """Whether the vectors of tokens are asked for."""
        return self.output_value == "token_embeddings"


_NORMALIZE = maybe("normalize", "true gives vectors length 1; left out, they come as the model makes them")
_DIMENSIONS = integer(
    "dimensions", "how many values of a vector to keep, of a model trained for it; left out, all", low=1, high=MAX_DIMENSIONS, example=128
)  # fmt: skip
_PROMPT = word("prompt_name", "whose words go before each text; left out, the model's default prompt", example="query")

_OUTPUT_VALUE = choice(
    "output_value", "one vector a text, or `token_embeddings`: one for each of its tokens, special ones included, as they are before "
    f"pooling; a call answers at most {MAX_TOKEN_NUMBERS:,} numbers of them, and no text is read in windows",
    choices=get_args(OutputValue), default="sentence_embedding", example="token_embeddings",
)  # fmt: skip


@TASKS.register("embedding")
class Embedding:
    """One vector for each text; texts that mean the same have vectors that point the same way."""

    name = "embedding"
    main_metric = "ndcg"  # of examples with scores it is spearman
    figures: tuple[str, ...] = ("ndcg", "mrr", "recall_1", "recall_10", "spearman")
    head: HeadKind = "vectors"
    likeness: Likeness = VECTORS
    explaining: Explaining = VECTOR_TARGETS
    is_row_by_row = True
    examples: ExampleForm = RelatedTexts((
        Column(
            "anchor", "text", is_optional=True,
            aliases=("query", "question", "title", "sentence", "sentence1", "text1", "text_a", "premise", "source_sentence",
                     "句子", "句子1", "查询", "问题", "问句", "标题"),
        ),
        Column(
            "positive", "text", is_optional=True,
            aliases=("pos", "answer", "passage", "text", "document", "body", "content", "sentence2", "text2", "text_b", "hypothesis",
                     "文本", "句子2", "答案", "回答", "段落", "正文", "内容"),
        ),
        Column("negative", "json", is_optional=True, aliases=("neg", "negatives", "hard_negative", "hard_negatives", "负例", "反例")),
        Column("score", "label", is_optional=True, aliases=("similarity", "similarity_score", "相似度", "分数", "得分")),
        Column("group", "label", is_optional=True, aliases=("page", "分组", "页面")),
    ))  # fmt: skip
    shape = Shape(
        {"anyOf": [ONE_OR_MORE, COMPARED]}, {"anyOf": [NUMBERS, rows(NUMBERS), rows(rows(NUMBERS)), rows(SCORED), rows(rows(SCORED))]}
    )
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": ["How do I return a parcel?", "Sending goods back"], "parameters": {"dimensions": 4}},
        "response": [[0.5, -0.5, 0.5, 0.5], [0.7, -0.1, 0.5, 0.5]],
    }

    parameters: tuple[Parameter[Any], ...] = (_NORMALIZE, _DIMENSIONS, _PROMPT, _OUTPUT_VALUE, *PARAMETERS, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        is_compared = is_comparison(inputs)
        if is_compared:
            check_nothing_else(parameters, "normalize", "dimensions", "prompt_name", "output_value")
        zero_shot = read_zero_shot(parameters, limits)
        if zero_shot is not None:
            check_alone(parameters, ("normalize", "dimensions", "output_value"))
        if zero_shot is not None and is_compared:
            raise InvalidInput("invalid_parameter", name="candidate_labels", expected="absent beside `sentences`", found="both of them")
        texts, is_single = check_items(as_list(inputs) if is_compared else inputs, limits)
        options = EmbeddingOptions(
            long_text=read_long_text(parameters),
            normalize=_NORMALIZE.read(parameters),
            dimensions=_DIMENSIONS.read(parameters),
            prompt_name=_PROMPT.read(parameters),
            is_compared=is_compared,
            output_value=_OUTPUT_VALUE.read(parameters),
            zero_shot=zero_shot,
            hypothesis_template=HYPOTHESIS.read(parameters),
            is_multi=MULTI.read(parameters),
        )
        if options.with_tokens:
            check_no_windows(options.long_text)
        return TaskRequest((*texts, *zero_shot.hypotheses) if zero_shot else texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`. What this version's vectors cannot be is refused before anything is computed."""
        options, vectors = request.options, settings_of(spec)
        assert isinstance(options, EmbeddingOptions), "options of another task"
        if options.dimensions is not None and options.dimensions > vectors.dimensions:
            raise InvalidInput("too_many_dimensions", asked=options.dimensions, limit=vectors.dimensions)
        if options.normalize is False and vectors.is_normalized and not options.with_tokens:
            raise InvalidInput("always_normalized")
        prompt = vectors.prompt(options.prompt_name)
        if options.prompt_name is not None and any(isinstance(text, TokenIds) for text in request.texts):
            raise InvalidInput("invalid_parameter", name="prompt_name", expected="absent beside token ids", found="both of them")
        texts = [text if isinstance(text, TokenIds) else prompt + text for text in request.texts] if prompt else request.texts
        if options.with_tokens:
            return plan_tokens(encoder, texts, options.long_text or long_text, numbers=options.dimensions or vectors.dimensions)
        return encoder.plan(texts, options.long_text or long_text, max_windows=max_windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`."""
        return merged_vectors(windows, rows)

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> Vectors | list[Vectors]:
        """See `Task.decode`: `(texts, dimensions)`, or such an array of tokens for each text.

        Cut vectors are normalised again where whole ones are; those of tokens only when it is asked for.
        """
        assert isinstance(options, EmbeddingOptions), "options of another task"
        if options.with_tokens:
            assert encoded is not None, "tokens of no rows"
            tokens = token_vectors_of(outputs, spec, encoded)[:, : options.dimensions]
            ends = np.cumsum([len(row) for row in encoded.rows])
            return np.split(normalized(tokens) if options.normalize else tokens, ends[:-1])
        vectors = vectors_of(outputs, spec)
        if options.dimensions is not None and options.dimensions < vectors.shape[1]:
            vectors = np.ascontiguousarray(vectors[:, : options.dimensions])
        elif settings_of(spec).is_normalized or not options.normalize:
            return vectors
        return normalized(vectors) if settings_of(spec).is_normalized or options.normalize else vectors

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> msgspec.Raw:
        """See `Task.answer`: numbers for a single text, a list of such lists for a list; cosines where sentences are compared.

        Of tokens there is one level more.
        """
        options = cast("EmbeddingOptions", request.options)
        if options.with_tokens:
            return msgspec.Raw(json_numbers(rows[0]) if request.is_single else b"[%s]" % b",".join(map(json_numbers, rows)))
        vectors = np.asarray(rows, dtype=np.float32)
        if options.zero_shot is not None:
            scored = options.zero_shot.answer(normalized(vectors))
            return msgspec.Raw(msgspec.json.encode(scored[0] if request.is_single else scored))
        if options.is_compared:
            return msgspec.Raw(json_numbers(similarities(normalized(vectors))))
        return msgspec.Raw(json_numbers(vectors[0] if request.is_single else vectors))

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: similarities of pairs of texts `(pairs,)` against those that people gave."""
        return pair_metrics(np.asarray(probabilities, dtype=np.float64).reshape(-1), np.asarray(gold, dtype=np.float64))

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: of an example the first text."""
        return [Related.asked(question).first for question in questions], {"truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: one unit vector a text."""
        return list(VECTORS.numbers(np.array(answer, dtype=np.float64))[:, None, :])

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return Related.asked(question).first, {"truncation": True}

    def exam(self, questions: Sequence[JsonValue], spec: ModelSpec) -> Exam:
        """See `SetsExams.exam`: the vector of every text, for a search among all of them or for the similarity of scored pairs."""
        return vector_exam(questions, spec, task=self.name)

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`: one text alone says nothing of how alike texts are; `exam` asks for all of them."""
        raise InvalidInput("not_judged", task=self.name)


def merged_vectors(windows: Sequence[Window], rows: Sequence[Row]) -> Row:
    """The mean of the vectors, each window weighted by its own tokens; of length 1 where all of them are."""
    weights = np.array([window.num_own for window in windows], dtype=np.float64)
    vectors = np.stack([row["embeddings"] for row in rows]).astype(np.float64)  # (windows, dimensions)
    mean = weights @ vectors / weights.sum()
    if np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-3:
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return {"embeddings": mean.astype(np.float32)}


def settings_of(spec: ModelSpec) -> VectorSettings:
    """What the version says of its vectors. Raises EngineFailed where it says nothing."""
    if spec.vectors is None:
        raise EngineFailed("model_output_invalid", details="hanlin.json says nothing of vectors")
    return spec.vectors


def vectors_of(outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec) -> Vectors:
    """The engine's embeddings `(rows, dimensions)`. Raises EngineFailed (`model_output_invalid`)."""
    vectors = outputs.get("embeddings")
    if vectors is None or vectors.ndim != 2 or vectors.shape[1] != settings_of(spec).dimensions:
        raise EngineFailed("model_output_invalid", details=f"embeddings of shape {None if vectors is None else vectors.shape}")
    if not np.isfinite(vectors).all():
        raise EngineFailed("model_output_invalid", details="NaN or infinity in the embeddings")
    return np.asarray(vectors, dtype=np.float32)


def normalized(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def json_numbers(values: Vectors) -> bytes:
    """JSON text of a float32 array, each number the shortest that reads back as the same float32.

    384 numbers take 19 us and 4.7 kB here; through Python floats 31 us and 8.0 kB, because those have 17 digits.
    """
    import orjson

    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
