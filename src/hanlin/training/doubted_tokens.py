"""Label-noise suspects among the tags of texts, by a linear model that never learnt the text it judges.

Each word (or Chinese character) is told by itself, its neighbours and its shape, and by the predicate where tags are roles of one. Texts
are dealt into five parts as in `doubts.py`. Every token is judged by confident learning (`confident.py`); a text is as doubtful as its most
doubtful token. Source: Wang and Mueller 2022, Detecting Label Errors in Token Classification Data, whose best score of a text is that of
its worst token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hanlin.tasks.alignment import Span
from hanlin.tasks.frames import read_frames
from hanlin.tasks.tagged_texts import read_tagging
from hanlin.tasks.tags import OUTSIDE, Named, paint
from hanlin.training.confident import Chances, Positions, find_suspects
from hanlin.training.doubts import FOLDS, LEAST_ROWS, Doubt, Doubts, Told, folds_of

MAX_CHARACTERS = 500_000  # texts evenly from more; a text counts once for each of its predicates
MAX_TAGS = 100  # the most frequent; a model a tag
COLUMNS = 2**18
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")
_FAR = 4  # units from a predicate that are told apart
Read = Callable[[str, str], list["Tagged"]]


@dataclass(frozen=True, slots=True)
class Tagged:
    """A text with a tag for each of its units; `predicate` is whose roles they are."""

    text: str
    units: list[Span]
    tags: list[str]
    entities: list[Named]
    predicate: Span | None = None


def of_entities(text: str, annotation: str) -> list[Tagged]:
    """An example of token classification; its own tokens where it has some."""
    found = read_tagging(annotation)
    units = found.tokens or _units(text)
    return [Tagged(text, units, paint(units, found.entities, "bio"), found.entities)]


def of_frames(text: str, annotation: str) -> list[Tagged]:
    """An example of semantic role labelling: the text once for each predicate."""
    units = _units(text)
    frames = [frame._replace(arguments=sorted(frame.arguments)) for frame in read_frames(annotation)]
    return [Tagged(text, units, paint(units, frame.arguments, "bio"), frame.arguments, frame.predicate) for frame in frames]


def find_doubted_tokens(
    texts: Sequence[str], annotations: Sequence[str], read: Read, groups: Positions, *, told: Told = lambda done, total: None
) -> Doubts | None:  # fmt: skip
    """The texts with a doubtful tag, one doubt each; None where there are fewer than two tags with tokens enough.

    `right` and `plain` are shares of tokens. A doubt names the entity's label, or the tags themselves where they differ in where it begins.

    Args:
        read: what an annotation says.
        groups: as in `find_doubts`.
    """
    rows = _few(np.array([_size(*pair) for pair in zip(texts, annotations, strict=True)], dtype=np.int64))
    found = [(row, one) for row in rows.tolist() for one in read(texts[row], annotations[row])]
    names = _names(one for _, one in found)
    if len(names) < 2:
        return None
    places = {name: place for place, name in enumerate(names)}
    given = np.array([places.get(tag, -1) for _, one in found for tag in one.tags])
    owners = np.repeat(np.arange(len(found)), [len(one.tags) for _, one in found])
    starts = np.cumsum([0, *(len(one.tags) for _, one in found)])
    folds = folds_of(groups[[row for row, _ in found]])[owners]
    chances = _chances([one for _, one in found], given, folds, len(names), told)
    known = np.flatnonzero(given >= 0)
    suspects = find_suspects(chances[known], given[known])
    doubts: dict[int, Doubt] = {}
    for place, other, lead in zip(known[suspects.rows], suspects.others, suspects.leads, strict=True):
        row, one = found[owners[place]]
        if row not in doubts:  # the most doubtful come first
            doubts[row] = _doubt(row, one, int(place - starts[owners[place]]), names[other], float(lead))
    right = float((chances[known].argmax(axis=1) == given[known]).mean())
    plain = float(np.bincount(given[known]).max() / len(known))
    if right <= plain:
        return Doubts(len(rows), right, plain)
    counts = Counter((doubt.given, doubt.other) for doubt in doubts.values())
    confusions = sorted(((one, other, count) for (one, other), count in counts.items()), key=lambda item: (-item[2], item[0], item[1]))
    return Doubts(len(rows), right, plain, tuple(doubts.values()), tuple(confusions))


def _few(sizes: Positions) -> Positions:
    """Rows evenly from all whose sizes together are no more than is looked at, without any that alone is."""
    rows = np.flatnonzero(sizes <= MAX_CHARACTERS)
    total = int(sizes[rows].sum())
    if total > MAX_CHARACTERS:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, max(1, len(rows) * MAX_CHARACTERS // total)).astype(np.int64))]
    return rows


def _size(text: str, annotation: str) -> int:
    return len(text) * max(1, annotation.count('"predicate":'))


def _doubt(row: int, one: Tagged, place: int, other: str, lead: float) -> Doubt:
    """The doubt about a unit, with the words of its entity, or its own."""
    start, end = one.units[place]
    given = one.tags[place]
    words = next((one.text[first:last] for first, last, _ in one.entities if first <= start < last), one.text[start:end])
    if _label(given) == _label(other):
        return Doubt(row, given, other, lead, one.text[start:end])
    return Doubt(row, _label(given), _label(other), lead, words)


def _label(tag: str) -> str:
    return "" if tag == OUTSIDE else tag[2:]


def _units(text: str) -> list[Span]:
    return [match.span() for match in _UNIT.finditer(text)]


def _names(found: Iterator[Tagged]) -> list[str]:
    """Tags with tokens enough, at most so many of the most frequent, in order."""
    counts = Counter(tag for one in found for tag in one.tags)
    return sorted(tag for tag, count in counts.most_common(MAX_TAGS) if count >= LEAST_ROWS)


def _chances(found: Sequence[Tagged], given: Positions, folds: Positions, classes: int, told: Told) -> Chances:
    """(units, tags) probabilities, each unit's from a model of the other parts."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import SGDClassifier

    hasher = FeatureHasher(COLUMNS, input_type="string", alternate_sign=False, dtype=np.float32)
    matrix = hasher.transform(signs for one in found for signs in _signs(one))
    chances = np.zeros((len(given), classes))
    for fold in range(FOLDS):
        told(fold, FOLDS)
        is_held = folds == fold
        learnt = ~is_held & (given >= 0)
        if not is_held.any() or len(np.unique(given[learnt])) < 2:
            continue
        model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, tol=None, average=True, random_state=0)
        model.fit(matrix[learnt], given[learnt])
        chances[np.ix_(is_held, model.classes_)] = model.predict_proba(matrix[is_held])
    return chances


def _signs(one: Tagged) -> Iterator[list[str]]:
    """What each unit is told by."""
    words = [one.text[start:end].lower() for start, end in one.units]
    edge = ["<", "<", *words, ">", ">"]
    at = next((place for place, unit in enumerate(one.units) if one.predicate and unit[0] >= one.predicate[0]), 0)
    for place, (start, end) in enumerate(one.units):
        raw, (far, last, word, after, beyond) = one.text[start:end], edge[place : place + 5]
        signs = [
            f"0{word}",
            f"-1{last}",
            f"+1{after}",
            f"-2{far}",
            f"+2{beyond}",
            f"-0{last} {word}",
            f"0+{word} {after}",
            f"s{_shape(raw)}",
        ]
        signs += [f"<{word[:size]}" for size in (1, 2, 3) if len(word) > size] + [f">{word[-size:]}" for size in (2, 3) if len(word) > size]
        if one.predicate:
            verb, away = one.text[slice(*one.predicate)].lower(), max(-_FAR, min(_FAR, place - at))
            signs += [f"p{verb} {away}", f"a{away}", f"pw{verb} {word}", f"aw{away} {word}"]
        yield signs


def _shape(word: str) -> str:
    """Capitals, small letters and digits, each run once."""
    kinds = ("X" if letter.isupper() else "x" if letter.islower() else "0" if letter.isdigit() else "c" for letter in word)
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))
