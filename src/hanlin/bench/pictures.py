"""The saturation curve as one SVG: latency and good answers against the rate, and where the time goes.

Words are English or Chinese; light and dark follow the reader's system.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hanlin.bench.load import Window
from hanlin.bench.parts import NAMES
from hanlin.bench.report import BenchReport
from hanlin.drawing import polyline, svg, text

WIDTH, HEIGHT = 760, 620
LEFT, RIGHT = 70, 30
LATENCY, GOODPUT = (86, 270), (318, 452)  # top and bottom of both panels
BARS = 516
_WORDS = {
    "en": {
        "title": "{endpoint}: {rps:,.0f} requests/s at most", "held": "{rps:,.0f} requests/s held", "none_held": "no rate was held",
        "sub": "{model} · texts a request: {items} · {characters} characters in the middle", "ms": "latency, ms",
        "rps": "good answers a second",
        "x": "offered requests a second", "ideal": "as offered", "p50": "p50", "p99": "p99", "where": "where the time goes",
        "light": "unloaded", "full": "loaded", "wait": "wait for a connection", "network": "network", "parse": "parse", "hop": "hop",
        "encode": "tokens", "queue": "queue", "engine": "model", "decode": "decode", "write": "write",
    },
    "zh": {
        "title": "{endpoint}：最高每秒 {rps:,.0f} 次请求", "held": "可稳定承受每秒 {rps:,.0f} 次", "none_held": "没有可稳定承受的速率",
        "sub": "{model} · 每次请求 {items} 条文本，长度中位数 {characters} 字符", "ms": "延迟（毫秒）", "rps": "每秒成功应答数",
        "x": "每秒发出的请求数", "ideal": "与发出相同", "p50": "p50", "p99": "p99", "where": "时间花在哪里",
        "light": "空载", "full": "有负载", "wait": "等待连接", "network": "网络", "parse": "解析", "hop": "转发",
        "encode": "分词", "queue": "排队", "engine": "模型", "decode": "解码", "write": "写出",
    },
}  # fmt: skip
# One shade a part; the model's own time in the strongest colour, waiting in the warning one.
_FILLS = {
    "wait": ("--b", 0.45), "network": ("--soft", 0.35), "parse": ("--c", 0.35), "hop": ("--c", 0.6), "encode": ("--c", 1.0),
    "queue": ("--b", 0.9), "engine": ("--a", 1.0), "decode": ("--a", 0.6), "write": ("--a", 0.35),
}  # fmt: skip
Scale = Callable[[float], float]


def saturation_svg(report: BenchReport, language: str = "en") -> str:
    """The picture of `report`; `language` is `en` or `zh`."""
    words = _WORDS["zh" if language.startswith("zh") else "en"]
    rates = [window.offered_rps or 0.0 for window in report.open]
    x = _linear(0.0, max(rates, default=1.0), LEFT, WIDTH - RIGHT)
    held = report.held
    title = words["title"].format(endpoint=report.endpoint, rps=report.capacity.goodput_rps)
    sub = words["sub"].format(model=report.model, items=report.items, characters=report.median_characters)
    parts = [text(24, 34, title, "title"), text(24, 56, sub, "soft")]
    parts += _latency(report, words, x)
    parts += _goodput(report, words, x)
    if held is not None and held.offered_rps is not None:
        parts.append(f'<line x1="{x(held.offered_rps):.1f}" x2="{x(held.offered_rps):.1f}" y1="{LATENCY[0]}" y2="{GOODPUT[1]}" '
                     'stroke="var(--c)" stroke-dasharray="5 4"/>')  # fmt: skip
    line = words["held"].format(rps=held.offered_rps) if held else words["none_held"]
    parts.append(text(WIDTH - RIGHT, 34, line, "soft", anchor="end"))
    return svg(WIDTH, HEIGHT, [*parts, *_bars(report, words)], title)


def _latency(report: BenchReport, words: dict[str, str], x: Scale) -> list[str]:
    p50 = [(window.offered_rps or 0.0, window.latency.quantile_s(0.5) * 1000) for window in report.open]
    p99 = [(window.offered_rps or 0.0, window.latency.quantile_s(0.99) * 1000) for window in report.open]
    values = [max(0.05, ms) for _, ms in (*p50, *p99)] or [1.0]
    low, high = math.log10(min(values) / 1.5), math.log10(max(values) * 1.5)
    y = _linear(low, high, LATENCY[1], LATENCY[0])
    parts = [text(LEFT, LATENCY[0] - 10, words["ms"], "soft")]
    for mark in _log_marks(low, high):
        parts += _row(y(math.log10(mark)), f"{mark:g}")
    for points, colour, name in ((p50, "var(--a)", "p50"), (p99, "var(--b)", "p99")):
        placed = [(x(rate), y(math.log10(max(0.05, ms)))) for rate, ms in points]
        parts.append(polyline(placed, colour, dots=True))
        if placed:
            parts.append(text(placed[-1][0] + 7, placed[-1][1] + 4, words[name], "soft"))
    return parts


def _goodput(report: BenchReport, words: dict[str, str], x: Scale) -> list[str]:
    good = [(window.offered_rps or 0.0, window.goodput_rps) for window in report.open]
    high = max((value for point in good for value in point), default=1.0) * 1.05
    y = _linear(0.0, high, GOODPUT[1], GOODPUT[0])
    parts = [text(LEFT, GOODPUT[0] - 10, words["rps"], "soft")]
    for mark in _marks(high):
        parts += _row(y(mark), f"{mark:,.0f}")
    parts += [
        text(x(mark), GOODPUT[1] + 18, f"{mark:,.0f}", "soft", anchor="middle") for mark in _marks(max((r for r, _ in good), default=1.0))
    ]
    ends = [(x(rate), y(rate)) for rate in (0.0, max((rate for rate, _ in good), default=0.0))]
    parts.append(f'<g stroke-dasharray="3 4">{polyline(ends, "var(--soft)", width=1.0)}</g>')
    parts.append(polyline([(x(rate), y(value)) for rate, value in good], "var(--c)", dots=True))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, GOODPUT[1] + 36, words["x"], "soft", anchor="middle"))
    return parts


def _bars(report: BenchReport, words: dict[str, str]) -> list[str]:
    loaded = report.held or report.capacity
    parts = []
    for row, (name, window) in enumerate((("light", report.unloaded), ("full", loaded))):
        parts += _bar(BARS + row * 26, words[name], window, words)
    return [*parts, *_legend(words, (report.unloaded, loaded))]


def _bar(top: float, name: str, window: Window, words: dict[str, str]) -> list[str]:
    means = window.parts.means_ms()
    total = sum(means.values()) or 1.0
    parts = [text(LEFT - 8, top + 14, name, "soft", anchor="end")]
    left = float(LEFT)
    for part in NAMES:
        width = means[part] / total * (WIDTH - LEFT - RIGHT - 70)
        colour, opacity = _FILLS[part]
        hint = f"<title>{words[part]}: {means[part]:.2f} ms</title>"
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="18" fill="var({colour})" opacity="{opacity}">{hint}</rect>'
        )
        left += width
    return [*parts, text(WIDTH - RIGHT, top + 14, f"{total:.2f} ms", "num", anchor="end")]


def _legend(words: dict[str, str], windows: Sequence[Window]) -> list[str]:
    """The parts that are large enough to be seen."""
    shown = [name for name in NAMES if any(w.parts.means_ms()[name] > 0.02 * sum(w.parts.means_ms().values()) for w in windows)]
    parts, left = [], float(LEFT)
    for name in shown:
        colour, opacity = _FILLS[name]
        parts.append(f'<rect x="{left:.0f}" y="{BARS + 66}" width="11" height="11" fill="var({colour})" opacity="{opacity}"/>')
        parts.append(text(left + 16, BARS + 76, words[name], "soft"))
        left += 34 + sum(13 if ord(letter) > 0x2E80 else 7 for letter in words[name])
    return [text(LEFT, BARS - 10, words["where"], "soft"), *parts]


def _row(y: float, mark: str) -> list[str]:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
    return [line, text(LEFT - 8, y + 4, mark, "soft", anchor="end")]


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / ((high - low) or 1.0) * (end - start)


def _log_marks(low: float, high: float) -> list[float]:
    """Round values between two powers of ten, at most a handful."""
    steps = (1, 2, 5) if high - low < 2 else (1,)
    marks = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return [mark for mark in marks if low <= math.log10(mark) <= high]


def _marks(high: float) -> list[float]:
    """At most six round values from zero on."""
    power = 10.0 ** math.floor(math.log10(max(high, 1e-9)))
    step = next(step * power for step in (0.1, 0.2, 0.5, 1, 2, 5) if high / (step * power) <= 6)
    return [step * number for number in range(int(high / step) + 1)]
