"""The best pieces of one context, or of several passages, out of what a network says of their tokens; or that there is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanlin.tasks.base import TaskOptions
from hanlin.tasks.documents import Document
from hanlin.tasks.encoded import Marks
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


def best_answers(sections: Sequence[Section], spec: ModelSpec, options: AnsweringOptions) -> list[Answer]:
    """The best pieces, or no answer. Pieces lie in one section, end where they start or behind it, and are not too long.

    All sections share one scale, and "no answer" is what the section says of it that believes in it least. Its score, and with it what
    is left for the pieces, is a chance where the model is calibrated.
    Source: Clark and Gardner, Simple and Effective Multi-Paragraph Reading Comprehension (2018), shared normalisation.
    """
    null = min((section.logits[0] for section in sections), key=lambda logits: float(logits.sum()))
    places = [np.array([at for at, span in enumerate(section.marks.spans) if span], dtype=int) for section in sections]
    values = np.concatenate([null[None], *(section.logits[own] for section, own in zip(sections, places, strict=True))])
    starts, ends = _softmax(values[:, 0]), _softmax(values[:, 1])
    none = float(starts[0] * ends[0])
    of = np.repeat(np.arange(len(sections)), list(map(len, places)))  # section of each place
    behind = 1 + np.cumsum(list(map(len, places)))  # first place behind each section
    spans = [sections[number].marks.spans[at] for number, own in enumerate(places) for at in own.tolist()]
    num = options.top_k or 1
    best: dict[tuple[int, int, int], float] = {}
    for first in np.argsort(-starts[1:], kind="stable")[: max(_STARTS, num)].tolist():
        number = int(of[first])
        reach = ends[1 + first : min(int(behind[number]), 1 + first + options.max_answer_tokens)]
        for more in np.argsort(-reach, kind="stable")[:num].tolist():
            begin, end = spans[first], spans[first + more]
            assert begin is not None and end is not None, "places of the context"
            key = number, begin[0], end[1]
            best[key] = max(best.get(key, 0.0), float(starts[1 + first] * reach[more]))
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    gap = np.log(max(none, _TINY)) - np.log(max(ordered[0][1] if ordered else 0.0, _TINY))
    chance = _chance(gap, spec) if spec.calibration else none
    left = (1 - chance) / max(1 - none, _TINY) if spec.calibration else 1.0
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
