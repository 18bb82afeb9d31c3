"""Text generation: a model goes on with a text, or answers in a talk. Wire shapes of Hugging Face's task API.

A call may also ask how likely texts are (`score`): nothing is written then. Evaluations and certificates stand on that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Generated, GenerationSettings
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.chat import Message
from hanlin.tasks.checks import read_long_text
from hanlin.tasks.continuations import GENERATION_SHAPE, Continued, Judged, read_inputs
from hanlin.tasks.continued_texts import ContinuedTexts, likelihood_metrics
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.next_token_likeness import COUNT, NEXT_TOKENS
from hanlin.tasks.parameters import LONG_TEXT, boolean, check_names, integer, words
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.read_texts import ReadRow, read_talk, read_text, talk_row
from hanlin.tasks.sequences import FINISHES, SCORES, SEEN, SEQUENCES, from_arrays, to_arrays
from hanlin.tasks.shapes import Shape
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window, check_windows
from hanlin.tasks.written_parameters import WRITING, read_writing, settled
from hanlin.types import JsonObject, JsonValue, LongText

_FULL = boolean("return_full_text", "whether the answer begins with the text that was sent; not of talks")
_STOP = words("stop", "words that end the answer, and are no part of it", default=(), limit=16, example=("\n\n",))
_SCORE = boolean("score", "write nothing: answer how likely the texts are, or what the assistant says in talks")
_LIKELIEST = integer("likeliest", "as `score`, and tell so many likeliest tokens at each place", low=0, high=20, example=5)


@dataclass(frozen=True, slots=True)
class GenerationOptions(TaskOptions):
    """Options of a call.

    Args:
        asked: what it says of `GenerationSettings`, by their names.
        talks: the messages of each item that is a talk.
        stops: words that end an answer.
        is_read: whether texts are read and nothing is written; likeliest: of such a call.
    """

    asked: Mapping[str, object] = field(default_factory=dict)
    talks: tuple[tuple[Message, ...] | None, ...] = ()
    stops: tuple[str, ...] = ()
    is_full: bool = False
    is_read: bool = False
    likeliest: int = 0


@TASKS.register("text-generation")
class TextGeneration:
    """What comes next."""

    name = "text-generation"
    main_metric = "accuracy"
    figures: tuple[str, ...] = ("accuracy",)
    examples: ExampleForm = ContinuedTexts()
    shape: Shape = GENERATION_SHAPE
    head: HeadKind = "continuations"
    likeness: Likeness = NEXT_TOKENS
    is_row_by_row = False
    parameters: tuple[Parameter[Any], ...] = (*WRITING, _FULL, _STOP, _SCORE, _LIKELIEST, *LONG_TEXT)
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "床前明月光，", "parameters": {"max_new_tokens": 12}},
        "response": {"generated_text": "疑是地上霜。", "finish_reason": "stop", "num_tokens": 9},
    }

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`. An item is a text, or `{"messages": [...]}`; a bare list of messages is one talk, as transformers has it."""
        check_names(parameters, self.parameters)
        texts, talks, is_single = read_inputs(inputs, limits)
        likeliest, is_full = _LIKELIEST.read(parameters) or 0, _FULL.read(parameters)
        is_read = _SCORE.read(parameters) or likeliest > 0
        if is_full and any(talks):
            raise InvalidInput("invalid_parameter", name=_FULL.name, expected="false where messages are sent", found="true")
        if not is_read and (place := next((place for place, talk in enumerate(talks) if talk and talk[-1].role == "assistant"), -1)) >= 0:
            raise InvalidInput("invalid_messages", index=place, problem="the last message is the assistant's own")
        options = GenerationOptions(
            read_long_text(parameters), read_writing(parameters), talks, tuple(filter(None, _STOP.read(parameters))), is_full, is_read,
            likeliest,
        )  # fmt: skip
        return TaskRequest(texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`. A prompt has no windows: it loses its beginning where it may. What is read comes in pieces."""
        options = request.options
        assert isinstance(options, GenerationOptions), "options of another task"
        assert spec.generation is not None, "specs of models that write have it"
        policy = options.long_text or long_text
        if options.is_read:
            return _read(request, options, encoder, spec, is_cut=policy == "truncate", max_windows=max_windows)
        settings = settled(spec.generation, dict(options.asked), longest=spec.max_length)
        rows: list[list[int]] = []
        cut: list[int] = []
        for index, (text, talk) in enumerate(zip(request.texts, options.talks, strict=True)):
            if talk:
                said = talk_row(talk, encoder, spec, index=index, is_cut=policy != "refuse", is_asking=True)
                rows.append([*encoder.head, *said.ids])
                continue
            try:
                found = encoder.plan([text], "truncate" if policy == "window" else policy)
            except InvalidInput as error:  # each is planned alone, and would be told as the first
                raise InvalidInput.of(error.code, {**error.params, "index": index}) from error
            rows.append(found.rows[0][: len(found.rows[0]) - len(encoder.tail)])
            cut += [index] * len(found.cut)
        return Encoded(
            rows, tuple(cut), generation=[settings] * len(rows), spell=lambda ids: encoder.text_of(ids, 0, skip_special_tokens=True)
        )

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: the tokens of all pieces, one behind the other."""
        pieces = [from_arrays({name: values[None] for name, values in row.items()})[0] for row in rows]
        seen = tuple(token for piece in pieces for token in piece.seen)
        made = to_arrays([Generated((), "stop", sum(piece.score for piece in pieces), seen)])
        return {name: made[name][0] for name in (SEQUENCES, FINISHES, SCORES, SEEN)}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Continued | Judged]:
        """See `Task.decode`."""
        assert encoded is not None and isinstance(options, GenerationOptions), "what was asked"
        if not {SEQUENCES, FINISHES, SCORES} <= outputs.keys() or not all(np.isfinite(values).all() for values in outputs.values()):
            raise EngineFailed("model_output_invalid", details="no sequences, or numbers that are not finite")
        rows = from_arrays(outputs)
        if options.is_read:
            return [Judged.of(row.seen, counted, size) for row, (counted, size) in zip(rows, _told(encoded), strict=True)]
        return [Continued.of(row, before, encoded, options.stops) for row, before in zip(rows, encoded.rows, strict=True)]

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`."""
        options = cast("GenerationOptions", request.options)
        answers: list[JsonValue] = [row.to_json(options.likeliest > 0) for row in rows]
        if options.is_full:
            for answer, text in zip(cast("list[JsonObject]", answers), cast("tuple[str, ...]", request.texts), strict=True):
                answer["generated_text"] = f"{text}{answer['generated_text']}"
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: (rows, 3) logarithm of a text's chance, its tokens, those that were foreseen; gold: its bytes."""
        logs, tokens, right = probabilities.T.tolist()
        return likelihood_metrics(logs, tokens, right, gold.tolist())

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: what it thinks comes next, at each place of the texts."""
        return list(questions), {"truncation": True, "score": True, "likeliest": COUNT}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: a row a token."""
        rows = cast("list[dict[str, Any]]", answer)
        return [NEXT_TOKENS.of([place["likeliest"] for place in row["places"]]) for row in rows]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {"truncation": True, "score": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        told = cast("list[dict[str, float]]", answers)
        names = ("log_likelihood", "num_tokens", "num_right", "num_bytes")
        logs, tokens, right, sizes = ([answer[name] for answer in told] for name in names)
        return likelihood_metrics(logs, [int(n) for n in tokens], [int(n) for n in right], [int(n) for n in sizes])


def _read(
    request: TaskRequest, options: GenerationOptions, encoder: TextEncoder, spec: ModelSpec, *, is_cut: bool, max_windows: int | None
) -> Encoded:
    found: list[ReadRow] = []
    for index, (text, talk) in enumerate(zip(request.texts, options.talks, strict=True)):
        row = read_talk(talk, encoder, spec, index=index, is_cut=is_cut) if talk else read_text(cast("str", text), encoder, spec)
        found.append(row)
    windows = {
        index: tuple(Window(0, len(piece), 0, len(piece)) for piece in row.pieces) for index, row in enumerate(found) if len(row.pieces) > 1
    }
    check_windows(windows, max_windows)
    rows = [piece for row in found for piece in row.pieces]
    settings = replace(spec.generation or GenerationSettings(), num_beams=1, reads=True, likeliest=options.likeliest)
    counted = [[is_one for piece in row.counted for is_one in piece] for row in found]
    return Encoded(rows, windows=windows, generation=[settings] * len(rows), counted=counted, sizes=[row.size_bytes for row in found])


def _told(encoded: Encoded) -> list[tuple[list[bool], int]]:
    assert encoded.counted is not None and encoded.sizes is not None, "of a call that reads"
    return list(zip(encoded.counted, encoded.sizes, strict=True))
