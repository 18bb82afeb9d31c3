"""What tasks share whose answer is a text that a network writes for another: translation, summarization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.generation import Generated, GenerationSettings
from hanlin.tasks.base import HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_texts, read_long_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.explained_writing import WRITTEN_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.parameters import LONG_TEXT, check_names
from hanlin.tasks.prompting import Prompter, check_beams, prompted
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.sentences import chunks
from hanlin.tasks.sequences import FINISHES, SCORES, SEQUENCES, from_arrays, to_arrays, written
from hanlin.tasks.shapes import ONE_OR_MORE_TEXTS, Shape, each
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_likeness import TEXTS
from hanlin.tasks.windows import Window, check_windows
from hanlin.tasks.written_parameters import WRITING, read_writing, settled
from hanlin.tasks.written_texts import target_of
from hanlin.types import JsonObject, JsonValue, LongText


@dataclass(frozen=True, slots=True)
class WritingOptions(TaskOptions):
    """What a call says of how it wants its answers written, by the names of `GenerationSettings`."""

    asked: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """One answer. `is_cut`: the longest allowed length ended it, not the model."""

    text: str
    is_cut: bool


def writing_shape(key: str) -> Shape:
    """Texts in, `{key: text}` out."""
    item: JsonObject = {
        "type": "object", "required": [key, "finish_reason"],
        "properties": {
            key: {"type": "string"},
            "finish_reason": {"enum": ["stop", "length"], "description": "length: `max_new_tokens` ended the answer, not the model"},
        },
    }  # fmt: skip
    return Shape(ONE_OR_MORE_TEXTS, each(item))


class TextWriting:
    """A text for each text. Subclasses say what it is called and how it is judged."""

    name: str
    key: str  # of the answer
    judge: Callable[[Sequence[str], Sequence[str]], ScalarMetrics]  # the field's figures of what was written against gold texts
    main_metric: str
    figures: tuple[str, ...]
    examples: ExampleForm
    shape: Shape
    example: JsonObject
    head: HeadKind = "targets"
    likeness: Likeness = TEXTS
    explaining: Explaining = WRITTEN_TARGETS
    is_row_by_row = False
    parameters: tuple[Parameter[Any], ...] = (*WRITING, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_texts(inputs, limits)
        return TaskRequest(texts, is_single, WritingOptions(long_text=read_long_text(parameters), asked=read_writing(parameters)))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`. The windows of a long text are pieces of whole sentences, one after the other, without overlap."""
        assert isinstance(request.options, WritingOptions), "options of another task"
        assert spec.generation is not None, "specs of models that write have it"
        settings = settled(spec.generation, dict(request.options.asked), longest=spec.max_length)
        policy = request.options.long_text or long_text
        if spec.prompt is not None:
            return _prompted(cast("list[str]", [*request.texts]), encoder, spec, settings, (policy, max_windows))
        texts, windows = cast("list[str]", list(request.texts)), dict[int, tuple[Window, ...]]()
        if policy == "window":
            texts, windows = _in_pieces(texts, encoder, max_windows)
        planned = encoder.plan(texts, "truncate" if policy == "window" else policy)
        return Encoded(
            planned.rows, planned.cut, windows, generation=[settings] * len(planned.rows), spell=encoder.spell,
        )  # fmt: skip

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: one piece behind the other."""
        pieces = [from_arrays({name: values[None] for name, values in row.items()})[0] for row in rows]
        ids = tuple(token for one in pieces for token in one.ids)
        finish = "length" if any(one.finish == "length" for one in pieces) else pieces[-1].finish
        made = to_arrays([Generated(ids, finish, float(np.mean([one.score for one in pieces])))])
        return {name: made[name][0] for name in (SEQUENCES, FINISHES, SCORES)}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Written]:
        """See `Task.decode`."""
        assert encoded is not None and encoded.spell is not None, "words come from the version's own tokenizer"
        return [Written(encoded.spell(one.ids).strip(), one.finish == "length") for one in written(outputs)]

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`."""
        answers: list[JsonValue] = [{self.key: row.text, "finish_reason": "length" if row.is_cut else "stop"} for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: texts (rows,) of objects, written against gold."""
        return self.judge([str(text) for text in probabilities], [str(text) for text in gold])

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`: the likeliest tokens, a few of them, so that one that is a tie does not change all behind it."""
        return list(questions), {"truncation": True, "max_new_tokens": 16, "num_beams": 1, "do_sample": False}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: the letters of each text as numbers."""
        return [TEXTS.of(str(item[self.key])) for item in cast("list[JsonObject]", answer)]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        return self.judge([str(cast("JsonObject", item)[self.key]) for item in answers], [target_of(item) for item in gold])


def default_settings(max_new_tokens: int) -> GenerationSettings:
    """How a new version writes where a call says nothing: four beams."""
    return GenerationSettings(max_new_tokens=max_new_tokens, num_beams=4, length_penalty=1.0)


def _prompted(
    texts: list[str], encoder: TextEncoder, spec: ModelSpec, settings: GenerationSettings, long: tuple[LongText, int | None]
) -> Encoded:  # fmt: skip
    """Rows that ask a model of texts and talks for what is to be written."""
    assert spec.prompt is not None, "it is asked so"
    settings = check_beams(replace(settings, constraint=spec.prompt.grammar))
    found = prompted(Prompter.of(encoder, spec, settings), texts, *long)
    return Encoded(found.rows, found.cut, found.windows, generation=[settings] * len(found.rows), spell=encoder.spell)


def _in_pieces(texts: list[str], encoder: TextEncoder, max_windows: int | None) -> tuple[list[str], dict[int, tuple[Window, ...]]]:
    """All pieces in a row, and for each text of more than one its windows, counted in tokens."""

    def sizes(parts: Sequence[str]) -> list[int]:
        return [encoder.size(part) for part in parts]

    pieces: list[str] = []
    windows: dict[int, tuple[Window, ...]] = {}
    for index, text in enumerate(texts):
        own = [text] if encoder.size(text) <= encoder.max_length else chunks(text, sizes, encoder.max_length)
        if len(own) > 1:
            ends = np.cumsum([0, *sizes(own)]).tolist()
            windows[index] = tuple(Window(start, end, start, end) for start, end in pairwise(ends))
        pieces += own
    check_windows(windows, max_windows)
    return pieces, windows
