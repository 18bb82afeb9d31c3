"""Raw text for models that say what is hidden: how it is stored, which passages of it examine a model, and what the answers are worth.

Pseudo-perplexity: tokens are hidden one at a time, evenly from each passage, all others seen; it is the exponential of the mean negative
logarithm of their chances. Source: Salazar et al., Masked Language Model Scoring (2020), section 2.1; there over all tokens of a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hanlin.tasks.examples import Column, PlainTexts
from hanlin.tasks.ranking_metrics import ScalarMetrics, resampled
from hanlin.tasks.search_exam import spread

RAW_TEXT = PlainTexts(
    (Column("text", "text", aliases=("sentence", "content", "document", "body", "passage", "文本", "内容", "正文", "段落", "句子")),),
    formats=("txt",), has_answers=True,
)  # fmt: skip
HIDDEN = 8  # tokens of a passage
MAX_PASSAGES = 500
PASSAGE = 400  # characters, about
_PASSAGES_OF_ONE = 8  # text
DEPTHS = {"accuracy": 1, "top_5": 5, "top_10": 10}  # figures: the share of hidden tokens among so many likeliest


def passages(texts: Sequence[str]) -> list[str]:
    """What a model is examined on: at most 500 passages, evenly from all texts, of long ones several."""
    few = spread(texts, MAX_PASSAGES)
    return spread([piece for text in few for piece in spread(_pieces(text), _PASSAGES_OF_ONE)], MAX_PASSAGES)


def _pieces(text: str) -> list[str]:
    """Lines, as many together as make about 400 characters; a longer line is cut, at a space where it has some."""
    found = [""]
    for line in text.splitlines():
        rest = line.strip()
        while rest:
            end = len(rest) if len(rest) <= PASSAGE else (rest.rfind(" ", PASSAGE // 2, PASSAGE) + 1 or PASSAGE)
            if found[-1] and len(found[-1]) + end > PASSAGE:
                found.append("")
            found[-1] += ("\n" if found[-1] else "") + rest[:end].strip()
            rest = rest[end:].strip()
    return [piece for piece in found if piece.strip()]


def masked_metrics(scores: Sequence[float], ranks: Sequence[int]) -> ScalarMetrics:
    """Figures of hidden tokens.

    Args:
        scores: the chance that the model gave to each.
        ranks: how many tokens it held for as likely or likelier, itself included.
    """
    places = np.array(ranks)
    logs = np.log(np.clip(np.array(scores, dtype=np.float64), 1e-38, None))
    values = {name: float((places <= depth).mean()) for name, depth in DEPTHS.items()}
    values["perplexity"] = math.exp(-float(logs.mean()))
    return ScalarMetrics(len(places), values, resampled(len(places), lambda drawn: float((places[drawn] <= 1).mean())))


def metrics_of_answers(answers: Sequence[Sequence[Mapping[str, Any]]]) -> ScalarMetrics:
    """The same of answers to calls with `hide_tokens`, one a text."""
    tokens = [token for answer in answers for token in answer]
    return masked_metrics([float(token["score"]) for token in tokens], [int(token["rank"]) for token in tokens])
