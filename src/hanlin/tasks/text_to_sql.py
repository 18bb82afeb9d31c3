"""Questions over tables: the SQL query that answers one. A grammar admits nothing but queries over the version's own schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed
from hanlin.generation import GenerationSettings
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_texts, read_long_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_writing import QUERY_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.parameters import LONG_TEXT, check_names
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.sequences import written
from hanlin.tasks.shapes import ONE_OR_MORE_TEXTS, Shape, each
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.sql.examples import QueryExamples
from hanlin.tasks.sql.grammar import SqlGrammar
from hanlin.tasks.sql.mentions import Question
from hanlin.tasks.sql.metrics import query_metrics
from hanlin.tasks.sql.query import render
from hanlin.tasks.text_likeness import TEXTS
from hanlin.tasks.windows import Window
from hanlin.tasks.written_parameters import BEAMS
from hanlin.types import JsonObject, JsonValue, LongText

MAX_TOKENS = 128  # of a query
ANSWER: JsonObject = {
    "type": "object", "required": ["sql", "score"],
    "properties": {
        "sql": {"type": "string", "description": "a query over the version's schema, always a valid one"},
        "score": {"type": "number", "description": "how sure the model is: the chance of all its tokens together"},
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlOptions(TaskOptions):
    """What a call says: queries that are written side by side, of which the best is answered."""

    num_beams: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer."""

    sql: str
    score: float


@TASKS.register("text-to-sql")
class TextToSql:
    """The query that a question asks for."""

    name = "text-to-sql"
    main_metric = "execution_accuracy"
    figures: tuple[str, ...] = ("execution_accuracy", "exact_match")
    head: HeadKind = "targets"
    likeness: Likeness = TEXTS
    explaining: Explaining = QUERY_TARGETS
    is_row_by_row = False
    examples: ExampleForm = QueryExamples()
    shape = Shape(ONE_OR_MORE_TEXTS, each(ANSWER))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "How many history books are there?", "parameters": {}},
        "response": {"sql": "SELECT COUNT(*) FROM books WHERE genre = 'history'", "score": 0.97},
    }
    parameters: tuple[Parameter[Any], ...] = (BEAMS, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_texts(inputs, limits)
        return TaskRequest(texts, is_single, SqlOptions(long_text=read_long_text(parameters), num_beams=BEAMS.read(parameters)))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`. A question has no windows: asked for them, it is cut."""
        assert isinstance(request.options, SqlOptions), "options of another task"
        assert spec.generation is not None and spec.queries is not None, "specs of this task have them"
        policy = request.options.long_text or long_text
        planned = encoder.plan(request.texts, "truncate" if policy == "window" else policy)
        lexicon, known, spelling, is_whole = spec.queries.lexicon, spec.queries.values(), encoder.spelling, spec.queries.is_whole
        texts = (encoder.text_of(row, 0, skip_special_tokens=True) for row in planned.rows)
        questions = [Question.of(lexicon.schema, text, known) for text in texts]
        grammars = [SqlGrammar(lexicon, spelling, question, known, is_whole=is_whole) for question in questions]
        rows = [source_row(question, encoder, lexicon.ids()) for question in questions]
        settings = replace(
            spec.generation, num_beams=request.options.num_beams or spec.generation.num_beams, max_new_tokens=MAX_TOKENS,
            stop_ids=(spec.queries.end,), length_penalty=0.0,
        )  # fmt: skip
        return Encoded(rows, planned.cut, generation=[replace(settings, grammar=grammar) for grammar in grammars])

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: there are no windows."""
        return rows[0]

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Asked]:
        """See `Task.decode`."""
        assert encoded is not None and encoded.generation is not None and spec.queries is not None, "rows of this task"
        found: list[Asked] = []
        for one, settings in zip(written(outputs), encoded.generation, strict=True):
            grammar = cast("SqlGrammar", settings.grammar)
            try:
                query = grammar.query(one.ids)
            except KeyError as error:
                raise EngineFailed("model_output_invalid", details="tokens that are no query") from error
            found.append(Asked(render(query, spec.queries.schema), math.exp(min(0.0, one.score))))
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`."""
        answers: list[JsonValue] = [{"sql": row.sql, "score": row.score} for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: SQL (rows,) of objects, against annotations."""
        return query_metrics([str(sql) for sql in probabilities], [str(item) for item in gold])

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`."""
        return list(questions), {"truncation": True, "num_beams": 1}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: the letters of each query as numbers."""
        return [TEXTS.of(str(item["sql"])) for item in cast("list[JsonObject]", answer)]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        return query_metrics([str(cast("JsonObject", item)["sql"]) for item in answers], gold)


def source_row(question: Question, encoder: TextEncoder, words: Mapping[str, int]) -> list[int]:
    """The row that the network reads, framed as a text and no longer than one: the columns of values may be more tokens than they were.

    Args:
        words: ids of the words of the schema.
    """
    row = question.source(encoder.ids, words)
    return [*encoder.head, *row[: encoder.max_length - encoder.num_special], *encoder.tail]


def default_settings(end: int) -> GenerationSettings:
    """How a new version writes where a call says nothing: four beams, the likeliest query."""
    return GenerationSettings(max_new_tokens=MAX_TOKENS, num_beams=4, length_penalty=0.0, stop_ids=(end,))
