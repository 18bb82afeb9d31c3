"""The pages of datasets over the fake platform, and the stored report behind them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hanlin.console.pages.datasets import SHOWN_LABELS, stack
from hanlin.console.reading_check import read_check
from hanlin.console.reading_data import read_dataset_version
from hanlin.console.views_data import DatasetView, Found, LabelRows, Place
from hanlin.registry.values import DatasetVersion
from hanlin.storage.manifest import Manifest
from hanlin.types import Digest, JsonObject, TeamId

PATH = "/console/datasets/reviews-zh"


def test_the_list_shows_the_newest_version(member) -> None:
    page = member.get("/console/datasets").text
    for words in (f'href="{PATH}/2"', "12\u202f000", "2 labels", "1 trained on it"):
        assert words in page


def test_a_dataset_lists_its_versions(member) -> None:
    page = member.get(PATH).text
    for words in (f'href="{PATH}/2"', f'href="{PATH}/1"', "12\u202f049", "600"):
        assert words in page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Conflicting labels", "7 rows left out", "the text is missing", "Train 3\u202f600", "of 12\u202f049 read")),
        ("zh", ("标签冲突", "舍去 7 行", "缺少文本", "训练 3\u202f600", "共读取 12\u202f049 行")),
    ],
)
def test_a_version_shows_all_that_reading_found(member, language: str, words: tuple[str, ...]) -> None:
    page = member.get(f"{PATH}/2", headers={"accept-language": language}).text
    for shown in (*words, "hotels.csv:77", "films.csv:9", "gb18030", "61.7", "480", 'href="/console/models/sentiment-zh/2"', "9f2c61d0"):
        assert shown in page


FOUND: JsonObject = {
    "rows": 12_000, "likeness": 0.7,
    "twins": {
        "rows": 31, "groups": 14, "largest_group": 9, "other_labels": 2, "leaks": {"total": 5, "validation": 2, "test": 3},
        "pairs": [{
            "likeness": 0.8712, "first": {"split": "train", "row": 1204, "text": "早餐一般 <b>"},
            "second": {"split": "test", "row": 7, "text": "早餐很一般"},
        }],
    },
    "doubts": {
        "rows": 12_000, "suspects": 431, "right": 0.8347, "plain": 0.5187,
        "first": [{"split": "train", "row": 88, "text": "房间很脏", "given": "pos", "seems": "neg"}],
    },
    "tokens": {
        "limit": 40, "cut": 61, "by": "units",
        "bars": [{"up_to": 20, "rows": 9000}, {"up_to": 40, "rows": 2939}, {"up_to": 0, "rows": 61}],
    },
    "languages": [{"language": "zh", "rows": 11_880}, {"language": "und-Latn", "rows": 120}],
    "labels": [{"label": "pos", "rows": 7400, "characters": {"p50": 29, "p95": 180}, "cut": 12, "languages": []}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            (
                "Near-twins",
                "14 groups, the largest of 9",
                "83.5\u202f%",
                "leak",
                "Train 1\u202f204",
                "Latin letters",
                "&gt; 40",
                "99.0\u202f%",
            ),
        ),
        ("zh", ("近似重复", "14 组，最大一组 9 行", "83.5\u202f%", "泄漏", "训练 1\u202f204", "拉丁字母", "&gt; 40", "99.0\u202f%")),
    ],
)
def test_a_version_shows_what_a_check_found(member, port, language: str, words: tuple[str, ...]) -> None:
    whole, small = port.datasets[0].versions
    port.datasets[0] = replace(port.datasets[0], versions=(replace(whole, check=read_check(FOUND)), small))
    page = member.get(f"{PATH}/2", headers={"accept-language": language}).text
    for shown in (*words, "431", "早餐一般 &lt;b&gt;", "房间很脏", "29 / 180", 'class="bar-over"'):
        assert shown in page
    assert "hanlin dataset check" not in page
    assert "hanlin dataset check reviews-zh:1" in member.get(f"{PATH}/1").text


@pytest.mark.parametrize(
    "found", [None, {}, {"twins": 7, "doubts": [], "tokens": "x", "languages": [3], "labels": {"a": 1}, "rows": "many"}]
)
def test_odd_findings_are_left_out(found) -> None:
    view = read_check(found)
    assert view is None or (view.pairs, view.doubts, view.bars, view.languages, view.labels) == ((), None, (), (), ())


def test_a_clean_small_version_says_so_and_how_to_go_on(member) -> None:
    page = member.get(f"{PATH}/1").text
    for words in ("Nothing was wrong", "only 61 test rows", "--dataset reviews-zh:1"):
        assert words in page
    assert "Length of texts" not in page


def test_without_a_dataset_the_next_command_is_named(member, port) -> None:
    port.datasets = []
    assert "hanlin dataset add" in member.get("/console/datasets").text


@pytest.mark.parametrize("path", ["/console/datasets/none", f"{PATH}/9", "/console/datasets/..%2f"])
def test_missing_datasets_answer_404(member, path: str) -> None:
    assert member.get(path).status_code == 404


def test_lineage_leads_to_the_dataset(member) -> None:
    assert f'<a href="{PATH}/1">' in member.get("/console/models/sentiment-zh/2").text


@pytest.mark.parametrize("reference", ["../x:1", "gone:1", "reviews-zh:7", "reviews-zh:2", "reviews-zh"])
def test_lineage_leads_nowhere_where_the_rows_are_gone_or_others(member, port, reference: str) -> None:
    version = replace(port.models[0].versions[0], lineage=(("dataset", reference), ("dataset_digest", "11" * 32)))
    port.models[0] = replace(port.models[0], versions=(version,))
    page = member.get("/console/models/sentiment-zh/2").text
    assert f'<dd class="mono">{reference}</dd>' in page


@pytest.mark.parametrize(
    ("kind", "result", "is_shown"),
    [
        ("ingest", {"dataset": "reviews-zh", "version": 2}, True), ("ingest", {"dataset": "../x", "version": 2}, False),
        ("ingest", {"dataset": "reviews-zh", "version": "2"}, False), ("evaluate", {"dataset": "reviews-zh", "version": 2}, False),
    ],
)  # fmt: skip
def test_a_job_that_read_rows_leads_to_them(member, port, kind: str, result: dict, is_shown: bool) -> None:
    port.jobs = [replace(port.jobs[0], kind=kind, result=result)]
    assert (f'href="{PATH}/2"' in member.get("/console/jobs/job-6").text) is is_shown


def test_many_labels_are_cut_to_the_largest() -> None:
    labels = tuple(LabelRows(f"l{place}", (100 - place, 0, 0)) for place in range(50))
    bars = stack(labels)
    assert (len(bars), bars[0][2][0]) == (SHOWN_LABELS, (0.0, 100.0))
    assert stack((LabelRows("empty", (0, 0, 0)),))[0][1:] == (0.0, [(0.0, 0.0)] * 3)


def test_foreign_names_are_inert(member, port) -> None:
    evil = '"><script>alert(1)</script>'
    newest = port.datasets[0].versions[0]
    place = Place(evil, 1, evil, Place(evil, 2, evil), (("en", evil),))
    version = replace(newest, task=evil, labels=(LabelRows(evil, (1, 1, 1)),), found=(Found("leaks", 1, (place,)),), facts=((evil, evil),))
    port.datasets = [DatasetView("reviews-zh", evil, (version,))]
    for path in ("/console/datasets", PATH, f"{PATH}/2"):
        assert "<script>alert" not in member.get(path).text


def stored(report: dict) -> DatasetVersion:
    return DatasetVersion(
        TeamId("t"), "r", "text-classification", 1, Digest("d" * 64), Manifest(()), report, datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_a_stored_report_is_read_whole() -> None:
    leak = {"file": "a.csv", "line": 3, "split": "test", "twin": {"file": "b.csv", "line": 4}, "twin_split": "train"}
    bad = {"file": "a.csv", "line": 9, "problem": "no text", "problem_zh": "缺少文本", "code": "text_missing"}
    found = read_dataset_version(
        stored(
            {
                "rows_read": 12, "rows_kept": 9, "rows": {"train": 7, "validation": 1, "test": 1}, "duplicates": 2, "conflict_rows": 0,
                "conflicts": {"total": 0, "first": []}, "leaks": {"total": 1, "first": [leak]}, "bad_rows": {"total": 1, "first": [bad]},
                "labels": {"few": {"train": 1, "validation": 0, "test": 0}, "many": {"train": 6, "validation": 1, "test": 1}},
                "lengths": {"p5": 2, "p50": 5, "p95": 9, "p99": 9, "max": 11}, "encoding": "utf-8", "moved": 0,
                "warnings": [{"code": "few_test_rows", "params": {"rows": 1, "points": "100.0"}}],
            }
        ),
        (),
    )  # fmt: skip
    assert (found.rows_read, found.rows_kept, found.splits) == (12, 9, (7, 1, 1))
    assert found.labels == (LabelRows("many", (6, 1, 1)), LabelRows("few", (1, 0, 0)))
    assert [(item.kind, item.total) for item in found.found] == [("duplicates", 2), ("leaks", 1), ("bad_rows", 1)]
    assert found.found[1].places == (Place("a.csv", 3, "test", Place("b.csv", 4, "train"), (("en", ""), ("zh", ""))),)
    assert found.found[2].places[0].problem_in("zh") == "缺少文本"
    assert found.lengths[-1] == ("max", 11)
    assert [said.code for said in found.warnings] == ["few_test_rows"]


@pytest.mark.parametrize(
    "report", [{}, {"labels": [1], "lengths": "x", "rows": {"train": 3}, "leaks": [], "duplicates": "many", "warnings": {}}]
)
def test_an_odd_report_is_empty(report: dict) -> None:
    found = read_dataset_version(stored(report), ())
    assert (found.rows_kept, found.splits, found.labels, found.lengths, found.found, found.warnings) == (None, (), (), (), (), ())
