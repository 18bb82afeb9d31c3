"""What qualifies the figures of a version: warnings, agreement only, and why its curve ends elsewhere than its headline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanlin.console.reading import read_asked, read_certificate, read_curve, read_variant, read_warnings
from hanlin.console.views import CurveView
from hanlin.messages.said import Said
from hanlin.tasks.few_rows import few_rows_for_budget, few_test_rows, stored
from hanlin.types import utc_now

PATH = "/console/models/sentiment-zh/2"
CURVE = CurveView(True, "accuracy", 0.8411, 0.8598)


@pytest.fixture
def shown(member, port):
    """The page of a changed version."""

    def show(language: str = "en", **changes: object) -> str:
        version = replace(port.models[0].versions[0], **changes)
        port.models[0] = replace(port.models[0], versions=(version,))
        return member.get(PATH, headers={"accept-language": language}).text

    return show


@pytest.mark.parametrize(
    ("language", "first", "second"), [("en", "only 50 test rows", "budget is 0.5"), ("zh", "测试数据只有 50 行", "预算为 0.5")]
)
def test_warnings_are_told_beside_what_they_qualify(shown, language: str, first: str, second: str) -> None:
    page = shown(language, warnings=(few_test_rows(50),), search_warnings=(few_rows_for_budget(60, 0.5),))
    figures, report, certificate = (page.index(mark) for mark in ('class="figures"', 'id="variants"', 'class="certificate"'))
    assert figures < page.index(first) < report < page.index(second) < certificate


def test_warnings_of_its_rows_are_told_once(shown, port) -> None:
    port.datasets[0] = replace(port.datasets[0], versions=(replace(port.datasets[0].versions[1], warnings=(few_test_rows(61),)),))
    page = shown(warnings=(few_test_rows(50),))
    assert ("only 50 test rows" in page, "only 61 test rows" in page) == (True, False)
    assert "only 61 test rows" in shown(warnings=())


def test_what_a_dataset_is_warned_of_by_itself_stays_with_it(shown, port) -> None:
    gone = Said("labels_gone", {"former": "reviews-zh:0", "gone": "mixed"})
    port.datasets[0] = replace(port.datasets[0], versions=(replace(port.datasets[0].versions[1], warnings=(gone,)),))
    assert gone.text("en") not in shown(warnings=())


def test_without_warnings_there_is_no_box(shown, port) -> None:
    port.datasets = []
    assert 'class="warnings"' not in shown()


def test_what_two_reports_say_is_read_once() -> None:
    reports = [
        {"warnings": stored(few_test_rows(10))},
        {"warnings": stored(few_test_rows(10), few_rows_for_budget(9, 1.0))},
        {"warnings": [3]},
    ]
    assert [said.code for said in read_warnings(*reports)] == ["few_test_rows", "few_rows_for_budget"]


@pytest.mark.parametrize(("language", "words"), [("en", "Agreement only"), ("zh", "仅一致性")])
def test_a_certificate_without_labelled_rows_says_so(shown, port, language: str, words: str) -> None:
    certificate = read_certificate("torch-fp32", {"is_agreement_only": True}, is_passed=True, created_at=utc_now())
    assert words in shown(language, certificates=(certificate,))
    assert words not in shown(language, certificates=(replace(certificate, is_agreement_only=False),))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Perplexity", "Mean KL", "trained model: 43.2", "Mean difference", "Same likeliest token")),
        ("zh", ("困惑度", "平均 KL", "原模型：43.2", "平均差异", "最可能 token 相同")),
    ],
)
def test_perplexities_are_shown_where_there_are_some(shown, port, language: str, words: tuple[str, ...]) -> None:
    assert words[0] not in shown(language)
    variants = [
        read_variant(
            name,
            {"perplexity": size, "mean_score_difference": 0.0021, "greedy_agreement": 0.958, "latency_ms": {"p50": 1.0}},
            is_chosen=False,
            size_bytes=None,
        )
        for name, size in (("torch-fp32", 43.2), ("a-int8", 44.5))
    ]
    report = {"perplexity": 44.61, "trained_perplexity": 43.2, "mean_score_difference": 0.0031}
    report |= {"greedy_agreement": 0.9612, "accuracy": 0.4021, "trained_accuracy": 0.405}
    certificate = read_certificate("a-int8", report, is_passed=True, created_at=utc_now())
    page = shown(language, variants=tuple(variants), certificates=(certificate,))
    assert all(part in page for part in (*words, "44.500", "44.610", "0.0021", "0.0031", "95.8", "96.12", "40.21", "40.50"))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Task&#39;s loss, points", "Mean KL: at most 0.05 nats.", "at least 90.0", "40 rows of pairs:1", "trained model: 43.4 %")),
        ("zh", ("任务损失（百分点）", "平均 KL 至多 0.05 奈特", "至少 90.0", "pairs:1 的 40 行", "原模型：43.4 %")),
    ],
)
def test_a_task_and_bounds_are_shown_where_there_are_some(shown, port, language: str, words: tuple[str, ...]) -> None:
    figure = {"metric": "chrf", "value": 0.4217, "drop_points": 1.284}
    evidence = {"task": figure, "latency_ms": {"p50": 1.0}}
    task = {"task": "translation", "model": "en-fr:2", "dataset": "pairs:1", "metric": "chrf", "rows": 40, "budget": 2.5}
    report = {"task": task | figure | {"interval": [0.4, 0.44], "trained_value": 0.434}}
    certificate = read_certificate("a-int8", report, is_passed=True, created_at=utc_now())
    variants = [read_variant(name, each, is_chosen=False, size_bytes=None) for name, each in (("torch-fp32", {}), ("a-int8", evidence))]
    page = shown(
        language, variants=tuple(variants), certificates=(certificate,), budget=0.5, max_kl=0.05, min_greedy_agreement=0.9,
        task_asked=read_asked({"task": task}),
    )  # fmt: skip
    assert all(part in page for part in (*words, "chrF", "en-fr:2", "42.2", "1.28", "2.5"))
    assert read_asked({}) == {}
    assert read_certificate("a", {"task": {"metric": "chrf"}}, is_passed=True, created_at=utc_now()).task == {}


@pytest.mark.parametrize(
    ("curve", "english", "chinese"),
    [
        (CURVE, ("accuracy of the weights kept", "84.1", "86.0"), ("84.1", "86.0")),
        (CurveView(True, "loss", 0.412, 0.3876), ("loss of the weights kept: 0.412", "0.388"), ("损失为 0.412", "0.388")),
        (CurveView(True, "accuracy"), ("network with the linear road beside it",), ("线性部分一同",)),
        (CurveView(False, "macro_f1", 0.8, 0.8), ("weights with the best macro F1",), ("宏平均 F1最佳",)),
    ],
)
def test_the_line_below_the_curve(shown, curve: CurveView, english: tuple[str, ...], chinese: tuple[str, ...]) -> None:
    for language, words in (("en", english), ("zh", chinese)):
        page = shown(language, curve=curve)
        line = page[page.index("pictures/curve.svg") :].partition("</section>")[0]
        for word in words:
            assert word in line


def test_an_imported_version_has_no_line(shown) -> None:
    page = shown(curve=None)
    assert "<p" not in page[page.index("pictures/curve.svg") :].partition("</section>")[0]


@pytest.mark.parametrize(
    ("training", "config", "found"),
    [
        ({"best": 0.9, "network_best": 0.8}, {"wide": True, "metric": "accuracy"}, CurveView(True, "accuracy", 0.8, 0.9)),
        ({"best": 0.9, "network_best": 0.9}, {"wide": True, "metric": "accuracy"}, CurveView(False, "accuracy", 0.9, 0.9)),
        ({"best": 0.9}, {"wide": True, "metric": "loss"}, CurveView(True, "loss", None, 0.9)),
        ({"best": 0.9, "network_best": 0.9}, {"wide": False}, CurveView(False, "", 0.9, 0.9)),
        ({}, {"wide": True}, None),
    ],
)
def test_the_lineage_tells_how_curve_and_headline_relate(training: dict, config: dict, found: CurveView | None) -> None:
    assert read_curve({"training": training, "config": config}) == found


def test_what_an_import_assumed_is_told(shown) -> None:
    assert "normalised mean of its tokens" in shown(warnings=(Said("pooling_assumed"),))
