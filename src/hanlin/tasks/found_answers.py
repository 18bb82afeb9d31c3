"""The best pieces of one context, or of several passages, out of what a network says of their tokens; or that there is no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed
from hanlin.tasks.alignment import Span
from hanlin.tasks.base import TaskOptions
from hanlin.tasks.documents import Document
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject

MAX_ANSWER_TOKENS = 30
PASSAGES = 5
_STARTS = 20  # places where an answer may begin that are looked at
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class AnsweringOptions(TaskOptions):
    """Options of a call.

    Args:
        questions: one a context; one alone about documents.
        is_impossible_allowed: None leaves it to the model.
        documents: what the question is asked about instead of contexts.
        num_passages: how many passages of documents are read.
    """

    questions: tuple[str, ...] = ()
    top_k: int | None = None
    max_answer_tokens: int = MAX_ANSWER_TOKENS
    stride: int | None = None
    is_impossible_allowed: bool | None = None
    documents: tuple[Document, ...] = ()
    num_passages: int = PASSAGES


@dataclass(frozen=True, slots=True)
class Answer:
    """A piece of a context or of a document; `start` = `end` = 0: no answer. `no_answer`: None where the model does not say."""

    text: str
    score: float
    start: int
    end: int
    no_answer: float | None
    document: Document | None = None

    def to_json(self, *, is_of_documents: bool = False) -> JsonObject:
        """The wire form."""
        found: JsonObject = {"answer": self.text, "score": self.score, "start": self.start, "end": self.end}
        found |= {"no_answer_score": self.no_answer} if self.no_answer is not None else {}
        return found | {"document": self.document.id if self.document else None} if is_of_documents else found


@dataclass(frozen=True, slots=True)
class Section:
    """A context or passage, and what the network says of each of its row's tokens `(tokens, 2)`: how well an answer starts, ends there."""

    logits: npt.NDArray[np.float64]
    marks: Marks
    document: Document | None = None


def sections_of(
    outputs: Mapping[str, npt.NDArray[np.floating]], options: AnsweringOptions, encoded: Encoded | None
) -> list[Section]:  # fmt: skip
    """The contexts or passages of a call. Raises EngineFailed (`model_output_invalid`)."""
    assert encoded is not None and encoded.marks is not None, "places come from the rows"
    logits = outputs.get("token_logits")
    if logits is None or logits.ndim != 3 or logits.shape[2] != 2 or len(logits) != len(encoded.marks):
        raise EngineFailed("model_output_invalid", details=f"token_logits of shape {None if logits is None else logits.shape}")
    sections: list[Section] = []
    for number, (values, marks) in enumerate(zip(logits, encoded.marks, strict=True)):
        own = values[: len(marks.spans)].astype(np.float64)
        if len(own) < len(marks.spans) or not np.isfinite(own).all():
            raise EngineFailed("model_output_invalid", details="NaN or infinity in the token_logits, or too few of them")
        sections.append(Section(own, marks, options.documents[encoded.texts[number]] if encoded.texts else None))
    return sections


class _Scale(NamedTuple):
    """How well an answer starts and ends at each place of all sections, behind "no answer", which stands at 0."""

    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    none: float
    places: list[npt.NDArray[np.intp]]  # tokens of each section's context

    @classmethod
    def of(cls, sections: Sequence[Section]) -> _Scale:
        null = min((section.logits[0] for section in sections), key=lambda logits: float(logits.sum()))
        places = [np.array([at for at, span in enumerate(section.marks.spans) if span], dtype=np.intp) for section in sections]
        values = np.concatenate([null[None], *(section.logits[own] for section, own in zip(sections, places, strict=True))])
        starts, ends = _softmax(values[:, 0]), _softmax(values[:, 1])
        return cls(starts, ends, float(starts[0] * ends[0]), places)

    def spans(self, sections: Sequence[Section]) -> list[Span]:
        """Characters of each place."""
        found = [section.marks.spans[at] for section, own in zip(sections, self.places, strict=True) for at in own.tolist()]
        return [span for span in found if span is not None]


def score_at(span: Span, of: Sequence[bool], sections: Sequence[Section], spec: ModelSpec, options: AnsweringOptions) -> float:
    """The score of the piece in `span`, whatever was found; 0 where it is not read.

    Args:
        of: of each section, whether the piece may stand in it.
    """
    scale = _Scale.of(sections)
    owned = np.repeat(of, list(map(len, scale.places))).tolist()
    spans = scale.spans(sections)
    own = [at for at, place in enumerate(spans) if owned[at] and place[0] < span[1] and span[0] < place[1] and span[0] < span[1]]
    if not own:
        return 0.0
    firsts = [at for at in own if spans[at][0] == spans[own[0]][0]]  # several tokens may spell one character
    lasts = [at for at in own if spans[at][1] == spans[own[-1]][1]]
    best = max(float(scale.starts[1 + first] * scale.ends[1 + last]) for first in firsts for last in lasts if first <= last)
    none = none_score(sections, spec, options)
    return _left(none, scale.none, spec) * best


def none_score(sections: Sequence[Section], spec: ModelSpec, options: AnsweringOptions) -> float:
    """Of there being no answer."""
    return cast("float", best_answers(sections, spec, options)[0].no_answer)


def _left(chance: float, none: float, spec: ModelSpec) -> float:
    """By what scores of pieces are multiplied where "no answer" has a calibrated chance instead of its score."""
    return (1 - chance) / max(1 - none, _TINY) if spec.calibration else 1.0


def best_answers(sections: Sequence[Section], spec: ModelSpec, options: AnsweringOptions) -> list[Answer]:
    """The best pieces, or no answer. Pieces lie in one section, end where they start or behind it, and are not too long.

    All sections share one scale, and "no answer" is what the section says of it that believes in it least. Its score, and with it what
    is left for the pieces, is a chance where the model is calibrated.
    Source: Clark and Gardner, Simple and Effective Multi-Paragraph Reading Comprehension (2018), shared normalisation.
    """
    starts, ends, none, places = scale = _Scale.of(sections)
    of = np.repeat(np.arange(len(sections)), list(map(len, places)))  # section of each place
    behind = 1 + np.cumsum(list(map(len, places)))  # first place behind each section
    spans = scale.spans(sections)
    num = options.top_k or 1
    best: dict[tuple[int, int, int], float] = {}
    for first in np.argsort(-starts[1:], kind="stable")[: max(_STARTS, num)].tolist():
        number = int(of[first])
        reach = ends[1 + first : min(int(behind[number]), 1 + first + options.max_answer_tokens)]
        for more in np.argsort(-reach, kind="stable")[:num].tolist():
            begin, end = spans[first], spans[first + more]
            key = number, begin[0], end[1]
            best[key] = max(best.get(key, 0.0), float(starts[1 + first] * reach[more]))
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    gap = np.log(max(none, _TINY)) - np.log(max(ordered[0][1] if ordered else 0.0, _TINY))
    chance = _chance(gap, spec) if spec.calibration else none
    left = _left(chance, none, spec)
    found = [_answer(sections[number], start, end, left * score, chance) for (number, start, end), score in ordered]
    is_allowed = bool(spec.thresholds) if options.is_impossible_allowed is None else options.is_impossible_allowed
    if is_allowed or not found:
        is_none = not found or gap > (spec.thresholds[0] if spec.thresholds else 0.0)
        behind_better = max(1, sum(answer.score >= chance for answer in found))
        found.insert(0 if is_none else behind_better, Answer("", chance, 0, 0, chance))
    return found[:num]


def _chance(gap: float, spec: ModelSpec) -> float:
    """That there is no answer. Source: Platt, Probabilistic Outputs for Support Vector Machines (1999)."""
    slope, offset = spec.calibration
    return float(1 / (1 + np.exp(-np.clip(slope * gap + offset, -60, 60))))


def _answer(section: Section, start: int, end: int, score: float, none: float) -> Answer:
    shift = section.document.start if section.document else 0
    return Answer((section.marks.text or "")[start:end], score, shift + start, shift + end, none, section.document)


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())
