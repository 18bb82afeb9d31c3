"""Semantic parsing: what a sentence asks for, as an intent with typed slots.

The model labels tokens: a tag (`O`, `B-slot`, `I-slot`) for each of them, and at the first token of the row one value for every field of
the sentence (`intent=turn_on`, `domain=light`, `domain=` for none). Decoding keeps to the version's `MeaningSchema`: only slots of the
intent, only values that they take. An answer is always a valid meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_texts, read_long_text
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm, canonical
from hanlin.tasks.explained_tokens import MEANING_TARGETS
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import LABELS, Likeness, Numbers
from hanlin.tasks.meaning_decoding import Layout, Meaning, read_meaning
from hanlin.tasks.meaning_examples import MeaningExamples, read_annotation
from hanlin.tasks.meaning_metrics import meaning_metrics
from hanlin.tasks.parameters import LONG_TEXT, check_names
from hanlin.tasks.prompted_meanings import MAX_WRITTEN, catalogue, meaning_grammar, read_written
from hanlin.tasks.prompting import Prompter, prompted
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.sequences import written
from hanlin.tasks.shapes import ONE_OR_MORE_TEXTS, Shape, each
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_likeness import TEXTS
from hanlin.tasks.token_rows import merge_token_rows
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

_SPAN: JsonObject = {
    "type": "object", "required": ["slot", "word", "start", "end", "score"],
    "properties": {
        "slot": {"type": "string"}, "word": {"type": "string"}, "score": {"type": "number"},
        "start": {"type": "integer", "description": "character of the text"},
        "end": {"type": "integer", "description": "the character behind the last"},
    },
}  # fmt: skip
MEANING: JsonObject = {
    "type": "object", "required": ["intent", "score", "slots", "implied", "spans"],
    "properties": {
        "intent": {"type": "string"},
        "score": {"type": "number", "description": "probability of the intent"},
        "slots": {"type": "object", "description": "values by slot, as the version's schema of meanings has them"},
        "implied": {"type": "object", "description": "of the slots that no words of the text stand for: probability of their value"},
        "spans": {"type": "array", "items": _SPAN},
    },
}  # fmt: skip


@TASKS.register("semantic-parsing")
class SemanticParsing:
    """The intent of a sentence and its slots, as values of their types."""

    name = "semantic-parsing"
    main_metric = "exact_match"
    figures: tuple[str, ...] = ("exact_match", "intent_accuracy", "slot_f1")
    head: HeadKind = "tokens"
    likeness: Likeness = LABELS
    explaining: Explaining = MEANING_TARGETS
    is_row_by_row = False
    examples: ExampleForm = MeaningExamples()
    shape = Shape(ONE_OR_MORE_TEXTS, each(MEANING))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "Set the kitchen lights to 50 percent.", "parameters": {}},
        "response": {
            "intent": "set_light", "score": 0.98, "slots": {"area": "kitchen", "brightness": 50, "domain": "light"},
            "implied": {"domain": 0.99},
            "spans": [
                {"slot": "area", "word": "kitchen", "start": 8, "end": 15, "score": 0.97},
                {"slot": "brightness", "word": "50", "start": 26, "end": 28, "score": 0.99},
            ],
        },
    }  # fmt: skip

    parameters: tuple[Parameter[Any], ...] = LONG_TEXT

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_texts(inputs, limits)
        return TaskRequest(texts, is_single, TaskOptions(long_text=read_long_text(parameters)))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`."""
        if spec.prompt is not None:
            return _prompted(request, encoder, spec, long_text)
        return encoder.encode_marked(request.texts, request.options.long_text or long_text, max_windows=max_windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: the sentence's own values from the first window; what is written comes in no windows."""
        return merge_token_rows(windows, rows)

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Meaning]:
        """See `Task.decode`."""
        if spec.prompt is not None:
            return _written(outputs, spec, encoded)
        assert encoded is not None and encoded.marks is not None, "places come from the rows"
        assert spec.meanings is not None, "specs of this task have them"
        logits, layout = outputs.get("token_logits"), Layout.of(spec.labels)
        longest = max(len(marks.spans) for marks in encoded.marks)
        if logits is None or logits.ndim != 3 or logits.shape[::2] != (len(encoded.marks), len(spec.labels)) or logits.shape[1] < longest:
            raise EngineFailed("model_output_invalid", details=f"token_logits of shape {None if logits is None else logits.shape}")
        found: list[Meaning] = []
        for values, marks in zip(logits, encoded.marks, strict=True):
            own = values[: len(marks.spans)].astype(np.float64)
            if not np.isfinite(own).all():
                raise EngineFailed("model_output_invalid", details="NaN or infinity in the token_logits")
            found.append(read_meaning(own, marks, layout, spec.meanings))
        return found

    def answer(self, rows: Sequence[Any], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: a meaning for a single text, a list of them for a list."""
        answers: list[JsonValue] = [row.to_json() for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.metrics`: meanings (rows,) of objects, found against gold."""
        return meaning_metrics(list(probabilities), list(gold))

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`."""
        return list(questions), {"truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: for each text a row for the intent and one for every slot of the schema, its score at the place of its label;
        behind the labels stands the place of a slot that is not there."""
        if spec.prompt is not None:
            return [TEXTS.of(canonical({name: item[name] for name in ("intent", "slots")})) for item in cast("list[JsonObject]", answer)]
        return [Layout.of(spec.labels).numbers(cast("JsonObject", item)) for item in cast("list[JsonValue]", answer)]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`."""
        return question, {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> ScalarMetrics:
        """See `Task.quality`."""
        return meaning_metrics([cast("JsonObject", item) for item in answers], [read_annotation(item) for item in gold])


def _prompted(request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, long_text: LongText) -> Encoded:
    """Rows that ask a model of texts and talks for a meaning of each text, each in the form that what it reads of its text allows.

    Raises:
        InvalidInput: `text_too_long`; `invalid_parameter` for a call that wants windows: meanings of pieces are no meaning of the text.
    """
    assert spec.meanings is not None and spec.generation is not None, "specs of models that are asked so have them"
    if request.options.long_text == "window":
        raise InvalidInput(
            "invalid_parameter", name="long_text", expected="refuse or truncate of a model that writes meanings", found="window"
        )
    texts, policy = cast("list[str]", list(request.texts)), request.options.long_text or long_text
    settings = replace(spec.generation, num_beams=1, temperature=0.0, max_new_tokens=min(MAX_WRITTEN, spec.max_length))
    prompter, told = Prompter.of(encoder, spec, settings), catalogue(spec.meanings)
    found = prompted(prompter, texts, "refuse" if policy == "window" else policy, intents=told)
    forms = [replace(settings, constraint=meaning_grammar(spec.meanings, text)) for text in found.parts]
    marks = [Marks(text, [], []) for text in found.parts]
    return Encoded(found.rows, found.cut, generation=forms, spell=encoder.spell, marks=marks)


def _written(outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, encoded: Encoded | None) -> list[Meaning]:
    assert encoded is not None and encoded.spell is not None and encoded.marks is not None, "rows that ask for meanings"
    assert spec.meanings is not None, "specs of this task have them"
    rows = zip(encoded.marks, written(outputs), strict=True)
    return [read_written(marks.text or "", encoded.spell(row.ids), row, spec.meanings) for marks, row in rows]
