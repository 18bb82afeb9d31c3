"""chrF and BLEU of translations, by sacrebleu, so that the figures compare with published ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hanlin.tasks.metrics import TAIL
from hanlin.tasks.ranking_metrics import ScalarMetrics

_CHINESE = re.compile(r"[㐀-䶿一-鿿]")
_RESAMPLES = 200  # of chrF, which is counted anew for each


def translation_metrics(written: Sequence[str], gold: Sequence[str]) -> ScalarMetrics:
    """`chrf` (chrF2 over the whole corpus) and `bleu`, both 0..1 (sacrebleu's figures are their hundredfold); Chinese targets are cut into
    characters for BLEU as sacrebleu's `zh` does. The interval is chrF's, from resamples of the rows.

    Source: Popović, chrF (2015); Post, A Call for Clarity in Reporting BLEU Scores (2018).
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    assert gold, "metrics of no rows mean nothing"
    is_chinese = sum(map(bool, map(_CHINESE.search, gold))) > len(gold) / 2
    chrf, bleu = CHRF(), BLEU(tokenize="zh" if is_chinese else "13a", effective_order=False)
    values = {
        "chrf": chrf.corpus_score(list(written), [list(gold)]).score / 100,
        "bleu": bleu.corpus_score(list(written), [list(gold)]).score / 100,
    }
    signatures = {"chrf": str(chrf.get_signature()), "bleu": str(bleu.get_signature())}
    return ScalarMetrics(len(gold), values, _interval(chrf, written, gold), signatures)


def _interval(chrf: object, written: Sequence[str], gold: Sequence[str]) -> tuple[float, float]:
    """95 % of resamples, from each row's counts."""
    counts = np.array([chrf._extract_corpus_statistics([one], [[other]])[0] for one, other in zip(written, gold, strict=True)])  # type: ignore[attr-defined]  # the only way to count once
    draws = np.random.default_rng(0).integers(0, len(gold), size=(_RESAMPLES, len(gold)))
    scores = [chrf._compute_f_score(counts[rows].sum(axis=0).tolist()) for rows in draws]  # type: ignore[attr-defined]
    low, high = np.quantile(scores, (TAIL, 1 - TAIL))
    return float(low) / 100, float(high) / 100
