"""Batches and pictures: plain integers, well-formed SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.compression.batches import spread
from hanlin.compression.pictures import WORDS, pareto_svg
from hanlin.compression.report import CompressionReport, Machine, VariantEvidence
from hanlin.engines.asking import by_length as plan
from hanlin.messages.said import Said


def evidence(variant: str, drop: float, p50: float, status: str = "ok", reason: Said | None = None) -> VariantEvidence:
    return VariantEvidence(
        variant,
        status,
        drop_points=drop,
        latency_p50_ms=p50,
        throughput_rows_s=1000 / p50,
        memory_bytes=int(p50 * 2**22),
        reason=reason or Said("variant_error", {"problem": "<why & how>"}),
    )


def report(target: str = "throughput", chosen: str = "openvino-int8") -> CompressionReport:
    rows = (
        evidence("torch-fp32", 0.0, 20.0), evidence("torch-bf16", 0.0, 14.0), evidence("onnxruntime-fp32", 0.0, 6.0),
        evidence("onnxruntime-int8", 1.4, 3.1, "over budget"), evidence("openvino-fp32", 0.0, 6.1), evidence("openvino-bf16", -0.1, 4.0),
        evidence("openvino-int8", 0.3, 3.0), VariantEvidence("x-fp32", "failed", reason=Said("scores_stray", {"difference": "0.3"})),
    )  # fmt: skip
    return CompressionReport(target, 0.5, "accuracy", chosen, Machine("A <CPU>", 2, 2, ("avx2",)), rows, {"validation": 224})


@pytest.mark.parametrize("target", ["throughput", "latency", "memory"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_picture_is_well_formed_and_names_every_variant(target: str, language: str) -> None:
    svg = pareto_svg(report(target), language=language)
    root = ET.fromstring(svg)
    texts = " ".join("".join(node.itertext()) for node in root.iter())
    for row in report().variants:
        assert row.variant in texts
    assert WORDS[language][target].split("（")[0] in texts
    assert "prefers-color-scheme" in svg
    assert len([node for node in root.iter() if node.get("class") == "ring"]) == 1
    for node in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(node.get("cx")) < 760
        assert 0 < float(node.get("cy")) < 440


def boxes_of(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of the names of variants, from the text elements, with the width of a narrow letter."""
    found = {}
    for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if node.text and node.text.startswith("engine") and node.get("text-anchor") == "start":
            x, y = float(node.get("x")), float(node.get("y"))
            found[node.text] = (x, y - 11, x + 6.5 * len(node.text), y + 3)
    return found


def is_apart(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("target", ["throughput", "latency", "memory"])
@pytest.mark.parametrize("spread_ms", [0.0, 0.05, 0.6])
@pytest.mark.parametrize("budget", [0.5, 0.02])
def test_names_of_neighbouring_points_cover_neither_each_other_nor_a_point(target: str, spread_ms: float, budget: float) -> None:
    rows = tuple(evidence(f"engine-{number}-int8", 0.04 * (number % 3), 4.0 + spread_ms * number) for number in range(8))
    rows += (evidence("torch-fp32", 0.0, 9.0),)
    svg = pareto_svg(CompressionReport(target, budget, "accuracy", "engine-2-int8", Machine("", 1, 1, ()), rows, {"validation": 9}))
    boxes = boxes_of(svg)
    assert len(boxes) == 8
    names = sorted(boxes)
    for index, name in enumerate(names):
        assert boxes[name][0] >= 76
        assert boxes[name][2] <= 730
        for other in names[index + 1 :]:
            assert is_apart(boxes[name], boxes[other]), (name, other)
        for circle in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}circle"):
            x, y = float(circle.get("cx")), float(circle.get("cy"))
            assert is_apart(boxes[name], (x - 5, y - 5, x + 5, y + 5)), name


def test_hints_speak_the_readers_language() -> None:
    assert "超出预算" in pareto_svg(report(), language="zh")
    assert "over budget" not in pareto_svg(report(), language="zh")
    late = replace(
        report(), variants=(*report().variants, evidence("y-bf16", 0.0, 2.0, reason=Said("scores_stray", {"difference": "0.3"})))
    )
    assert "<title>y-bf16: ok scores change by 0.3 beside other rows" in pareto_svg(late)
    assert "<title>y-bf16: 合格 与其他行同批时，分数变化 0.3" in pareto_svg(late, language="zh")


def test_a_lone_reference_can_be_drawn() -> None:
    lone = CompressionReport("latency", 0.0, "accuracy", "torch-fp32", Machine("", 1, 1, ()), (evidence("torch-fp32", 0.0, 3.0),))
    ET.fromstring(pareto_svg(lone))


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 900), st.one_of(st.none(), st.integers(1, 9)))
def test_a_plan_holds_every_row_once_within_the_budget(lengths: list[int], max_tokens: int, max_rows: int | None) -> None:
    batches = plan(lengths, max_tokens=max_tokens, max_rows=max_rows)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_tokens
        assert max_rows is None or len(batch) <= max_rows


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200), st.integers(1, 64))
def test_spread_keeps_the_length_distribution(lengths: list[int], count: int) -> None:
    chosen = spread(lengths, count)
    assert len(set(chosen)) == min(count, len(lengths))
    ordered = [lengths[i] for i in chosen]
    assert ordered == sorted(ordered)
