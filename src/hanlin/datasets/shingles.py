"""Texts as sets of hashed shingles, many texts at once: what near-twins are told by. Knows no rows and no splits.

A *unit* is a Chinese or Japanese character, or a run of other letters and digits; case, width, punctuation and spaces do not count.
Shingles are pairs of neighbouring units, and words alone besides: so Chinese is compared by its pairs of characters, English by words and
pairs of words, and a text of both by both.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAX_CHARACTERS = 20_000  # of a text are compared; more would cost time and tell nothing new
_PLACES = 256  # letters of a word that have powers of their own
_ODD, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)

Hashes = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]
_Wide = npt.NDArray[np.uint64]


class Shingles(NamedTuple):
    """Distinct shingles of texts, one text after the other, each text's in rising order; those of text i begin at `starts[i]`."""

    hashes: Hashes
    starts: Numbers  # one more than texts

    @property
    def sizes(self) -> Numbers:
        """Shingles of each text."""
        return np.diff(self.starts)


def shingles_of(texts: Sequence[str]) -> Shingles:
    """The shingles of each text; none of a text without letters. Memory: about 100 bytes a character of all texts together."""
    units, texts_of, are_words = units_of(texts)
    neighbours = texts_of[:-1] == texts_of[1:]
    pairs = _mixed(units[:-1] * _ODD + units[1:])[neighbours]
    is_alone = np.bincount(texts_of, minlength=len(texts))[texts_of] == 1
    lonely = are_words | is_alone
    owners_of = np.concatenate([texts_of[:-1][neighbours], texts_of[lonely]]).astype(np.uint64)
    keys = distinct((owners_of << np.uint64(32)) | (np.concatenate([pairs, units[lonely]]) >> np.uint64(32)))
    starts = np.searchsorted(keys, np.arange(len(texts) + 1, dtype=np.uint64) << np.uint64(32))
    return Shingles(keys.astype(np.uint32), starts.astype(np.int64))


def units_of(texts: Sequence[str]) -> tuple[_Wide, Numbers, npt.NDArray[np.bool_]]:
    """(hash, position of its text, whether it is a word) of the units of all texts, in order."""
    return _units(*_letters(texts))


def distinct(values: _Wide) -> _Wide:
    """Each value once, in order; several times as fast as `np.unique`, which hashes first."""
    ranked = np.sort(values)
    is_new = np.ones(len(ranked), dtype=bool)
    is_new[1:] = ranked[1:] != ranked[:-1]
    return ranked[is_new]


def _letters(texts: Sequence[str]) -> tuple[_Wide, Numbers]:
    """Code points of all texts in one row, folded, and which text each belongs to."""
    folded = [unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower() for text in texts]
    codes = np.frombuffer("".join(folded).encode("utf-32-le"), dtype="<u4")
    return codes.astype(np.uint64), np.repeat(np.arange(len(texts)), [len(text) for text in folded])


def _units(codes: _Wide, owners: Numbers) -> tuple[_Wide, Numbers, npt.NDArray[np.bool_]]:
    """(hash, text, whether it is a word) of each unit, in order."""
    kinds = _kinds()[np.minimum(codes, 0xFFFF).astype(np.intp)]
    kinds = np.where(codes >= 0x20000, 2, kinds)
    is_word, is_sign = kinds == 1, kinds == 2
    goes_on = np.zeros(len(codes), dtype=bool)
    goes_on[1:] = is_word[1:] & is_word[:-1] & (owners[1:] == owners[:-1])
    starts = np.flatnonzero((is_word | is_sign) & ~goes_on)
    if not len(starts):
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, bool)
    places = np.arange(len(codes))
    places[starts[0] :] -= np.repeat(starts, np.diff(np.append(starts, len(codes))))
    values = np.where(is_word | is_sign, _mixed(codes + np.uint64(1)) * _powers()[np.minimum(places, _PLACES - 1)], np.uint64(0))
    return _mixed(np.add.reduceat(values, starts)), owners[starts], is_word[starts]


def _mixed(values: _Wide) -> _Wide:
    """Every bit of the result depends on every bit of a value. Source: Steele, Lea, Flood 2014, SplitMix64."""
    values = (values ^ (values >> np.uint64(30))) * _MIX
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@functools.cache
def _powers() -> _Wide:
    with np.errstate(over="ignore"):
        return np.cumprod(np.full(_PLACES, _ODD, dtype=np.uint64), dtype=np.uint64)


@functools.cache
def _kinds() -> npt.NDArray[np.uint8]:
    """Of each code point below 65,536: 0 neither, 1 part of a word, 2 a unit of its own."""
    kinds = np.fromiter((chr(code).isalnum() for code in range(0x10000)), dtype=np.uint8, count=0x10000)
    for low, high in ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF)):
        kinds[low : high + 1] *= 2
    return kinds
