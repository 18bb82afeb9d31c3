"""Exact match and F1 of answers, as the official scorers count them: SQuAD's for words, CMRC's for Chinese, by character.

Source: the evaluation scripts of SQuAD 1.1 and 2.0 (Rajpurkar et al.), and of CMRC 2018 (Cui et al.).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hanlin.tasks.ranking_metrics import ScalarMetrics, resampled

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_HAN = re.compile("[\u4e00-\u9fa5]")
_CHINESE_SIGNS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》……·、「」（）－～『』")


def answer_metrics(found: Sequence[str], gold: Sequence[Sequence[str]]) -> ScalarMetrics:
    """F1 and exact match against the best of each question's right answers; without any, only an empty answer is right.

    `has_answer_f1` and `no_answer_f1` are those of the questions with and without one, where there are such.
    """
    f1 = np.array([max(f1_of(answer, right) for right in answers or [""]) for answer, answers in zip(found, gold, strict=True)])
    exact = np.array([max(exact_of(answer, right) for right in answers or [""]) for answer, answers in zip(found, gold, strict=True)])
    has_answer = np.array([bool(answers) for answers in gold])
    values = {"f1": float(f1.mean()), "exact": float(exact.mean())}
    if has_answer.any() and not has_answer.all():
        values |= {"has_answer_f1": float(f1[has_answer].mean()), "no_answer_f1": float(f1[~has_answer].mean())}
    return ScalarMetrics(len(gold), values, resampled(len(gold), lambda drawn: float(f1[drawn].mean())))


def place_metrics(found: npt.NDArray[np.float64], gold: npt.NDArray[np.float64]) -> ScalarMetrics:
    """The same of places `(rows, 2)`, start and end: what both share beside what each has. Empty pieces, wherever: no answer."""
    shared = np.minimum(found[:, 1], gold[:, 1]) - np.maximum(found[:, 0], gold[:, 0])
    lengths = (found[:, 1] - found[:, 0]) + (gold[:, 1] - gold[:, 0])
    f1 = np.where(lengths == 0, 1.0, 2 * shared.clip(0) / np.maximum(lengths, 1))
    values = {"f1": float(f1.mean()), "exact": float((f1 == 1).mean())}
    return ScalarMetrics(len(gold), values, resampled(len(gold), lambda drawn: float(f1[drawn].mean())))


def exact_of(answer: str, gold: str) -> float:
    """1 when both are the same text once normalised."""
    if _HAN.search(gold):
        return float(_without_signs(answer) == _without_signs(gold))
    return float(normalized(answer) == normalized(gold))


def f1_of(answer: str, gold: str) -> float:
    """F1 of the words that both share; of Chinese, of their longest common run of characters."""
    is_chinese = bool(_HAN.search(gold))
    mine, theirs = (mixed_units(answer), mixed_units(gold)) if is_chinese else (normalized(answer).split(), normalized(gold).split())
    if not mine or not theirs:  # no answer is right only where there is none
        return float(mine == theirs)
    common = _longest_run(mine, theirs) if is_chinese else sum((Counter(mine) & Counter(theirs)).values())
    return 2 * common / (len(mine) + len(theirs))


def normalized(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous space."""
    plain = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def mixed_units(text: str) -> list[str]:
    """Chinese characters one by one, other words as they stand, signs left out."""
    units: list[str] = []
    word = ""
    for character in text.lower().strip():
        if character in _CHINESE_SIGNS or character.isspace() or _HAN.match(character):
            units += [word] if word else []
            word = ""
            if _HAN.match(character):
                units.append(character)
        else:
            word += character
    return [*units, word] if word else units


def _without_signs(text: str) -> str:
    return "".join(character for character in text.lower().strip() if character not in _CHINESE_SIGNS)


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest run of units that both hold."""
    longest = 0
    lengths = [0] * (len(other) + 1)
    for unit in one:
        before = 0
        for at, candidate in enumerate(other, 1):
            before, lengths[at] = lengths[at], before + 1 if unit == candidate else 0
            longest = max(longest, lengths[at])
    return longest
