"""What the command line says about what cannot be: what was meant, and what to type next."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

import hanlin.cli.application  # noqa: F401  # all commands are loaded before any is patched: what they import from each other stays
from hanlin.cli.failures import EXIT_STATUS
from hanlin.cli.training import NETWORKS
from hanlin.errors import HanlinError, InvalidInput, NotFound
from hanlin.training.option_rules import SCRATCH_MODELS


@pytest.mark.parametrize(
    ("model", "refusal"),
    [("lsmt", NotFound("not_found", kind="model", name="'lsmt'")), ("LSTM", InvalidInput("invalid_model_reference", reference="'LSTM'"))],
)
def test_a_misspelt_network_is_told_with_the_one_meant(run, world, monkeypatch, model: str, refusal: HanlinError) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr("hanlin.cli.training.run_job", refuse)
    done = run("train", "--dataset", "d", "--model", model, "--name", "n")
    assert done.status == EXIT_STATUS[refusal.family]
    assert "did you mean lstm?" in done.err
    assert "hanlin model list" in done.err
    missing = run("train", "--dataset", "d", "--model", "gru", "--name", "n")
    assert "did you mean" not in missing.err, "another thing was missing"


def test_the_networks_of_the_help_are_those_there_are() -> None:
    assert set(NETWORKS) == set(SCRATCH_MODELS)


def test_a_text_too_long_names_the_option_of_the_command(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidInput("text_too_long", index=0, length=600, unit="tokens", limit=512)

    monkeypatch.setattr("hanlin.client.Hanlin.ask", refuse)
    done = run("predict", "sentiment", "x" * 600)
    assert (done.status, "--truncate" in done.err, "parameters" in done.err) == (2, True, False)
    error = json.loads(run("predict", "sentiment", "x" * 600, "--json").out)["error"]
    assert (error["code"], error["index"]) == ("text_too_long", 0)
    assert "--truncate" in error["next"]


def test_windows_that_failed_are_not_advised_again(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidInput("text_too_long", index=0, length=9000, unit="tokens", limit=8000)

    monkeypatch.setattr("hanlin.client.Hanlin.ask", refuse)
    failed = run("predict", "sentiment", "x", "--window").err
    assert ("--truncate" in failed, "--window" in failed) == (True, False)
    failed = run("predict", "sentiment", "x", "--truncate").err
    assert ("--truncate" in failed, "--window" in failed, "split it" in failed) == (False, False, True)


def test_texts_are_counted_from_one_over_all_calls(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ok"] * 65 + ["a\udcff"]
    assert "text 66 is not valid Unicode: a lone surrogate stands at character 1" in run("predict", "sentiment", *texts).err
    assert run("predict", "sentiment", *texts, "--json").json()["error"]["index"] == 65
    monkeypatch.setenv("HANLIN_LANG", "zh")
    assert "第 66 条文本不是有效的 Unicode" in run("predict", "sentiment", *texts).err


def test_where_no_server_was_ever_started_the_key_is_not_what_is_missing(run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HANLIN_URL", "HANLIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HANLIN_PORT", str(listener.getsockname()[1]))
        nobody = run("task", "list")
        assert (nobody.status, "no server answers at http://127.0.0.1:" in nobody.err, "hanlin up" in nobody.err) == (5, True, True)
        listener.listen()
        locked = run("task", "list")
        assert (locked.status, "no API key was found" in locked.err) == (3, True)


def test_bytes_that_are_no_text_are_told_by_their_place(run, world) -> None:
    done = run("predict", "sentiment", "ok", "a\udcff\udcfe")
    assert done.status == 2
    assert "text 2 is not valid Unicode: a lone surrogate stands at character 1" in done.err


def test_an_alias_in_chinese_is_refused_as_a_name(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "alias name '生产' is not allowed" in run("model", "promote", "sentiment-zh", "生产").err
    monkeypatch.setenv("HANLIN_LANG", "zh")
    assert run("model", "promote", "sentiment-zh", "生产").err.startswith("错误：别名名称 '生产' 不合规")


def test_the_shape_of_predictions_as_json_is_told_and_kept(run, world, tmp_path: Path) -> None:
    assert "--file however many lines it has, give a list of such lists" in " ".join(run("predict", "--help").out.split())
    (tmp_path / "one.txt").write_text("好\n", encoding="utf-8")
    assert isinstance(run("predict", "sentiment", "好", "--json").json()[0], dict)
    assert isinstance(run("predict", "sentiment", "--file", str(tmp_path / "one.txt"), "--json").json()[0], list)


def test_a_model_without_an_endpoint_is_told_how_to_get_one(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotFound("endpoint_not_found")

    monkeypatch.setattr("hanlin.client.Hanlin.ask", refuse)
    assert "hanlin deploy sentiment-zh --endpoint sentiment-zh" in run("predict", "sentiment-zh", "x").err
    assert "hanlin deploy" not in run("predict", "missing", "x").err


def test_a_bad_key_says_that_it_came_from_the_variable(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_KEY", "bad")
    assert "came from HANLIN_KEY" in run("model", "list").err


@pytest.mark.parametrize(
    ("language", "is_warned"), [("de", True), ("en_GB", False), ("zh", False), ("C", False), ("C.UTF-8", False), ("", False)]
)
def test_a_language_that_is_not_spoken_is_told_once(run, world, monkeypatch: pytest.MonkeyPatch, language: str, is_warned: bool) -> None:
    monkeypatch.setenv("HANLIN_LANG", language)
    assert run("task", "list").err.count("HANLIN_LANG") == is_warned


def test_a_job_that_made_a_version_ends_with_what_comes_next(run, world, standin) -> None:
    world.results["train"] = {"model": "sentiment-zh", "version": 1}
    trained = run("train", "--dataset", "d", "--model", "lstm", "--name", "sentiment-zh").out
    assert trained.splitlines()[-1].startswith("next: hanlin compress sentiment-zh:1")
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "report": standin.COMPRESSION}
    assert "next: hanlin deploy sentiment-zh:1" in run("compress", "sentiment-zh").out.splitlines()[-1]
    assert "next: hanlin model publish" in run("compress", "sentiment-zh", "--no-publish").out.splitlines()[-1]
