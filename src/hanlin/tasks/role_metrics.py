"""How answers about roles are judged: whole arguments, as CoNLL-2005's scorer counts them; labels and senses, as CoNLL-2009's does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hanlin.tasks.alignment import Span
from hanlin.tasks.frames import VERB, Frame
from hanlin.tasks.span_metrics import SpanMetrics, SpanRow, metrics_of
from hanlin.types import JsonObject

SENSE = "sense"  # what the sense of a predicate is called among CoNLL-2009's labels
_GOES_ON = "C-"  # a further piece of an argument
_DOTTED = re.compile(r"[^.]+\.([^.]+)")
_NUMBER = re.compile(r"[0-9]+")
_Items = set[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class RoleMetrics:
    """Quality of the frames of texts.

    Attributes:
        arguments: whole ones; those of a predicate that is none are wrong.
        predicates: by their places.
        conll05: as `arguments`, but those of a predicate that is none are passed over: srl-eval.pl expects predicates to be given.
        conll09: every label of every piece, and every predicate by its sense; None unless each true predicate has one.
    """

    arguments: SpanMetrics
    predicates: SpanMetrics
    conll05: SpanMetrics
    conll09: SpanMetrics | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """Of the arguments' F1."""
        return self.arguments.interval

    def get(self, name: str) -> float:
        """One single-number metric by name. Raises KeyError."""
        more = self._more()
        return more[name] if name in more else self.arguments.get(name)

    def to_json(self) -> JsonObject:
        """The stored form."""
        found = {name: value for name, value in self.arguments.to_json().items() if name != "accuracy"}
        return found | self._more()

    def _more(self) -> dict[str, float]:
        found = {"predicate_f1": self.predicates.f1} | _told("conll05", self.conll05)
        return found if self.conll09 is None else found | _told("conll09", self.conll09)


def role_metrics(found: Sequence[Sequence[Frame]], gold: Sequence[Sequence[Frame]]) -> RoleMetrics:
    """Metrics of the frames of texts, at least one.

    An argument is right when its predicate, its role and all its pieces are; pieces `C-X` belong to the `X` before them, one without it is
    an `X` itself, and predicates are no arguments, `C-V` neither. Arguments of a predicate that was not found are missed.
    """
    pairs = list(zip(found, gold, strict=True))
    has_senses = any(gold) and all(frame.sense for frames in gold for frame in frames)
    return RoleMetrics(
        metrics_of(SpanRow(_whole(one), _whole(other), 0, 0) for one, other in pairs),
        metrics_of(SpanRow(_predicates(one), _predicates(other), 0, 0) for one, other in pairs),
        metrics_of(SpanRow(_whole(_beside(one, other)), _whole(other), 0, 0) for one, other in pairs),
        metrics_of(SpanRow(_labels(one), _labels(other), 0, 0) for one, other in pairs) if has_senses else None,
    )


def _told(scorer: str, metrics: SpanMetrics) -> dict[str, float]:
    return {f"{scorer}_{name}": metrics.get(name) for name in ("f1", "precision", "recall")}


def _beside(found: Iterable[Frame], gold: Iterable[Frame]) -> list[Frame]:
    """The found frames whose predicate is one."""
    predicates = {frame.predicate for frame in gold}
    return [frame for frame in found if frame.predicate in predicates]


def _predicates(frames: Iterable[Frame]) -> _Items:
    return {(VERB, *frame.predicate) for frame in frames}


def _whole(frames: Iterable[Frame]) -> _Items:
    """(role, predicate, pieces) of every argument. Source: CoNLL-2005's srl-eval.pl, `load_SE_tagging` and `discriminate_args`."""
    found: _Items = set()
    for frame in frames:
        pieces: list[tuple[str, list[Span]]] = []
        for start, end, role in frame.arguments:
            name = role.removeprefix(_GOES_ON)
            before = next((own for other, own in reversed(pieces) if other == name), None) if name != role else None
            if before is None:
                pieces.append((name, [(start, end)]))
            else:
                before.append((start, end))
        found |= {(role, frame.predicate, tuple(own)) for role, own in pieces if role != VERB}
    return found


def _labels(frames: Sequence[Frame]) -> _Items:
    """(label, predicate, place) of every piece, once for each of its labels `A|B`, and (`sense`, predicate, sense).

    Source: CoNLL-2009's eval09.pl, `parse_frames` and `update_srl_scores`: `C-` and `R-` are labels like others.
    """
    found: _Items = {(SENSE, frame.predicate, _sense(frame.sense)) for frame in frames}
    for frame in frames:
        found |= {(label, frame.predicate, (start, end)) for start, end, role in frame.arguments for label in role.split("|")}
    return found


def _sense(name: str) -> str:
    """What is compared of `write.01`: what stands behind its one dot, a number by its value.

    Source: eval09.pl, `SRL::prop::new` and `same_sense`.
    """
    match = _DOTTED.fullmatch(name)
    sense = match[1] if match else name
    return (sense.lstrip("0") or "0") if _NUMBER.fullmatch(sense) else sense
