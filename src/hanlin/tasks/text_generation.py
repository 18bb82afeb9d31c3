"""Text generation: a model goes on with a text, or answers in a talk. Wire shapes of Hugging Face's task API.

A call may also ask how likely texts are (`score`): nothing is written then. Evaluations and certificates stand on that.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.generation import Generated, GenerationSettings
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.chat import Message
from hanlin.tasks.chat_tools import uses_tools
from hanlin.tasks.checks import read_long_text
from hanlin.tasks.continuations import GENERATION_SHAPE, Continued, Judged, check_asking, read_inputs
from hanlin.tasks.continued_stream import ContinuedStream
from hanlin.tasks.continued_texts import ContinuedTexts, likelihood_metrics
from hanlin.tasks.encoded import Encoded, Telling
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_writing import CONTINUED_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.generation_parameters import CONTINUING, COUNT, DETAILS, TOP, read_continuing
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.next_token_likeness import COUNT as PLACES
from hanlin.tasks.next_token_likeness import NEXT_TOKENS
from hanlin.tasks.parameters import LONG_TEXT, boolean, check_names, integer, words
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.read_texts import ReadRow, read_talk, read_text, talk_row
from hanlin.tasks.sequences import FINISHES, SCORES, SEEN, SEQUENCES, from_arrays, to_arrays, written
from hanlin.tasks.shapes import Shape
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_ids import check_vocabulary
from hanlin.tasks.tool_choice import CHOOSING, Forced, read_choice
from hanlin.tasks.tool_marks import marks_of, telling
from hanlin.tasks.windows import Window, check_windows
from hanlin.tasks.written_parameters import WRITING, read_writing, settled
from hanlin.tool_forms import FORMS, HERMES
from hanlin.types import JsonObject, JsonValue, LongText

_FULL = boolean("return_full_text", "whether the answer begins with the text that was sent; not of talks")
_STOP = words("stop", "words that end the answer, and are no part of it", default=(), limit=16, example=("\n\n",))
_MAX_STOP = 1000  # characters
_SEEDS = 2**53
_chance = random.SystemRandom()
_SCORE = boolean("score", "write nothing: answer how likely the texts are, or what the assistant says in talks")
_LIKELIEST = integer("likeliest", "as `score`, and tell so many likeliest tokens at each place", low=0, high=20, example=5)


@dataclass(frozen=True, slots=True)
class GenerationOptions(TaskOptions):
    """Options of a call.

    Args:
        asked: what it says of `GenerationSettings`, by their names.
        talks: the messages of each item that is a talk.
        stops: words that end an answer.
        forced: calls that the answer must be; has_one_call: whether it may have one at most.
        count: answers to each text, one behind the other.
        has_details: whether each token is told of.
        is_read: whether texts are read and nothing is written; likeliest: of such a call.
    """

    asked: Mapping[str, object] = field(default_factory=dict)
    talks: tuple[tuple[Message, ...] | None, ...] = ()
    stops: tuple[str, ...] = ()
    forced: Forced | None = None
    has_one_call: bool = False
    is_full: bool = False
    is_read: bool = False
    likeliest: int = 0
    count: int = 1
    has_details: bool = False


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
    explaining: Explaining = CONTINUED_TARGETS
    is_row_by_row = False
    parameters: tuple[Parameter[Any], ...] = (*WRITING, *CONTINUING, *CHOOSING, _FULL, _STOP, _SCORE, _LIKELIEST, *LONG_TEXT)
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
        if not is_read:
            check_asking(talks)
        count, has_details = COUNT.read(parameters) or 1, bool(DETAILS.read(parameters) or TOP.read(parameters))
        if is_read and (count > 1 or has_details):
            raise InvalidInput("invalid_parameter", name=_SCORE.name, expected="false where answers are told of", found="true")
        if count * len(texts) > limits.max_items:
            raise InvalidInput("batch_too_large", items=count * len(texts), limit=limits.max_items)
        asked, stops = read_continuing(parameters, read_writing(parameters)), _stops(parameters)
        calls, has_one_call = read_choice(parameters, talks)
        if calls is not None:  # a word that ends an answer would break a call
            stops = ()
        options = GenerationOptions(
            read_long_text(parameters), asked, talks, stops, calls, has_one_call, is_full, is_read, likeliest, count, has_details
        )  # fmt: skip
        return TaskRequest(texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`. A prompt has no windows: it loses its end where it may, and so much that there is room for an answer."""
        options = request.options
        assert isinstance(options, GenerationOptions), "options of another task"
        assert spec.generation is not None, "specs of models that write have it"
        policy = options.long_text or long_text
        if options.is_read:
            return _read(request, options, encoder, spec, is_cut=policy == "truncate", max_windows=max_windows)
        settings = _settings(options, encoder, spec)
        answer = _room_of(settings[0], spec.max_length)
        rows: list[list[int]] = []
        cut: list[int] = []
        for index, (text, talk) in enumerate(zip(request.texts, options.talks, strict=True)):
            if talk:
                said = talk_row(talk, encoder, spec, index=index, is_cut=policy != "refuse", is_asking=True, answer=answer)
                rows.append([*encoder.head, *said.ids])
                cut += [index] * said.is_cut
                continue
            try:
                found = encoder.plan([text], "truncate" if policy == "window" else policy)
            except InvalidInput as error:  # each is planned alone, and would be told as the first
                raise InvalidInput.of(error.code, {**error.params, "index": index}) from error
            row = found.rows[0][: len(found.rows[0]) - len(encoder.tail)]
            rows.append(row[: spec.max_length - answer] if found.cut else row)
            cut += [index] * len(found.cut)
        return Encoded(
            [row for row in rows for _ in range(options.count)], tuple(cut), generation=settings * len(rows),
            spell=encoder.spell, tellings=_tellings(options, encoder, spec),
        )  # fmt: skip

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
        rows = written(outputs)
        if options.is_read:
            return [Judged.of(row.seen, counted, size) for row, (counted, size) in zip(rows, _told(encoded), strict=True)]
        return [Continued.of(row, stream) for row, stream in zip(rows, _streams(options, encoded), strict=True)]

    def streams(self, request: TaskRequest, encoded: Encoded) -> list[ContinuedStream]:
        """See `StreamingTask.streams`."""
        return _streams(cast("GenerationOptions", request.options), encoded)

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`."""
        options = cast("GenerationOptions", request.options)
        answers: list[JsonValue] = [row.to_json(options.likeliest > 0) for row in rows]
        if options.is_full:
            for place, answer in enumerate(cast("list[JsonObject]", answers)):
                answer["generated_text"] = f"{request.texts[place // options.count]}{answer['generated_text']}"
        if options.count > 1 and not options.is_read:
            answers = [answers[at : at + options.count] for at in range(0, len(answers), options.count)]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: (rows, 3) logarithm of a text's chance, its tokens, those that were foreseen; gold: its bytes."""
        logs, tokens, right = probabilities.T.tolist()
        return likelihood_metrics(logs, tokens, right, gold.tolist())

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: what it thinks comes next, at each place of the texts."""
        return list(questions), {"truncation": True, "score": True, "likeliest": PLACES}

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
    cut = tuple(index for index, row in enumerate(found) if row.is_cut)
    sizes = [row.size_bytes for row in found]
    return Encoded(rows, cut, windows, generation=[settings] * len(rows), counted=counted, sizes=sizes)


def _streams(options: GenerationOptions, encoded: Encoded) -> list[ContinuedStream]:
    assert encoded.tellings and encoded.generation is not None, "words come from the version's own tokenizer"
    return [
        ContinuedStream(telling.spell, before, telling.stops, telling.special, options.has_details, each.seed, telling.beside)
        for before, each, telling in zip(encoded.rows, encoded.generation, encoded.tellings, strict=True)
    ]


def _tellings(options: GenerationOptions, encoder: TextEncoder, spec: ModelSpec) -> list[Telling]:
    """Of each answer to each text: a text beside a talk with tools is told as it would be alone."""
    forms = [_form(talk, spec) for talk in options.talks]
    told = {
        form: telling(form, encoder, spec, stops=options.stops, has_details=options.has_details, has_one_call=options.has_one_call)
        for form in set(forms)
    }
    return [told[form] for form in forms for _ in range(options.count)]


def _settings(options: GenerationOptions, encoder: TextEncoder, spec: ModelSpec) -> list[GenerationSettings]:
    """Of the answers to one text. Where tokens are drawn and no seed is said, each call has another.

    Raises:
        InvalidInput: `unknown_token_id` for a bias on what is no token.
    """
    assert spec.generation is not None, "specs of models that write have it"
    asked = dict(options.asked)
    if options.forced is not None:
        form = _form(options.talks[0], spec)
        form = form if form in FORMS else HERMES
        asked["constraint"] = options.forced.constraint(form, marks_of(encoder.tokenizer, form))
    found = settled(spec.generation, asked, longest=spec.max_length)
    check_vocabulary([token for token, _ in found.logit_bias], encoder.tokenizer, 0)
    seed = _chance.randrange(_SEEDS) if found.temperature and "seed" not in options.asked else found.seed
    return [replace(found, seed=seed + number) for number in range(options.count)]


def _form(talk: tuple[Message, ...] | None, spec: ModelSpec) -> str:
    """In which calls of tools are written in a talk's answer, known or `own`; empty: there are none."""
    return spec.chat.tools if talk and uses_tools(talk) and spec.chat is not None else ""


def _room_of(settings: GenerationSettings, longest: int) -> int:
    """Tokens that are left for the answer behind a prompt that is cut: as many as it may have, and half of all at most."""
    return min(settings.max_new_tokens, longest // 2)


def _stops(parameters: JsonObject) -> tuple[str, ...]:
    found = tuple(filter(None, _STOP.read(parameters)))
    if any(len(word) > _MAX_STOP for word in found):
        raise InvalidInput("invalid_parameter", name=_STOP.name, expected=f"words of at most {_MAX_STOP} characters", found="a longer one")
    return found


def _told(encoded: Encoded) -> list[tuple[list[bool], int]]:
    assert encoded.counted is not None and encoded.sizes is not None, "of a call that reads"
    return list(zip(encoded.counted, encoded.sizes, strict=True))
