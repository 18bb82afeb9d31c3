"""Tags of tokens and what they say of runs: BIO, BIOES, IOB1 and plain names are read alike, models are made with BIO or BIOES.

Source: Ramshaw and Marcus, Text Chunking using Transformation-Based Learning (1995), for B, I and O; E and S as in BIOES (BILOU's L and U).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from hanlin.tasks.alignment import Span
from hanlin.tasks.entities import split_label

OUTSIDE = "O"
TagScheme = Literal["bio", "bioes"]
_OPEN, _BEGIN = frozenset("BI"), frozenset("BSU")  # what leaves a run open; what begins one whatever stands before
_INSIDE, _LAST = frozenset("IEL"), frozenset("ESLU")  # what goes on; what ends
Named = tuple[int, int, str]  # begin, end, name
Mask = npt.NDArray[np.bool_]


def expand(names: Iterable[str], scheme: TagScheme) -> tuple[str, ...]:
    """The labels of a model for these names: `O`, then those of each name."""
    return (OUTSIDE, *(f"{prefix}-{name}" for name in names for prefix in ("BI" if scheme == "bio" else "BIES")))


def names_of(labels: Sequence[str]) -> list[str]:
    """The names behind a model's labels, in their order."""
    return list(dict.fromkeys(split_label(label)[1] for label in labels if label != OUTSIDE))


def paint(tokens: Sequence[Span | None], entities: Sequence[Named], scheme: TagScheme) -> list[str]:
    """The tag of every token that has characters of an entity; a token that touches two belongs to the first.

    Args:
        tokens: characters of each, in order; None for special tokens, which are outside.
        entities: in order, apart from each other.
    """
    tags = [OUTSIDE] * len(tokens)
    at = 0
    for begin, end, name in entities:
        while at < len(tokens) and _ends_before(tokens[at], begin):
            at += 1
        inside: list[int] = []
        while at < len(tokens) and _begins_before(tokens[at], end):
            inside += [at] if tokens[at] is not None and tokens[at] != (end, end) else []
            at += 1
        for place, token in enumerate(inside):
            tags[token] = f"{_prefix(place, len(inside), scheme)}-{name}"
    return tags


def plain_runs(tags: Sequence[str]) -> list[Named]:
    """The runs of tags without prefixes: a name each token where all tokens have one (parts of speech), else equal neighbours together."""
    if OUTSIDE not in tags:
        return [(place, place + 1, tag) for place, tag in enumerate(tags)]
    found: list[Named] = []
    for place, tag in enumerate(tags):
        if tag != OUTSIDE and found and found[-1][1] == place and found[-1][2] == tag:
            found[-1] = (found[-1][0], place + 1, tag)
        elif tag != OUTSIDE:
            found.append((place, place + 1, tag))
    return found


def has_prefix(tag: str) -> bool:
    """Whether a tag says where in a run its token stands."""
    return tag != OUTSIDE and tag == "-".join(split_label(tag))


def forbidden(labels: Sequence[str]) -> tuple[Mask, Mask, Mask]:
    """Which labels cannot begin a row (labels,), follow each other (labels, labels) and end a row (labels,)."""
    parts = [("O", "") if label == OUTSIDE else split_label(label) for label in labels]
    has_ends = any(prefix in _LAST for prefix, _ in parts)
    goes_on = np.array([prefix in _INSIDE and has_prefix(label) for (prefix, _), label in zip(parts, labels, strict=True)])
    is_open = np.array([prefix in _OPEN and has_prefix(label) for (prefix, _), label in zip(parts, labels, strict=True)])
    same = np.array([[one == other for _, other in parts] for _, one in parts])
    between = goes_on[None, :] & ~(is_open[:, None] & same)
    if has_ends:
        between |= is_open[:, None] & ~(goes_on[None, :] & same)
    return goes_on, between, is_open & has_ends


def is_inside(tag: str) -> bool:
    """Whether the tag goes on with a run that began before."""
    return has_prefix(tag) and tag[0] in _INSIDE


def is_unfinished(tag: str, scheme: TagScheme) -> bool:
    """Whether the tag says that its run goes on behind it."""
    return scheme == "bioes" and has_prefix(tag) and tag[0] in _OPEN


def _ends_before(token: Span | None, begin: int) -> bool:
    return token is None or token[1] <= begin


def _begins_before(token: Span | None, end: int) -> bool:
    return token is None or token[0] < end


def _prefix(place: int, length: int, scheme: TagScheme) -> str:
    if scheme == "bio":
        return "B" if place == 0 else "I"
    if length == 1:
        return "S"
    return "B" if place == 0 else "E" if place == length - 1 else "I"
