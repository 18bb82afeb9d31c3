"""What people are told besides figures: columns taken, nothing new, too few rows, a cancel under way."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from hanlin.cli.answers import show
from hanlin.cli.failures import report
from hanlin.cli.shape import figure
from hanlin.client import Dataset, DatasetVersion
from hanlin.client.sync import Datasets
from hanlin.errors import PermissionDenied
from hanlin.tasks.base import TASKS
from hanlin.tasks.few_rows import few_rows_for_budget, few_test_rows, stored


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n好,pos\n坏,neg\n", encoding="utf-8")
    return path


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest, run, monkeypatch: pytest.MonkeyPatch) -> str:
    """The terminal's language, set after `run` chose one."""
    monkeypatch.setenv("HANLIN_LANG", request.param)
    return str(request.param)


@pytest.mark.usefixtures("world")
def test_the_report_names_the_columns_that_were_taken(run, reviews: Path, language: str) -> None:
    words = {"en": "columns taken: text from “review”, label from “y”", "zh": "所用的列：text 取自“review”，label 取自“y”"}[language]
    assert words in run("dataset", "add", "reviews-zh", str(reviews)).out
    assert words in run("dataset", "show", "reviews-zh").out


def test_the_same_rows_again_are_said_to_be_unchanged(run, world, reviews: Path, language: str) -> None:
    world.results["ingest"] = {"dataset": "reviews-zh", "version": 4, "reused": True}
    done = run("dataset", "add", "reviews-zh", str(reviews))
    assert done.status == 0, done.err
    assert {"en": "reviews-zh:4 is unchanged", "zh": "reviews-zh:4 没有变化"}[language] in done.out
    assert len(done.out.splitlines()) == 1, "no report of what is known already"


def test_few_rows_are_warned_of_beside_the_figures(run, world, standin, language: str) -> None:
    few, budget = few_test_rows(21), few_rows_for_budget(22, 0.5)
    assert few is not None and budget is not None
    head = {"en": "Warning: ", "zh": "注意："}[language]
    world.results["evaluate"] = {"metrics": standin.METRICS | {"warnings": stored(few)}}
    assert head + few.text(language) in run("evaluate", "sentiment-zh", "--dataset", "reviews-zh").out.replace("\n", " ")
    report = standin.COMPRESSION | {"warnings": stored(budget, few)}
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": report}
    told = run("compress", "sentiment-zh", "--budget", "0.5").out.replace("\n", " ")
    assert told.count(head) == 2
    assert head + few.text(language) in told


def test_a_check_is_told_in_both_languages_and_as_json(run, world, language: str) -> None:
    world.results["check"] = {"dataset": "reviews-zh", "version": 3}
    row = {"split": "test", "row": 12, "text": "房间很脏", "answer": "pos"}
    world.results["found"] = {
        "rows": 900, "likeness": 0.7,
        "twins": {
            "rows": 31, "groups": 14, "largest_group": 9, "other_labels": 2, "leaks": {"total": 5, "validation": 2, "test": 3},
            "pairs": [{"likeness": 0.87, "first": row, "second": {**row, "row": 40}}],
        },
        "doubts": {"rows": 900, "suspects": 43, "right": 0.8347, "plain": 0.5187, "first": [{**row, "given": "pos", "seems": "neg"}]},
        "characters": {"p50": 29}, "tokens": {"p50": 27, "limit": 512, "cut": 9, "by": "units"},
        "languages": [{"language": "zh", "rows": 891}],
        "labels": [{"label": "pos", "rows": 450, "characters": {"p50": 29, "p95": 180}, "cut": 1, "languages": []}],
    }  # fmt: skip
    told = run("dataset", "check", "reviews-zh", "--likeness", "0.7").out
    words = {"en": ("in 14 groups", "validation 2, test 3", "guesses 83.5 % right"), "zh": ("共 14 组", "验证 2，测试 3", "猜对 83.5 %")}
    for shown in (*words[language], "zh 99.0 %", "0.87", "房间很脏", "neg", "29 / 180", "43"):
        assert shown in told.replace("\n", "")
    assert json.loads(run("dataset", "check", "reviews-zh:3", "--json").out)["found"]["doubts"]["suspects"] == 43
    world.results["found"]["doubts"] = {"rows": 900, "suspects": 0, "right": 0.5, "plain": 0.5187, "first": []}
    assert "51.9 %" in run("dataset", "check", "reviews-zh").out


@pytest.mark.parametrize(
    ("state", "english", "chinese"),
    [
        ("running", "job job-1 is being cancelled", "正在取消作业 job-1"),
        ("cancelled", "job job-1 is cancelled", "作业 job-1 已取消"),
        ("succeeded", "job job-1 had succeeded before", "作业 job-1 此前已成功结束"),
        ("failed", "job job-1 had failed before", "作业 job-1 此前已失败"),
    ],
)
def test_what_became_of_a_cancel_is_said(run, world, state: str, english: str, chinese: str) -> None:
    world.cancel_state = state
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait")
    with pytest.MonkeyPatch.context() as patch:
        for language, words in (("en", english), ("zh", chinese)):
            patch.setenv("HANLIN_LANG", language)
            assert words in run("job", "cancel", "job-1").out


def test_nothing_lost_has_no_minus() -> None:
    assert [figure(value) for value in (-0.0, -1e-14, -0.25, 1234)] == ["0.00", "0.00", "-0.25", "1,234"]


def test_a_variant_chosen_for_being_closest_is_said_to_be(run, world, standin, language: str) -> None:
    rows = [dict(row) for row in standin.COMPRESSION["variants"]]
    rows.append(dict(rows[1]) | {"variant": "openvino-bf16", "latency_ms": {"p50": 1.6, "p99": 2.1}, "max_score_difference": 0.001})
    near = standin.COMPRESSION | {"variants": rows, "chosen": "openvino-bf16"}
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-bf16", "report": near}
    told = run("compress", "sentiment-zh", "--budget", "0.5").out.replace("\n", "")
    assert {"en": "within a tenth of the best (openvino-int8)", "zh": "最佳变体（openvino-int8）相差不到十分之一"}[language] in told
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    told = run("compress", "sentiment-zh", "--budget", "0.5").out
    assert {"en": "is the best for latency", "zh": "的延迟最佳"}[language] in told


def test_perplexities_stand_in_the_table_where_there_are_some(run, world, standin, language: str) -> None:
    word, mean = {"en": ("perplexity", "mean KL"), "zh": ("困惑度", "平均 KL")}[language]
    result = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    world.results["compress"] = result
    assert word not in run("compress", "sentiment-zh", "--budget", "0.5").out
    rows = [
        row | {"perplexity": 43.2071 + number, "mean_score_difference": 0.00213, "greedy_agreement": 0.958}
        for number, row in enumerate(standin.COMPRESSION["variants"])
    ]
    world.results["compress"] = result | {"report": standin.COMPRESSION | {"variants": rows}}
    told = run("compress", "sentiment-zh", "--budget", "0.5").out
    assert all(part in told for part in (word, mean, "43.207", "44.207", "0.0021", "95.8"))


def test_a_task_and_bounds_stand_beside_the_table_where_there_are_some(run, world, standin, language: str) -> None:
    result = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    words = {"en": ("task figure", "mean KL at most 0.05", "same likeliest token at least 90.0 %", "40 rows of pairs:1", "2.5 points"),
             "zh": ("任务指标", "平均 KL 至多 0.05", "的比例至少 90.0 %", "pairs:1 的 40 行", "预算 2.5 个百分点")}[language]  # fmt: skip
    world.results["compress"] = result
    plain = run("compress", "sentiment-zh").out
    assert not any(part in plain for part in words)
    rows = [row | {"task": {"metric": "chrf", "value": 0.4217, "drop_points": 1.284}} for row in standin.COMPRESSION["variants"]]
    task = {"task": "translation", "model": "en-fr:2", "dataset": "pairs:1", "metric": "chrf", "rows": 40, "budget": 2.5}
    more = {"variants": rows, "task": task, "max_kl": 0.05, "min_greedy_agreement": 0.9}
    world.results["compress"] = result | {"report": standin.COMPRESSION | more}
    told = run("compress", "sentiment-zh").out
    assert all(part in told for part in (*words, "chrF", "en-fr:2", "42.2 %", "1.28"))


def test_a_list_of_jobs_says_what_each_is_about_and_no_share_of_what_is_done(run, world, standin, language: str) -> None:
    run("train", "--dataset", "reviews-zh", "--model", "lstm", "--name", "sentiment-zh")
    listed = run("job", "list").out
    assert "sentiment-zh" in listed
    assert {"en": "about", "zh": "对象"}[language] in listed
    assert " 0 %" not in listed


@pytest.mark.parametrize("is_set", [True, False])
def test_a_refusal_says_when_the_key_came_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str, is_set: bool
) -> None:
    monkeypatch.setenv("HANLIN_KEY", "hl_other" if is_set else "")
    assert report(PermissionDenied("scope_missing", scope="read")) == 3
    words = {"en": "The key came from HANLIN_KEY", "zh": "密钥取自环境变量 HANLIN_KEY"}[language]
    assert (words in capsys.readouterr().err) is is_set


@pytest.mark.usefixtures("world")
def test_a_certificate_without_labelled_rows_gets_no_plain_tick(run, standin, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"en": "agreement only", "zh": "仅一致性"}[language]
    assert words not in run("model", "list").out + run("model", "show", "sentiment-zh").out
    model = sys.modules[f"{standin.__name__}.records"].MODEL
    monkeypatch.setitem(model["versions"][0]["certificates"][0]["report"], "is_agreement_only", True)
    assert words in run("model", "list").out
    assert words in run("model", "show", "sentiment-zh").out


@pytest.mark.usefixtures("world")
def test_rows_without_labels_are_counted_by_split(run, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    report = {"rows": {"train": 80, "validation": 12, "test": 8}, "rows_kept": 100, "rows_read": 100, "labels": {}}
    versions = [DatasetVersion(number=1, rows=100, digest="0" * 64, report=report)]
    monkeypatch.setattr(Datasets, "get", lambda _, name: Dataset(name=name, task="translation", versions=versions))
    out = run("dataset", "show", "pairs").out
    head, split = {"en": ("split", "validation"), "zh": ("划分", "验证")}[language]
    assert re.search(rf"{head}.*\n(.*\n)*.*{split}\s+12\s+12\.0 %", out), out
    assert {"en": "label", "zh": "标签"}[language] not in out


def test_a_job_tells_its_options_and_what_goes_on_from_it(run, world, language: str) -> None:
    world.results["train"] = {"model": "sentiment-zh", "version": 1}
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--epochs", "3", "--set", "rates=[1,2]", "--no-wait")
    next_step = {"en": "next: hanlin compress sentiment-zh:1", "zh": "下一步：hanlin compress sentiment-zh:1"}[language]
    assert next_step in run("job", "wait", "job-1").out
    shown = run("job", "show", "job-1").out
    options = shown.partition({"en": "options", "zh": "选项"}[language])[2]
    assert re.search(r"epochs\s+3", options)
    assert re.search(r"rates\s+\[1, 2\]", options)
    assert re.search({"en": r"publish\s+yes", "zh": r"发布\s+是"}[language], shown)


@pytest.mark.usefixtures("world")
def test_the_id_of_an_endpoint_is_no_column(run, language: str) -> None:
    out = run("endpoint", "show", "sentiment").out
    assert {"en": "id column", "zh": "标识列"}[language] not in out
    assert re.search({"en": r"(?m)^\W*id\b", "zh": r"(?m)^\W*编号"}[language], out), out


def test_a_tagger_that_finds_nothing_says_so(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for language, words in (("en", "nothing found"), ("zh", "未找到")):
        monkeypatch.setenv("HANLIN_LANG", language)
        show(["no names here", "Ada"], [[], [{"entity_group": "PER", "word": "Ada", "score": 0.9, "start": 0, "end": 3}]])
        assert [words in line for line in capsys.readouterr().out.splitlines() if "names" in line or "Ada" in line] == [True, False]


@pytest.mark.usefixtures("world")
def test_an_option_for_another_task_is_named(run) -> None:
    for more, needed in ((["--query", "y"], "reranking"), (["--question", "y", "--documents"], "question-answering")):
        done = run("predict", "sentiment", "x", *more)
        assert done.status == 2
        words = f"{more[0]} is for endpoints of the task {needed}; the task of sentiment is text-classification"
        assert words in done.err.replace("\n", " ")


def test_the_time_of_a_job_is_in_the_readers_words(run, world, language: str) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait")
    world.jobs["job-1"] |= {"state": "succeeded", "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:01:13Z"}
    world.jobs["job-1"]["result"] = {"state": "published"}
    shown = run("job", "show", "job-1").out
    assert {"en": "1 min 13 s", "zh": "1 分 13 秒"}[language] in shown
    assert re.search({"en": r"state\s+published", "zh": r"状态\s+已发布"}[language], shown)


TOLD = {
    "semantic-parsing": ["set_light", "area=kitchen  brightness=50  domain=light"],
    "semantic-role-labelling": ["wrote", "ARG0 Ada  ARG1 a letter"],
    "text-to-sql": ["SELECT COUNT(*) FROM books WHERE genre = 'history'"],
}


@pytest.mark.parametrize("task", TOLD)
def test_meanings_frames_and_queries_have_tables_of_their_own(task: str, capsys, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    show(["a text"], [TASKS.get(task).example["response"]])
    out = capsys.readouterr().out
    assert all(word in out for word in TOLD[task]), out
    assert {"en": "label", "zh": "标签"}[language] not in out


def test_the_sense_of_a_predicate_stands_behind_it(capsys) -> None:
    frame = {"predicate": "wrote", "start": 4, "end": 9, "score": 0.9, "arguments": []}
    show(["Ada wrote.", "Ada wrote."], [[frame | {"sense": "write.01"}], [frame]])
    assert [line.count("wrote (write.01)") for line in capsys.readouterr().out.splitlines() if "0.9" in line or "90" in line] == [1, 0]
