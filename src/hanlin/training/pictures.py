"""The confusion matrix and the training curve as pictures, in English or Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from hanlin.drawing import bounds, clip, polyline, svg, text, text_width
from hanlin.messages.figures import figure_name, is_share, measured
from hanlin.tasks.metrics import Metrics
from hanlin.training.state import Point

MAX_LABELS = 40
_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "confusion": "Confusion matrix",
        "gold": "true label",
        "predicted": "predicted",
        "rest": "{n} more labels",
        "curve": "Training",
        "step": "step",
        "loss": "training loss",
        "validation_loss": "validation loss",
        "kept": "kept",
    },
    "zh": {
        "confusion": "混淆矩阵",
        "gold": "真实标签",
        "predicted": "预测标签",
        "rest": "另有 {n} 个标签",
        "curve": "训练曲线",
        "step": "步数",
        "loss": "训练损失",
        "validation_loss": "验证损失",
        "kept": "所保留",
    },
}


def confusion_svg(metrics: Metrics, *, language: str = "en", title: str | None = None) -> str:
    """Rows are true labels, columns predictions; shade and figure are the share of the row, the small figure the count.

    Of more than 40 labels the 40 most frequent are drawn.
    """
    words = _WORDS[language]
    order = sorted(range(len(metrics.per_class)), key=lambda index: -metrics.per_class[index].support)
    shown = sorted(order[:MAX_LABELS])
    names = [clip(metrics.per_class[index].label, 16) for index in shown]
    cell = 84 if len(shown) <= 4 else max(22, 420 // len(shown))
    longest = max(text_width(name) for name in names)
    left, top = 40 + 8 * longest, 84 if cell >= 60 else 68 + 6 * longest
    parts = [text(16, 28, title or words["confusion"], "title"), text(left, 52, words["predicted"], "soft")]
    for row, gold in enumerate(shown):
        total = sum(metrics.confusion[gold]) or 1
        y = top + row * cell
        parts.append(text(left - 10, y + cell / 2 + 4, names[row], anchor="end"))
        for column, predicted in enumerate(shown):
            count = metrics.confusion[gold][predicted]
            parts.append(_cell(left + column * cell, y, cell, count, count / total, is_right=gold == predicted))
    for column, name in enumerate(names):
        x = left + column * cell + cell / 2
        turn = f' transform="rotate(-40 {x:.0f} {top - 8})"' if cell < 60 else ""
        anchor = "start" if turn else "middle"
        parts.append(f'<text x="{x:.0f}" y="{top - 8}" text-anchor="{anchor}"{turn}>{escape(name)}</text>')
    bottom = top + len(shown) * cell
    side = f'<text class="soft" transform="translate(22 {(top + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">{words["gold"]}</text>'
    if len(order) > len(shown):
        parts.append(text(left, bottom + 22, words["rest"].format(n=len(order) - len(shown)), "soft"))
    return svg(left + len(shown) * cell + 24, bottom + 36, [*parts, side], title or words["confusion"])


def curve_svg(
    history: Sequence[Point], *, metric: str = "accuracy", kept: int | None = None, language: str = "en", title: str | None = None
) -> str:
    """Loss of training and validation on the left scale, the watched figure on the right scale, over steps.

    Args:
        history: the curve.
        metric: the figure; where it was not measured, or is the loss, the most telling one that was.
        kept: the step whose weights were kept, which is marked; None marks the best of the metric.
        language: of the words.
        title: above it.
    """
    words = _WORDS[language]
    width, height, left, right, top, bottom = 640, 340, 56, 584, 76, 292
    name = metric if is_share(metric) and any(metric in point.validation for point in history) else _most_telling(history)
    training = [(point.step, point.loss) for point in history if math.isfinite(point.loss)]
    losses = [(point.step, point.validation["loss"]) for point in history if "loss" in point.validation]
    scores = [(point.step, point.validation[name]) for point in history if name in point.validation]
    last = max([step for step, _ in (*training, *losses)], default=1)
    parts = [text(16, 28, title or words["curve"], "title"), _legend(words, figure_name(name, language=language))]
    low, high = bounds([value for _, value in (*training, *losses)], from_zero=True)
    score_low, score_high = bounds([value for _, value in scores], from_zero=False)
    for tick in range(5):
        y = bottom - (bottom - top) * tick / 4
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
        parts.append(text(left - 8, y + 4, f"{low + (high - low) * tick / 4:.2f}", "soft num", anchor="end"))
        if scores:
            parts.append(text(right + 8, y + 4, f"{100 * (score_low + (score_high - score_low) * tick / 4):.1f}", "soft num"))
    for tick in range(5):
        x = left + (right - left) * tick / 4
        parts.append(text(x, bottom + 20, f"{round(last * tick / 4):,}", "soft num", anchor="middle"))
    parts.append(text((left + right) / 2, bottom + 40, words["step"], "soft", anchor="middle"))

    def place(points: Sequence[tuple[int, float]], floor: float, ceiling: float) -> list[tuple[float, float]]:
        return [
            (left + (right - left) * step / last, bottom - (bottom - top) * (min(value, ceiling) - floor) / (ceiling - floor))
            for step, value in points
        ]

    parts.append(polyline(place(training, low, high), "var(--a)", width=1.5))
    parts.append(polyline(place(losses, low, high), "var(--b)", dots=True))
    spots = place(scores, score_low, score_high)
    parts.append(polyline(spots, "var(--c)", dots=True))
    if scores:
        best = max(range(len(scores)), key=lambda index: (scores[index][0] == kept, scores[index][1]))
        x, y = spots[best]
        if scores[best][0] == kept:
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="var(--c)" stroke-dasharray="3 4"/>')
            parts.append(text(x, top - 6, words["kept"], "soft", anchor="middle"))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="var(--c)" stroke-width="2"/>')
        anchor = "end" if x > right - 60 else "middle"
        parts.append(text(x, y - 12, f"{100 * scores[best][1]:.1f} %", "num", anchor=anchor))
    return svg(width, height, parts, title or words["curve"])


def _cell(x: float, y: float, size: int, count: int, share: float, *, is_right: bool) -> str:
    colour = "var(--a)" if is_right else "var(--b)"
    place = f'x="{x + 1:.0f}" y="{y + 1:.0f}" width="{size - 2}" height="{size - 2}"'
    box = f'<rect {place} rx="4" fill="{colour}" fill-opacity="{0.06 + 0.9 * share:.2f}"/>'
    if size < 30:
        return box
    kind = "num on" if share > 0.55 else "num"
    middle, is_large = x + size / 2, size >= 60
    figure = text(middle, y + size / 2 + (0 if is_large else 4), f"{100 * share:.0f}%", kind, anchor="middle")
    return box + figure + (text(middle, y + size / 2 + 18, f"{count:,}", f"{kind} small", anchor="middle") if is_large else "")


def _most_telling(history: Sequence[Point]) -> str:
    """The first of the figures that the evaluations have, in the order of `FIGURES`; accuracy where they have none."""
    return next((name for point in history for name, _ in measured(point.validation) if is_share(name)), "accuracy")


def _legend(words: Mapping[str, str], figure: str) -> str:
    parts, x = [], 56.0
    for colour, word in (("a", words["loss"]), ("b", words["validation_loss"]), ("c", f"{figure} (%)")):
        parts.append(f'<rect x="{x:.0f}" y="43" width="14" height="4" rx="2" fill="var(--{colour})"/>' + text(x + 20, 50, word, "soft"))
        x += 44 + 7.2 * text_width(word)
    return "".join(parts)
