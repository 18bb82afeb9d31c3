"""Model cards say what is recorded, in both languages, and nothing users wrote can break out of its place."""

from __future__ import annotations

import re

import pytest

from hanlin.errors import InvalidInput
from hanlin.registry import Registry
from hanlin.registry.card_words import _WORDS, LIMITS, word
from hanlin.registry.values import ModelVersion
from hanlin.storage.database import Database
from hanlin.storage.manifest import Manifest
from hanlin.storage.stores.memory import MemoryStore
from hanlin.tasks.few_rows import few_rows_for_budget, few_test_rows, stored
from hanlin.types import JobId, JsonObject, TeamId

TEAM = TeamId("default")
METRICS: JsonObject = {
    "rows": 1736, "accuracy": 0.8512, "macro_f1": 0.8401, "micro_f1": 0.8512, "ece": 0.031, "interval": [0.834, 0.868],
    "per_class": [{"label": "pos|x", "precision": 0.9, "recall": 0.8, "f1": 0.847, "support": 900}],
}  # fmt: skip
EVIDENCE: JsonObject = {
    "status": "ok", "validation": {"metric": 0.85, "drop_points": 0.12}, "test": {"metric": 0.849, "interval": [0.83, 0.86]},
    "latency_ms": {"p50": 1.25, "p99": 2.5}, "throughput_rows_s": 4321.0, "memory_bytes": 5e7, "size_bytes": 23_000_000,
}  # fmt: skip
CERTIFICATE: JsonObject = {
    "rows": 200, "label_agreement": 0.995, "label_agreement_interval": [0.972, 0.9991], "max_score_difference": 0.0123,
    "tolerance": {"label_agreement": 0.99, "max_score_difference": 0.05},
}  # fmt: skip


@pytest.fixture
def registry(database: Database) -> Registry:
    return Registry(database, MemoryStore())


def make(registry: Registry) -> ModelVersion:
    report: JsonObject = {"labels": {"pos|x": {"train": 80, "validation": 10, "test": 11}, "neg": {"train": 70, "test": 9}}}
    dataset = registry.create_dataset_version(TEAM, "reviews-zh", "text-classification", Manifest(()), report)
    lineage: JsonObject = {
        "dataset": str(dataset), "dataset_digest": dataset.digest, "parent": "minilm:1", "seed": 7, "code_version": "0.1.0",
        "vectors_digest": None, "raw_text_digest": "5a" * 32,
        "config": {"lr": 0.0005, "model": "lstm", "evil": "`a` | <script>alert(1)</script>\n# Title"}, "languages": ["zh"],
    }  # fmt: skip
    version = registry.create_version(
        TEAM,
        "m",
        "text-classification",
        manifest=Manifest(()),
        lineage=lineage,
        metrics=METRICS,
        labels=("pos|x", "neg"),
        job_id=JobId("job_1"),
    )
    registry.add_variant(version, "openvino-int8", None, EVIDENCE, is_chosen=True)
    registry.add_variant(version, "torch-fp32", None, {})
    return registry.add_certificate(version, "openvino-int8", CERTIFICATE, is_passed=True)


def test_the_card_says_what_is_recorded(registry: Registry) -> None:
    version = make(registry)
    registry.set_notes(TEAM, "m", "Made for **hotel** reviews.")
    card = registry.card(version)
    for part in (
        "# m:1", "text-classification", "certified", "Made for **hotel** reviews.", "reviews-zh:1", "85.12 %", "83.40 % – 86.80 %",
        "84.01 %",        "`openvino-int8` **(chosen)**", "84.90 %", "0.12", "1.25 / 2.50",
        "4,321", "23.0", "**passed**", "label agreement 99.50 % (95 %: 97.20 % … 99.91 %; ≥ 99.00 %)", "0.012 (≤ 0.05)", "minilm:1",
        "`7`",        "job_1", f"**Raw text (SHA-256)**: `{'5a' * 32}`", "| Label | train | validation | test |", "## Limits",
    ):  # fmt: skip
        assert part in card, part
    assert card.count("\n## ") == 8
    assert "Word vectors" not in card


def test_perplexities_are_on_the_card_where_there_are_some(registry: Registry) -> None:
    version = make(registry)
    assert "Perplexity" not in registry.card(version)
    registry.add_variant(
        version, "openvino-int4", None, EVIDENCE | {"perplexity": 44.5, "mean_score_difference": 0.00213, "greedy_agreement": 0.958}
    )
    registry.add_certificate(
        version,
        "openvino-int4",
        CERTIFICATE
        | {
            "perplexity": 44.61,
            "trained_perplexity": 43.2,
            "mean_score_difference": 0.0031,
            "greedy_agreement": 0.961,
            "accuracy": 0.402,
            "trained_accuracy": 0.405,
        },
        is_passed=True,
    )
    card = registry.card(version)
    assert all(
        part in card
        for part in (
            "| Perplexity | Mean KL (nats) | Same likeliest token |",
            "| 44.500 | 0.0021 | 95.80 % |",
            "mean score difference 0.0031",
            "(trained model's) 44.610 (43.200)",
            "accuracy (trained model's) 40.20 % (40.50 %); Same likeliest token 96.10 %",
        )
    )


def test_the_card_tells_a_task_that_was_asked_besides(registry: Registry) -> None:
    version = make(registry)
    assert "Task's figure" not in registry.card(version)
    figure: JsonObject = {"metric": "chrf", "value": 0.4217, "drop_points": 1.284, "interval": [0.4, 0.44]}
    task: JsonObject = {"task": "translation", "model": "en-fr:2", "dataset": "pairs:1", "metric": "chrf", "rows": 40}
    registry.add_variant(version, "openvino-int4", None, EVIDENCE | {"task": figure, "report": {"task": task}}, is_chosen=True)
    registry.add_certificate(version, "openvino-int4", CERTIFICATE | {"task": task | figure | {"trained_value": 0.434}}, is_passed=True)
    english, chinese = registry.card(version), registry.card(version, language="zh")
    for part in ("| Task's figure | Task's points lost |", "| 42.2 % | 1.28 |", "as en-fr:2 does it: chrF on 40 rows of pairs:1"):
        assert part in english
    assert "chrF 42.2 % (95 %: 40.0 % to 44.0 %; trained model: 43.4 %)" in english
    assert "pairs:1 的 40 行上 chrF 42.2 %" in chinese


def test_the_card_in_chinese(registry: Registry) -> None:
    card = registry.card(make(registry), language="zh-CN")
    for part in (
        "## 数据",
        "## 训练",
        "## 测试集评估",
        "## 变体",
        "## 证书",
        "## 来源",
        "## 局限",
        "已认证",
        "**通过**",
        "85.12 %",
        "尚无备注",
        "无标注文本（SHA-256）",
    ):
        assert part in card, part
    assert "## Data" not in card


def test_nothing_breaks_out_of_its_place(registry: Registry) -> None:
    card = registry.card(make(registry))
    assert "`'a' \\| <script>alert(1)</script> # Title`" in card  # within a code span, on one line
    assert card.count("<script>") == 1
    assert "\n# Title" not in card
    assert "`pos\\|x`" in card
    heads = [len(re.findall(r"(?<!\\)\|", line)) for line in card.splitlines() if line.startswith("|")]
    assert set(heads) == {3, 4, 5, 6, 8}


def test_an_empty_record_has_a_card_too(registry: Registry) -> None:
    version = registry.create_version(TEAM, "bare", "text-classification", manifest=Manifest(()), lineage={}, metrics={}, labels=("a",))
    for language in ("en", "zh"):
        assert registry.card(version, language=language).startswith("# bare:1\n")


def test_every_word_has_both_languages() -> None:
    assert all(english and chinese for english, chinese in [*_WORDS.values(), *LIMITS])
    assert word("train", "zh") == "train"


def test_long_notes(registry: Registry) -> None:
    make(registry)
    with pytest.raises(InvalidInput):
        registry.set_notes(TEAM, "m", "x" * 20_001)


def test_the_dataset_is_the_one_trained_on_whatever_is_added_afterwards(registry: Registry) -> None:
    version = make(registry)
    before = registry.card(version)
    registry.create_dataset_version(TEAM, "a-copy-of-the-rows", "text-classification", Manifest(()), {})
    assert registry.card(version) == before
    assert "**Dataset**: reviews-zh:1" in before


def test_a_dataset_of_that_name_with_other_rows_lends_no_counts(registry: Registry) -> None:
    make(registry)
    lineage: JsonObject = {"dataset": "reviews-zh:1", "dataset_digest": "0" * 64}
    version = registry.create_version(TEAM, "n", "text-classification", manifest=Manifest(()), lineage=lineage, metrics={}, labels=("a",))
    card = registry.card(version)
    assert "reviews-zh:1" in card and "0" * 64 in card
    assert "| Label | train |" not in card


@pytest.mark.parametrize(("language", "line"), [("en", "- **State**: published"), ("zh", "- **状态**: 已发布")])
def test_the_state_is_a_state_and_not_a_date(registry: Registry, language: str, line: str) -> None:
    version = registry.publish(make(registry))
    assert line in registry.card(version, language=language).splitlines()


@pytest.mark.parametrize(("language", "head"), [("en", "Warning"), ("zh", "注意")])
def test_few_rows_are_warned_of(registry: Registry, language: str, head: str) -> None:
    few, budget = few_test_rows(21), few_rows_for_budget(22, 0.5)
    metrics = METRICS | {"warnings": stored(few)}
    version = registry.create_version(TEAM, "few", "text-classification", manifest=Manifest(()), lineage={}, metrics=metrics, labels=("a",))
    registry.add_variant(version, "openvino-int8", None, {"report": {"warnings": stored(few, budget)}}, is_chosen=True)
    card = registry.card(version, language=language)
    assert few is not None and budget is not None
    for said in (few, budget):
        assert card.count(f"**{head}**: {said.text(language)}") == 1
