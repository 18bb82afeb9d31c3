"""In Chinese the tables are Chinese too: states, kinds of job, metrics, evidence, lineage. JSON stays as it is."""

from __future__ import annotations

import re

import pytest

from hanlin import errors
from hanlin.cli import words
from hanlin.cli.waiting import figures
from hanlin.console import words as console


@pytest.fixture(autouse=True)
def chinese(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_LANG", "zh")


def test_a_model_is_shown_in_chinese(run, world) -> None:
    shown = run("model", "show", "sentiment-zh@production").out
    assert "已发布" in shown
    assert "标签一致率 99.5 %" in shown
    assert not re.search(r"published|candidate|label agreement|code_version|dataset_digest|\bok\b", shown)
    assert "候选" in run("model", "list").out


def test_jobs_and_endpoints_are_shown_in_chinese(run, world) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait")
    listed = run("job", "list").out
    assert re.search(r"job-1\s+训练\s+n\s+排队中", listed)
    run("job", "wait", "job-1")
    shown = run("job", "show", "job-1").out
    assert "完成" in shown
    assert re.search(r"数据集\s+d\b", shown)
    assert run("job", "show", "job-1", "--json").json()["state"] == "succeeded"
    assert "状态：就绪" in run("deploy", "sentiment-zh", "--endpoint", "sentiment").out
    assert "就绪" in run("endpoint", "list").out
    detail = run("endpoint", "show", "sentiment").out
    assert re.search(r"状态\s+就绪", detail)
    world.endpoint_settings |= {"replicas": 0, "idle_s": 0.0}
    assert re.search(r"休眠等待（秒）\s+仅在内存不足时", run("endpoint", "show", "sentiment").out)
    assert "准确率" in run("task", "list").out


def test_the_compression_report_is_in_chinese(run, world, standin) -> None:
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    out = run("compress", "sentiment-zh", "--budget", "0.5").out
    assert "超出预算" in out
    assert "的延迟最佳" in out
    assert not re.search(r"over budget|latency|\bok\b", out)


def test_live_figures_are_in_chinese() -> None:
    shown = figures({"loss": 0.5, "validation_macro_f1": 0.75, "tokens_per_s": 10.0})
    assert shown == "损失 0.5  验证宏平均 F1 0.75  词元/秒 10"
    assert figures({"a_new_one": 1.0}) == "a new one 1"


def test_an_end_is_told_in_chinese() -> None:
    assert errors.EngineFailed("job_ended_badly", job="j", state="failed").text("zh") == "作业 j 结束，状态：失败"


@pytest.mark.parametrize("section", ["state", "target", "lineage"])
def test_command_line_and_console_use_the_same_words(section: str) -> None:
    for key, (_, chinese) in words.table().items():
        if key.startswith(f"{section}.") and key in console.load_words("zh"):
            assert chinese == console.load_words("zh")[key]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["predict", "--help"], ["job", "--help"], ["job", "list", "--help"], []]
)
def test_help_pages_are_chinese_to_their_headings(run, arguments: list[str]) -> None:
    done = run(*arguments)
    page = done.out + done.err
    assert page.lstrip().startswith("用法：hanlin")
    assert "[选项]" in page.splitlines()[0]
    assert not re.search(r"\[OPTIONS\]|COMMAND|ARGS", page)
    assert "选项：" in page
    left = re.search(r"^(Usage|Options|Commands|Arguments)|required|default:|Show|Install|<[a-z]", page, flags=re.MULTILINE)
    assert left is None, left
