"""Extractive question answering: the piece of a context that answers a question, or that none does. Wire shape of Hugging Face's task.

A network says of every token how well an answer starts and ends there; its first token, which is no part of the context, stands for "no
answer". Source: Devlin et al., BERT (2019), section 4.3; Rajpurkar et al., SQuAD 2.0 (2018).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.answer_metrics import answer_metrics, place_metrics
from hanlin.tasks.answered_questions import AnsweredQuestions
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_text
from hanlin.tasks.documents import DOCUMENTS, choose_passages, read_documents
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_answers import ANSWER_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.found_answers import MAX_ANSWER_TOKENS, PASSAGES, Answer, AnsweringOptions, best_answers, sections_of
from hanlin.tasks.likeness import FLAGS, Likeness, Numbers, Raw
from hanlin.tasks.pair_encoding import PairEncoder
from hanlin.tasks.parameters import check_names, integer, maybe, word
from hanlin.tasks.passage_recall import passage_recall
from hanlin.tasks.prompted_answers import decode_prompted, encode_prompted
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.shapes import TEXT, Shape, each, rows
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_likeness import TEXTS
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText, json_type

LABELS = ("start", "end")
PROBE = "What is it about?"
_FIELDS = {"question", "context"}
_OVER_DOCUMENTS = {"question", "documents"}
_ASKED: JsonObject = {
    "type": "object", "required": ["question", "context"], "additionalProperties": False,
    "properties": {"question": TEXT, "context": TEXT},
}  # fmt: skip
_SEARCHED: JsonObject = {
    "type": "object", "required": ["question", "documents"], "additionalProperties": False,
    "properties": {"question": TEXT, "documents": DOCUMENTS},
}  # fmt: skip
ASKED: JsonObject = {"anyOf": [_ASKED, {"type": "array", "items": _ASKED, "minItems": 1}, _SEARCHED]}
_FOUND: JsonObject = {
    "type": "object", "required": ["answer", "score", "start", "end"],
    "properties": {
        "answer": {"type": "string", "description": "as it stands in the context; empty where it holds no answer"},
        "score": {"type": "number"}, "start": {"type": "integer", "description": "character of the context"}, "end": {"type": "integer"},
        "no_answer_score": {"type": "number", "description": "of there being none"},
        "document": {"type": ["string", "integer", "null"], "description": "which one the answer stands in, where documents were sent"},
    },
}  # fmt: skip
_TOP_K = integer("top_k", "how many answers to give, best first; left out, one, and no list", low=1, high=100, example=3)
_LONGEST = integer("max_answer_len", f"tokens that an answer may have; left out, {MAX_ANSWER_TOKENS}", low=1, high=512, example=15)
_STRIDE = integer(
    "doc_stride", "tokens that the windows of a long context share; left out, a quarter of a window", low=1, high=4096, example=64
)  # fmt: skip
_PASSAGES = integer(
    "passages", f"how many passages of `documents` are read; left out, {PASSAGES}", low=1, high=64, example=8
)  # fmt: skip
_CANDIDATES = integer(
    "candidates", "how many passages the `reranker` judges, where a `retriever` has searched before; left out, 20", low=1, high=256,
    example=30,
)  # fmt: skip
_RETRIEVER = word(
    "retriever", "the endpoint, of task embedding or reranking, that searches `documents`; left out, words that passages share with the "
    "question decide", example="faq-search",
)  # fmt: skip
_RERANKER = word("reranker", "the endpoint, of task reranking, that puts what was found in a better order", example="ranks")
_IMPOSSIBLE = maybe(
    "handle_impossible_answer", "whether the answer may be that there is none; left out, as the model was taught: beyond its own threshold"
)  # fmt: skip


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
    explaining: Explaining = ANSWER_TARGETS
    is_row_by_row = False
    examples: ExampleForm = AnsweredQuestions()
    shape = Shape(ASKED, each({"anyOf": [_FOUND, rows(_FOUND)]}))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {
            "inputs": {"question": "When does the shop open?", "context": "The shop opens at nine and closes at six."}, "parameters": {},
        },
        "response": {"answer": "nine", "score": 0.93, "start": 18, "end": 22, "no_answer_score": 0.01},
    }  # fmt: skip

    parameters: tuple[Parameter[Any], ...] = (
        _TOP_K, _LONGEST, _STRIDE, _IMPOSSIBLE, _PASSAGES, _RETRIEVER, _RERANKER, _CANDIDATES,
    )  # fmt: skip

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        if isinstance(inputs, dict) and inputs.keys() == _OVER_DOCUMENTS:
            return _check_search(inputs, parameters, limits)
        _check_absent(parameters, _PASSAGES, _RETRIEVER, _RERANKER, _CANDIDATES)
        items = inputs if isinstance(inputs, list) else [inputs]
        if not items:
            raise InvalidInput("empty_batch")
        if len(items) > limits.max_items:
            raise InvalidInput("batch_too_large", items=len(items), limit=limits.max_items)
        pairs = [_read_item(item, index, limits) for index, item in enumerate(items)]
        options = replace(_read_options(parameters), questions=tuple(question for question, _ in pairs))
        return TaskRequest(tuple(context for _, context in pairs), not isinstance(inputs, list), options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`: long contexts are always read in windows, the question before each; of documents the best passages."""
        options = request.options
        assert isinstance(options, AnsweringOptions), "options of another task"
        if spec.prompt is not None:
            return encode_prompted(options, None if options.documents else cast("tuple[str, ...]", request.texts), encoder, spec)
        if options.documents:
            return _encode_passages(options, encoder, spec, max_windows)
        contexts = cast("tuple[str, ...]", request.texts)  # `check` takes nothing else
        found = PairEncoder(encoder).encode_questions(options.questions, contexts, stride=options.stride, max_windows=max_windows)
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
        """See `Task.decode`: answers of each context, or of all documents."""
        assert isinstance(options, AnsweringOptions), "options of another task"
        if spec.prompt is not None:
            return decode_prompted(outputs, encoded)
        sections = sections_of(outputs, options, encoded)
        if options.documents:
            return [best_answers(sections, spec, options)]
        return [best_answers([section], spec, options) for section in sections]

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: an answer for a single question, a list of them where several are asked for."""
        options = cast("AnsweringOptions", request.options)
        is_list = options.top_k is not None and options.top_k > 1
        is_of_documents = bool(options.documents)
        told = [[item.to_json(is_of_documents=is_of_documents) for item in row] for row in rows]
        answers: list[JsonValue] = [[*row] if is_list else row[0] for row in told]
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
        if spec.prompt is not None:
            return [TEXTS.of(str(item["answer"])) for item in found]
        return [np.array([[item["score"], item["start"], item["end"]]], dtype=np.float64) for item in found]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        texts = [str(item["answer"]) for item in cast("list[dict[str, Any]]", answers)]
        return answer_metrics(texts, [[item["text"] for item in json.loads(annotation)["answers"]] for annotation in gold])

    def search_quality(self, texts: Sequence[str], gold: Sequence[str]) -> Mapping[str, float]:
        """See `JudgesSearch`: what reading `documents` without a retriever begins with."""
        return passage_recall(texts, gold)


def _read_item(item: JsonValue, index: int, limits: Limits) -> tuple[str, str]:
    if not isinstance(item, dict) or item.keys() != _FIELDS:
        raise InvalidInput("invalid_question", index=index, found=json_type(item))
    return check_text(item["question"], index, limits), check_text(item["context"], index, limits)


def _read_options(parameters: JsonObject) -> AnsweringOptions:
    return AnsweringOptions(
        top_k=_TOP_K.read(parameters), max_answer_tokens=_LONGEST.read(parameters) or MAX_ANSWER_TOKENS, stride=_STRIDE.read(parameters),
        is_impossible_allowed=_IMPOSSIBLE.read(parameters), num_passages=_PASSAGES.read(parameters) or PASSAGES,
    )  # fmt: skip


def _check_search(inputs: JsonObject, parameters: JsonObject, limits: Limits) -> TaskRequest:
    """A question about documents. Other endpoints that search have done so before a worker sees the call: then it names none."""
    options = _read_options(parameters)
    searching = [item.name for item in (_RETRIEVER, _RERANKER, _CANDIDATES) if item.read(parameters) is not None]
    documents = read_documents(inputs["documents"], limits)
    try:
        question = check_text(inputs["question"], 0, limits)
    except InvalidInput as error:
        raise InvalidInput("invalid_query", problem=error.code, details=error.message) from error
    if searching:
        raise InvalidInput("invalid_parameter", name=searching[0], expected="beside the name of an endpoint that searches", found="alone")
    options = replace(options, questions=(question,), documents=documents)
    return TaskRequest(tuple(document.text for document in documents), True, options)


def _check_absent(parameters: JsonObject, *unfit: Parameter[Any]) -> None:
    """Raises InvalidInput (`invalid_parameter`) for what is of documents alone."""
    for parameter in unfit:
        if parameter.read(parameters) is not None:
            raise InvalidInput("invalid_parameter", name=parameter.name, expected="absent where no documents are searched", found="one")


def _encode_passages(options: AnsweringOptions, encoder: TextEncoder, spec: ModelSpec, max_windows: int | None) -> Encoded:
    """Rows of the best passages, marked by their places in their documents."""
    (question,) = options.questions
    passages = choose_passages(question, options.documents, options.num_passages)
    texts = [passage.text for passage in passages]
    found = PairEncoder(encoder).encode_questions([question] * len(texts), texts, stride=options.stride, max_windows=max_windows)
    assert found.marks is not None, "questions have marks"
    marks = [
        Marks(
            passage.document.text, [(span[0] + passage.start, span[1] + passage.start) if span else None for span in own.spans], own.words
        )
        for passage, own in zip(passages, found.marks, strict=True)
    ]
    places = [options.documents.index(passage.document) for passage in passages]
    return Encoded(found.rows, windows=found.windows, types=found.types if spec.has_types else None, marks=marks, texts=places)
