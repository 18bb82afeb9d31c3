"""Label-noise suspects of a classification's examples, by a linear model that never learnt the row it judges.

Runs of characters and words are weighed (`grams.py`), rows are dealt into five parts with near-twins in one part, and a logistic regression
of the other four gives each row its probabilities. `confident.py` then names the suspects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hanlin.tasks.labelled import Gold, problem_of
from hanlin.training.confident import Chances, Positions, find_suspects
from hanlin.training.grams import weighted_grams

FOLDS = 5
MAX_ROWS = 100_000  # evenly from more; time grows with rows times labels
MAX_LABELS = 200  # the most frequent; a model a label
LEAST_ROWS = 2 * FOLDS  # of a label: fewer cannot be told apart
_SOFTNESS = 4.0  # C of the regression
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One row whose label is doubted: `other` seems right, or (of several labels a row) `given` should go or `other` be there.

    Attributes:
        words: those of the row whose label it is, where words have labels.
    """

    row: int
    given: str
    other: str
    lead: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What was found.

    Attributes:
        rows: how many were looked at.
        right: share of them (of their tokens, where tokens have tags) whose label the model guessed, out of fold: the lower, the less
            its doubts are worth.
        plain: the same of always guessing the most frequent label.
        doubts: the most doubtful first.
        confusions: (label, seeming label, rows), the most frequent first.
    """

    rows: int
    right: float
    plain: float
    doubts: tuple[Doubt, ...] = ()
    confusions: tuple[tuple[str, str, int], ...] = ()


def find_doubts(
    texts: Sequence[str], golds: Sequence[Gold], groups: Positions, *, told: Told = lambda done, total: None
) -> Doubts | None:  # fmt: skip
    """The suspects among these rows; None where labels are scores, or fewer than two have rows enough.

    Args:
        groups: of each row a number that near-twins share: they are judged by one model, which has seen none of them.
        told: called with parts done and parts in all; raising out of it stops.
    """
    problem = problem_of(golds) if golds else "regression"
    rows = np.unique(np.linspace(0, len(golds) - 1, min(len(golds), MAX_ROWS)).astype(np.int64)) if golds else np.zeros(0, np.int64)
    names = _names([golds[row] for row in rows])
    if problem == "regression" or len(names) < 2:
        return None
    matter = _Matter(weighted_grams([_joined(texts[row], golds[row]) for row in rows]), folds_of(groups[rows]))
    if problem == "multi-label":
        return _of_several(rows, [golds[row] for row in rows], names, matter, told)
    places = {name: place for place, name in enumerate(names)}
    given = np.array([places.get(golds[row].labels[0], -1) for row in rows])
    rows, matter, given = rows[given >= 0], matter.of(given >= 0), given[given >= 0]
    chances = _chances(matter, given, len(names), told)
    found = find_suspects(chances, given)
    doubts = tuple(
        Doubt(int(rows[row]), names[given[row]], names[other], float(lead))
        for row, other, lead in zip(found.rows, found.others, found.leads, strict=True)
    )
    right, plain = float((chances.argmax(axis=1) == given).mean()), float(np.bincount(given).max() / len(given))
    return Doubts(len(rows), right, plain, doubts, _confusions(found.joint, names)) if right > plain else Doubts(len(rows), right, plain)


@dataclass(frozen=True, slots=True)
class _Matter:
    """What models are fitted to: rows of n-grams (a scipy matrix, which has no types here), and the part that each row is in."""

    grams: Any
    folds: Positions

    def of(self, rows: npt.NDArray[np.bool_]) -> _Matter:
        return _Matter(self.grams[rows], self.folds[rows])


def _of_several(rows: Positions, golds: Sequence[Gold], names: list[str], matter: _Matter, told: Told) -> Doubts:
    """Each label by itself: there, or not."""
    doubts: list[Doubt] = []
    hits = usual = 0.0
    for place, name in enumerate(names):
        given = np.array([int(name in gold.labels) for gold in golds])
        chances = _chances(matter, given, 2, told, begun=place, of=len(names))
        found = find_suspects(chances, given)
        hits += float((chances.argmax(axis=1) == given).mean())
        usual += float(max(given.mean(), 1 - given.mean()))
        for row, other, lead in zip(found.rows, found.others, found.leads, strict=True):
            doubts.append(Doubt(int(rows[row]), "" if other else name, name if other else "", float(lead)))
    doubts.sort(key=lambda doubt: (-doubt.lead, doubt.row))
    right, plain = hits / len(names), usual / len(names)
    return Doubts(len(rows), right, plain, tuple(doubts) if right > plain else ())


def _names(golds: Sequence[Gold]) -> list[str]:
    """Labels with rows enough, at most so many of the most frequent, in order."""
    counts: dict[str, int] = {}
    for gold in golds:
        for label in gold.labels:
            counts[label] = counts.get(label, 0) + 1
    frequent = sorted((label for label, count in counts.items() if count >= LEAST_ROWS), key=lambda label: (-counts[label], label))
    return sorted(frequent[:MAX_LABELS])


def folds_of(groups: Positions) -> Positions:
    """A part for each row, equal for equal groups, the same in every run."""
    _, places = np.unique(groups, return_inverse=True)
    dealt = np.random.Generator(np.random.PCG64(1)).permutation(int(places.max()) + 1) % FOLDS
    return dealt[places].astype(np.int64)


def _chances(matter: _Matter, given: Positions, classes: int, told: Told, *, begun: int = 0, of: int = 1) -> Chances:
    """(rows, classes) probabilities, each row's from a model of the other parts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    found = np.zeros((len(given), classes))
    for fold in range(FOLDS):
        told(begun * FOLDS + fold, of * FOLDS)
        is_held = matter.folds == fold
        known = np.unique(given[~is_held])
        if not is_held.any() or len(known) < 2 or not matter.grams.shape[1]:
            continue
        plain = LogisticRegression(C=_SOFTNESS, solver="liblinear", random_state=0)
        model = plain if len(known) == 2 else OneVsRestClassifier(plain)
        model.fit(matter.grams[~is_held], given[~is_held])
        found[np.ix_(is_held, model.classes_)] = model.predict_proba(matter.grams[is_held])
    return found


def _joined(text: str, gold: Gold) -> str:
    return f"{text}\n{gold.pair}" if gold.pair else text


def _confusions(joint: Positions, names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    pairs = [(int(joint[one, other]), one, other) for one, other in zip(*np.nonzero(joint), strict=True) if one != other]
    return tuple((names[one], names[other], count) for count, one, other in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])))
