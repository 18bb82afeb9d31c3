"""The search as one standalone SVG: accuracy lost against speed, the budget as a line, the chosen variant marked. No library, no script.

Light and dark follow the reader's system by a media query inside the SVG; words are English or Chinese.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hanlin.compression.label_places import GAP, Box, place
from hanlin.compression.report import CompressionReport, VariantEvidence

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 30, 86, 66

WORDS = {
    "en": {
        "throughput": "texts per second (more is better →)", "latency": "p50 of one text, ms (less is better →)",
        "memory": "memory, MB (less is better →)", "y": "points lost on validation rows", "budget": "budget {budget:g}",
        "title": "Chosen: {chosen}", "kept": "The trained model stays: nothing better keeps the budget",
        "sub": "{speed} of torch-fp32 · {rows} validation rows · {cpu}, {threads} threads", "failed": "not drawn: {names}",
        "faster": "{x:.1f} times the throughput", "quicker": "{x:.1f} times lower p50", "smaller": "{x:.1f} times less memory",
        "ok": "ok", "over budget": "over budget", "failed status": "failed",
    },
    "zh": {
        "throughput": "每秒文本数（越多越好 →）", "latency": "单条文本 p50，毫秒（越少越好 →）",
        "memory": "内存，MB（越少越好 →）", "y": "验证集损失的百分点", "budget": "预算 {budget:g}",
        "title": "选定：{chosen}", "kept": "保留原模型：预算之内没有更好的变体",
        "sub": "相对 torch-fp32：{speed} · {rows} 条验证数据 · {cpu}，{threads} 线程", "failed": "未绘出：{names}",
        "faster": "吞吐量 {x:.1f} 倍", "quicker": "p50 缩短至 1/{x:.1f}", "smaller": "内存降至 1/{x:.1f}",
        "ok": "合格", "over budget": "超出预算", "failed status": "失败",
    },
}  # fmt: skip

STYLE = """
svg{font-family:system-ui,-apple-system,'Segoe UI','Noto Sans CJK SC','Microsoft YaHei',sans-serif;
--paper:#fff;--ink:#1d2433;--dim:#697386;--line:#e4e7ee;--safe:#e9f6ef;--chosen:#0b7a4b;--ok:#3763c9;--over:#c2452d}
@media (prefers-color-scheme:dark){svg{--paper:#12161f;--ink:#e8ebf2;--dim:#98a2b6;--line:#2a3142;--safe:#13291f;
--chosen:#45c98b;--ok:#7fa2f5;--over:#f08a72}}
.paper{fill:var(--paper)}.safe{fill:var(--safe)}.line{stroke:var(--line)}.budget{stroke:var(--over);stroke-dasharray:5 4}
text{fill:var(--ink);font-size:12px}.dim{fill:var(--dim)}.title{font-size:18px;font-weight:650}.over-text{fill:var(--over)}
.chosen{fill:var(--chosen)}.ok{fill:var(--ok)}.over{fill:none;stroke:var(--over);stroke-width:2}.ring{fill:none;stroke:var(--chosen);stroke-width:2;opacity:.55}
.strong{font-weight:650}.link{stroke:var(--dim);opacity:.5}
"""


@dataclass(frozen=True, slots=True)
class _Dot:
    row: VariantEvidence
    x: float
    y: float


def pareto_svg(report: CompressionReport, language: str = "en") -> str:
    """The picture of `report`; `language` is `en` or `zh`."""
    words = _words(language)
    drawn = [row for row in report.variants if _value(row, report) is not None and row.drop_points is not None]
    values = {row.variant: _value(row, report) or 1.0 for row in drawn}
    scale = _Scale(report, list(values.values()), [row.drop_points or 0.0 for row in drawn])
    dots = [_Dot(row, scale.x(values[row.variant]), scale.y(row.drop_points or 0.0)) for row in drawn]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_title(report, words))}">'
    ]
    parts += [f"<style>{STYLE}</style>", f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="10"/>']
    parts += [_text(24, 36, _title(report, words), "title"), _text(24, 58, _subtitle(report, words), "dim")]
    parts += [*_axes(report, words, scale), *_dots(dots, report, language, scale.y(report.budget))]
    hidden = [row.variant for row in report.variants if row not in drawn]
    if hidden:
        parts.append(_text(WIDTH - RIGHT, HEIGHT - 14, words["failed"].format(names=", ".join(hidden)), "dim", anchor="end"))
    return "\n".join([*parts, "</svg>"])


def _title(report: CompressionReport, words: dict[str, str]) -> str:
    return words["kept"] if report.is_reference_kept else words["title"].format(chosen=report.chosen)


def _subtitle(report: CompressionReport, words: dict[str, str]) -> str:
    reference, chosen = _value(report.of(report.reference), report), _value(report.of(report.chosen), report)
    ratio = 1.0
    if reference and chosen:
        ratio = chosen / reference if report.target == "throughput" else reference / chosen
    speed = words[{"throughput": "faster", "latency": "quicker", "memory": "smaller"}[report.target]].format(x=ratio)
    machine = report.machine
    return words["sub"].format(speed=speed, rows=report.rows.get("validation", 0), cpu=machine.cpu[:40], threads=machine.threads)


def _value(row: VariantEvidence, report: CompressionReport) -> float | None:
    if report.target == "memory":
        return row.memory_bytes / 1e6 if row.memory_bytes else None
    return row.throughput_rows_s if report.target == "throughput" else row.latency_p50_ms


class _Scale:
    """Values to pixels: x logarithmic with the better end on the right, y linear with losses downwards."""

    def __init__(self, report: CompressionReport, values: Sequence[float], drops: Sequence[float]) -> None:
        low, high = min(values, default=1.0), max(values, default=1.0)
        self.low, self.high = math.log(low / 1.25), math.log(high * 1.25)
        self.is_reversed = report.target != "throughput"
        self.top = min(0.0, *drops, 0.0) - 0.15
        self.bottom = max(report.budget * 1.6, *drops, 0.2) + 0.15

    def x(self, value: float) -> float:
        """Pixel column of a value."""
        share = (math.log(value) - self.low) / (self.high - self.low)
        return LEFT + (1 - share if self.is_reversed else share) * (WIDTH - LEFT - RIGHT)

    def y(self, drop: float) -> float:
        """Pixel row of points lost."""
        return TOP + (drop - self.top) / (self.bottom - self.top) * (HEIGHT - TOP - BOTTOM)

    def x_marks(self) -> list[float]:
        """Round values of the x axis; more of them when the values are close together."""
        steps = (1, 2, 5) if self.high - self.low > math.log(15) else (1, 1.5, 2, 3, 4, 5, 7)
        powers = range(math.floor(self.low / math.log(10)), math.ceil(self.high / math.log(10)) + 1)
        return [step * 10.0**power for power in powers for step in steps if self.low <= math.log(step * 10.0**power) <= self.high]

    def y_marks(self) -> list[float]:
        """At most six round values of the y axis."""
        step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if (self.bottom - self.top) / s <= 6)
        return [step * n for n in range(math.ceil(self.top / step), math.floor(self.bottom / step) + 1)]


def _axes(report: CompressionReport, words: dict[str, str], scale: _Scale) -> list[str]:
    right, bottom, budget = WIDTH - RIGHT, HEIGHT - BOTTOM, scale.y(report.budget)
    parts = [f'<rect class="safe" x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{budget - TOP:.1f}"/>']
    for value in scale.x_marks():
        x = scale.x(value)
        parts.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, f"{value:g}", "dim", anchor="middle"))
    for value in scale.y_marks():
        y = scale.y(value)
        parts.append(f'<line class="line" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:g}", "dim", anchor="end"))
    parts.append(f'<line class="budget" x1="{LEFT}" x2="{right}" y1="{budget:.1f}" y2="{budget:.1f}"/>')
    parts.append(_text(LEFT + 6, budget + 15, words["budget"].format(budget=report.budget), "over-text"))
    parts.append(_text((LEFT + right) / 2, bottom + 40, words[report.target], "dim", anchor="middle"))
    middle = (TOP + bottom) / 2
    parts.append(f'<text class="dim" text-anchor="middle" transform="translate(22 {middle:.0f}) rotate(-90)">{escape(words["y"])}</text>')
    return parts


def _dots(dots: Sequence[_Dot], report: CompressionReport, language: str, budget_y: float) -> list[str]:
    """Points and their names; a name that is not right beside its point is tied to it by a line."""
    ordered = sorted(dots, key=lambda dot: (dot.row.variant != report.chosen, dot.y, dot.x))
    widths = [(7.6 if dot.row.variant == report.chosen else 6.9) * len(dot.row.variant) for dot in ordered]
    line = _words(language)["budget"].format(budget=report.budget)
    budget = Box(LEFT + 6, budget_y + 3, LEFT + 6 + 7 * len(line), budget_y + 19)
    frame = Box(LEFT + 2, TOP + 2, WIDTH - RIGHT - 2, HEIGHT - BOTTOM - 2)
    boxes = place([(dot.x, dot.y) for dot in ordered], widths, frame=frame, taken=[budget])
    links = [_link(dot, box) for dot, box in zip(ordered, boxes, strict=True)]
    return [*links, *(_dot(dot, box, report, language) for dot, box in zip(ordered, boxes, strict=True))]


def _link(dot: _Dot, box: Box) -> str:
    near_x, near_y = max(box.left, min(dot.x, box.right)), max(box.top, min(dot.y, box.bottom))
    if math.hypot(near_x - dot.x, near_y - dot.y) <= GAP + 2:
        return ""
    return f'<line class="link" x1="{dot.x:.1f}" y1="{dot.y:.1f}" x2="{near_x:.1f}" y2="{near_y:.1f}"/>'


def _dot(dot: _Dot, box: Box, report: CompressionReport, language: str) -> str:
    is_chosen = dot.row.variant == report.chosen
    kind = "chosen" if is_chosen else "ok" if dot.row.status == "ok" else "over"
    place_ = f'cx="{dot.x:.1f}" cy="{dot.y:.1f}"'
    ring = f'<circle class="ring" {place_} r="11"/>' if is_chosen else ""
    circle = f'<circle class="{kind}" {place_} r="{6 if is_chosen else 5}"><title>{_hint(dot.row, language)}</title></circle>'
    return ring + circle + _text(box.left, box.bottom - 3.5, dot.row.variant, "strong" if is_chosen else "dim" if kind == "over" else "")


def _hint(row: VariantEvidence, language: str) -> str:
    status = _words(language)["failed status" if row.status == "failed" else row.status]
    return escape(f"{row.variant}: {status} {row.reason.text(language) if row.reason else ''}".strip())


def _words(language: str) -> dict[str, str]:
    return WORDS["zh" if language.startswith("zh") else "en"]


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
