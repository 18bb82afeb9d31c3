"""The figures of evaluations: what they are called, which come first, which are shares. For people; stored results keep their names."""

from __future__ import annotations

import math
from collections.abc import Mapping

# (English, Chinese) by stored name, the more telling first: the first that was measured stands for a version.
FIGURES: dict[str, tuple[str, str]] = {
    "execution_accuracy": ("execution accuracy", "执行准确率"),
    "exact_match": ("exact match", "完全匹配率"),
    "intent_accuracy": ("intent accuracy", "意图准确率"),
    "slot_f1": ("slot F1", "槽位 F1"),
    "ndcg": ("nDCG@10", "nDCG@10"),
    "chrf": ("chrF", "chrF"),
    "bleu": ("BLEU", "BLEU"),
    "rouge_l": ("ROUGE-L", "ROUGE-L"),
    "rouge_1": ("ROUGE-1", "ROUGE-1"),
    "rouge_2": ("ROUGE-2", "ROUGE-2"),
    "f1": ("F1", "F1"),
    "exact": ("exact match", "完全匹配率"),
    "precision": ("precision", "精确率"),
    "recall": ("recall", "召回率"),
    "predicate_f1": ("predicate F1", "谓词 F1"),
    "conll05_f1": ("F1 as CoNLL-2005 counts", "CoNLL-2005 口径 F1"),
    "conll05_precision": ("precision as CoNLL-2005 counts", "CoNLL-2005 口径精确率"),
    "conll05_recall": ("recall as CoNLL-2005 counts", "CoNLL-2005 口径召回率"),
    "conll09_f1": ("F1 as CoNLL-2009 counts", "CoNLL-2009 口径 F1"),
    "conll09_precision": ("precision as CoNLL-2009 counts", "CoNLL-2009 口径精确率"),
    "conll09_recall": ("recall as CoNLL-2009 counts", "CoNLL-2009 口径召回率"),
    "perplexity": ("perplexity", "困惑度"),
    "bits_per_byte": ("bits per byte", "每字节比特数"),
    "accuracy": ("accuracy", "准确率"),
    "reward_accuracy": ("reward accuracy", "奖励准确率"),
    "margin": ("reward margin", "奖励差"),
    "top_5": ("top-5 accuracy", "前 5 准确率"),
    "top_10": ("top-10 accuracy", "前 10 准确率"),
    "macro_f1": ("macro F1", "宏平均 F1"),
    "micro_f1": ("micro F1", "微平均 F1"),
    "map": ("mean average precision", "平均精度均值"),
    "auc": ("AUC", "AUC"),
    "mrr": ("reciprocal rank (MRR)", "倒数排名（MRR）"),
    "recall_1": ("recall@1", "召回率@1"),
    "recall_10": ("recall@10", "召回率@10"),
    "passage_recall_1": ("passage recall@1, by words", "段落召回率@1（按词）"),
    "passage_recall_5": ("passage recall@5, by words", "段落召回率@5（按词）"),
    "spearman": ("Spearman", "Spearman 相关"),
    "pearson": ("Pearson", "Pearson 相关"),
    "mse": ("mean squared error", "均方误差"),
    "mae": ("mean absolute error", "平均绝对误差"),
    "rmse": ("root mean squared error", "均方根误差"),
    "ece": ("calibration error (ECE)", "校准误差（ECE）"),
}
# What stands before a figure's name while a training or a search goes on: (English, Chinese before the figure).
PARTS: dict[str, tuple[str, str]] = {
    "validation_": ("validation {}", "验证"),
    "best_": ("best {}", "最佳"),
    "trial_": ("{} of the last trial", "最近试验的"),
}
_PLAIN = frozenset({"perplexity", "bits_per_byte", "margin", "mse", "mae", "rmse", "ece"})  # no shares of a hundred


def measured(found: Mapping[str, object]) -> list[tuple[str, float]]:
    """The known figures of a stored evaluation, in their order."""
    pairs = ((name, found.get(name)) for name in FIGURES)
    return [(name, float(value)) for name, value in pairs if type(value) in (int, float) and math.isfinite(value)]  # type: ignore[arg-type]  # as checked


def figure_with_interval(found: Mapping[str, object]) -> str:
    """The figure that a stored evaluation's one interval is of: the first that lies in it; empty where there is none."""
    ends = found.get("interval")
    if not isinstance(ends, list | tuple) or len(ends) != 2 or not all(isinstance(end, int | float) for end in ends):
        return ""
    return next((name for name, value in measured(found) if ends[0] <= value <= ends[1]), "")


def figure_name(name: str, *, language: str) -> str:
    """What a figure is called; an unknown one by its own name."""
    english, chinese = FIGURES.get(name, (name.replace("_", " "),) * 2)
    return chinese if language.startswith("zh") else english


def progress_name(name: str, *, language: str) -> str:
    """What a figure of a training under way is called, such as `validation_f1`; an unknown one by its own name."""
    part = next((part for part in PARTS if name.startswith(part) and name.removeprefix(part) in FIGURES), None)
    if part is None:
        return figure_name(name, language=language)
    figure, (english, chinese) = figure_name(name.removeprefix(part), language=language), PARTS[part]
    if language.startswith("zh"):
        return f"{chinese} {figure}" if figure[0].isascii() else chinese + figure
    return english.format(figure)


def is_share(name: str) -> bool:
    """Whether it is a known figure that people read in percents."""
    return name in FIGURES and name not in _PLAIN


def figure_value(name: str, value: float, *, digits: int = 1) -> str:
    """A share as percents, another number with three decimals."""
    return f"{value:,.3f}" if name in _PLAIN else f"{100 * value:.{digits}f} %"
