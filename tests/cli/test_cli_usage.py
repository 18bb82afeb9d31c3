"""A wrong command line is told in the language in force, with a next step, and as one JSON document under `--json`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

CHINESE = re.compile(r"[\u4e00-\u9fff]")
WRONG = {
    "unknown option": (("train", "--datset", "x"), "no_such_option", ("'--datset'", "--dataset", "hanlin train --help")),
    "unknown short option": (("-x",), "option_unknown", ("'-x'", "hanlin --help")),
    "unknown command": (("jbo", "list"), "no_such_command", ("'jbo'", "job", "hanlin --help")),
    "command that resembles none": (("bogus",), "command_unknown", ("'bogus'", "hanlin --help")),
    "command of a group that is not named": (("import", "x"), "no_such_command", ("'import'", "model import", "hanlin --help")),
    "unknown command of a group": (("job", "lst"), "no_such_command", ("'lst'", "list", "hanlin job --help")),
    "missing option": (("train",), "parameter_missing", ("--dataset", "hanlin train --help")),
    "missing argument": (("dataset", "add", "reviews"), "parameter_missing", ("FILE", "hanlin dataset add --help")),
    "missing value": (("train", "--dataset"), "option_without_value", ("--dataset", "hanlin train --help")),
    "value of a flag": (("job", "list", "--json=x"), "flag_with_value", ("--json", "hanlin job list --help")),
    "too many": (("job", "show", "a", "b"), "extra_arguments", ("b", "hanlin job show --help")),
    "choice": (("compress", "m", "--target", "speed"), "value_not_a_choice", ("--target", "'speed'", "throughput, latency, memory")),
    "choice of a list": (
        ("key", "create", "--name", "x", "--scope", "wrong"),
        "value_not_a_choice",
        ("--scope", "'wrong'", "predict, read"),
    ),
    "not a number": (("compress", "m", "--budget", "much"), "value_not_a_number", ("--budget", "'much'")),
    "not whole": (("job", "list", "--limit", "1.5"), "value_not_whole", ("--limit", "'1.5'")),
    "too large": (("job", "list", "--limit", "501"), "value_out_of_range", ("--limit", "'501'", "1 … 500")),
    "too small": (("train", "--seed", "-1"), "value_out_of_range", ("--seed", "'-1'", "≥ 0")),
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_told_in_the_readers_language(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, language: str
) -> None:
    monkeypatch.setenv("HANLIN_LANG", language)
    arguments, _, words = WRONG[name]
    done = run(*arguments)
    assert (done.status, done.out) == (2, "")
    for word in words:
        assert word in done.err
    told, step = done.err.rstrip("\n").split("\n")
    for line in (told, step):
        assert bool(CHINESE.search(line)) == (language == "zh"), line
    assert "→" in step


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_one_json_document(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, language: str) -> None:
    monkeypatch.setenv("HANLIN_LANG", language)
    arguments, code, _ = WRONG[name]
    if name == "missing value":
        arguments = ("train", "--json", "--dataset")
    done = run(*arguments, *(() if "--json" in arguments else ("--json",)))
    assert done.status == 2
    error = done.json()["error"]
    assert (error["code"], error["family"]) == (code, "InvalidInput")
    assert bool(CHINESE.search(error["message"] + error["next"])) == (language == "zh")


def test_a_group_without_a_command_shows_its_help(run: Callable[..., Any]) -> None:
    done = run("job")
    assert done.status == 2
    assert "hanlin job [OPTIONS] COMMAND" in done.err + done.out


def test_help_and_version_end_well(run: Callable[..., Any]) -> None:
    assert run("--version").status == 0
    assert "--dataset" in run("train", "--help").out
