"""Pictures are whole SVG files, in both languages, safe with hostile labels, small with many labels."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from hanlin.tasks.metrics import Metrics, classification_metrics
from hanlin.training.pictures import confusion_svg, curve_svg
from hanlin.training.state import Point


def metrics_of(num_labels: int, *, label: str = "label") -> Metrics:
    gold = np.arange(200) % num_labels
    predicted = np.where(np.arange(200) % 7 == 0, (gold + 1) % num_labels, gold)
    probabilities = np.full((200, num_labels), 0.1 / num_labels)
    probabilities[np.arange(200), predicted] = 0.9
    return classification_metrics(probabilities, gold, [f"{label} {number}" for number in range(num_labels)])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("num_labels", [2, 5, 12, 60])
def test_confusion_is_a_whole_picture(language: str, num_labels: int) -> None:
    svg = confusion_svg(metrics_of(num_labels), language=language)
    root = ElementTree.fromstring(svg)
    cells = [element for element in root.iter("{http://www.w3.org/2000/svg}rect") if element.get("fill-opacity")]
    assert len(cells) == min(num_labels, 40) ** 2
    assert ("混淆矩阵" if language == "zh" else "Confusion matrix") in svg
    assert "prefers-color-scheme" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_hostile_labels_are_text() -> None:
    svg = confusion_svg(metrics_of(2, label="</text><script>alert(1)</script>"), title="<b>&")
    assert "<script" not in svg
    ElementTree.fromstring(svg)


@pytest.mark.parametrize(
    "history", [[], [Point(1, 0.5, 1e-3)], [Point(1, float("inf"), 1e-3), Point(2, 0.4, 1e-3, {"loss": 0.3, "accuracy": 1.0})]]
)
def test_a_curve_of_anything_is_a_whole_picture(history: list[Point]) -> None:
    for language in ("en", "zh"):
        ElementTree.fromstring(curve_svg(history, language=language, metric="macro_f1"))


def test_the_best_point_is_marked() -> None:
    history = [Point(step, 1 / step, 1e-3, {"loss": 0.3, "accuracy": 0.8 + 0.01 * (step == 20)}) for step in (10, 20, 30)]
    assert "81.0 %" in curve_svg(history)


@pytest.mark.parametrize(
    ("metric", "found", "english", "chinese"),
    [
        ("f1", {"accuracy": 0.9, "f1": 0.7, "precision": 0.6}, "F1 (%)", "F1 (%)"),
        ("loss", {"perplexity": 9.0, "accuracy": 0.3}, "accuracy (%)", "准确率 (%)"),
        ("accuracy", {"spearman": 0.8, "pearson": 0.7}, "Spearman (%)", "Spearman 相关 (%)"),  # of rows that have scores
        ("macro_f1", {"accuracy": 0.9, "macro_f1": 0.8}, "macro F1 (%)", "宏平均 F1 (%)"),
    ],
)
def test_the_figure_that_is_watched_is_drawn_in_words(metric: str, found: dict[str, float], english: str, chinese: str) -> None:
    history = [Point(step, 1 / step, 1e-3, {"loss": 0.3, **found}) for step in (10, 20)]
    value = found.get(metric, next(value for value in found.values() if value < 1))
    for language, words in (("en", english), ("zh", chinese)):
        shown = curve_svg(history, metric=metric, language=language)
        assert words in shown and f"{100 * value:.1f} %" in shown


def test_the_step_that_was_kept_is_marked_be_it_not_the_best_of_what_is_drawn() -> None:
    history = [Point(step, 1 / step, 1e-3, {"loss": 0.3, "accuracy": 0.8 + 0.01 * (step == 20)}) for step in (10, 20, 30)]
    shown = curve_svg(history, kept=30)
    assert "80.0 %" in shown and "81.0 %" not in shown
    assert "kept" in shown and "kept" not in curve_svg(history)
