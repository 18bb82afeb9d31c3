"""Scores that simple baselines of corpora are told in: chrF, ROUGE-L, spans, answers, ranks. In percent unless said."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

_CJK = "\u3400-\u9fff\uf900-\ufaff"
_UNITS = re.compile(f"[{_CJK}]|[^\\W_{_CJK}]+")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def chrf(found: Sequence[str], gold: Sequence[str], order: int = 6, beta: float = 2.0) -> float:
    """chrF2 of a corpus. Source: Popović, chrF (2015), as sacreBLEU counts it (no white space, n-grams 1–6, beta 2)."""
    counts = np.zeros((order, 3))  # hits, found, gold
    for one, other in zip(found, gold, strict=True):
        one, other = ("".join(text.split()) for text in (one, other))  # noqa: PLW2901
        for n in range(1, order + 1):
            mine, theirs = (Counter(text[at : at + n] for at in range(len(text) - n + 1)) for text in (one, other))
            # sacreBLEU counts no n-grams of an answer where the reference is too short for one
            counts[n - 1] += (sum((mine & theirs).values()), sum(mine.values()) if theirs else 0, sum(theirs.values()))
    used = counts[(counts[:, 1] > 0) & (counts[:, 2] > 0)]
    if not len(used):
        return 0.0
    precision, recall = (used[:, 0] / used[:, 1]).mean(), (used[:, 0] / used[:, 2]).mean()
    return 100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall) if precision + recall else 0.0


def units(text: str) -> list[str]:
    """What is counted of a text: Chinese by character, else words in lower case."""
    return _UNITS.findall(text.lower())


def rouge_l(found: Sequence[str], gold: Sequence[str]) -> float:
    """Mean ROUGE-L F1 of rows. Source: Lin, ROUGE (2004): longest common subsequence of units."""
    return 100 * float(np.mean([_rouge_l(units(one), units(other)) for one, other in zip(found, gold, strict=True)]))


def _rouge_l(one: list[str], other: list[str]) -> float:
    lengths = [0] * (len(other) + 1)
    for unit in one:
        before = 0
        for at, candidate in enumerate(other, 1):
            before, lengths[at] = lengths[at], before + 1 if unit == candidate else max(lengths[at], lengths[at - 1])
    common = lengths[-1]
    return 2 * common / (len(one) + len(other)) if common else 0.0


def span_f1(found: Iterable[set[Hashable]], gold: Iterable[set[Hashable]]) -> float:
    """F1 of whole spans over all rows."""
    right = guessed = wanted = 0
    for mine, theirs in zip(found, gold, strict=True):
        right, guessed, wanted = right + len(mine & theirs), guessed + len(mine), wanted + len(theirs)
    return 200 * right / (guessed + wanted) if guessed + wanted else 0.0


def answer_scores(found: Sequence[str], gold: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of answers; empty means that there is none. Source: the SQuAD 2.0 script; Chinese by character as CMRC does."""
    pairs = [(_plain(one), _plain(other)) for one, other in zip(found, gold, strict=True)]
    return 100 * float(np.mean([one == other for one, other in pairs])), 100 * float(np.mean([_overlap(*pair) for pair in pairs]))


def _plain(text: str) -> list[str]:
    return units(_ARTICLES.sub(" ", text.lower()))


def _overlap(one: list[str], other: list[str]) -> float:
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other)) if one or other else 1.0


def ndcg_at_10(ranks: Iterable[int]) -> float:
    """Mean nDCG@10 where each query has one right text; `ranks` from 0."""
    return 100 * float(np.mean([1 / math.log2(rank + 2) if rank < 10 else 0.0 for rank in ranks]))
