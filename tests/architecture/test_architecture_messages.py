"""Every error code has words in both languages, and every code in the catalogue is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hanlin import errors, messages
from hanlin.settings import load_settings
from hanlin.types import shorten

SOURCE = Path(__file__).parents[2] / "src" / "hanlin"
TEXTS = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
FAMILY = "|".join(errors.FAMILIES)
RAISED = {match.group(2): path for path, text in TEXTS.items() for match in re.finditer(rf"\b({FAMILY})\(\s*\"([a-z0-9_]+)\"", text)}
PLACEHOLDER = re.compile(r"{([a-z_]+)")
CODES = sorted(messages.catalogue())
QUOTED = {word for text in TEXTS.values() for word in re.findall(r'"([a-z0-9_]+)"', text)}


SAID = {match.group(1): path for path, text in TEXTS.items() for match in re.finditer(r"(?:\bmessage|_tick|\bSaid)\(\s*\"([^\"]+)\"", text)}


def test_every_code_that_is_raised_or_told_has_words() -> None:
    assert {"training_on", "searching", "variants_loaded"} <= SAID.keys()
    missing = {code: str(path.relative_to(SOURCE)) for code, path in (RAISED | SAID).items() if code not in messages.catalogue()}
    assert missing == {}


@pytest.mark.parametrize("code", CODES)
def test_a_code_speaks_both_languages_with_the_same_placeholders(code: str) -> None:
    texts = messages.catalogue()[code]
    assert texts.keys() <= {"message", "message_zh", "next", "next_zh", "http"}
    for part in ("message", "next"):
        assert (part in texts) == (f"{part}_zh" in texts), f"{code}: {part} stands in one language only"
    assert re.search(r"[\u4e00-\u9fff]", str(texts["message_zh"])), f"{code}: message_zh holds no Chinese"
    for part in ("message", "next"):
        if part in texts:
            english, chinese = (set(PLACEHOLDER.findall(str(texts[key]))) for key in (part, f"{part}_zh"))
            assert english == chinese


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_the_catalogue_is_used(code: str) -> None:
    assert code in QUOTED, f"{code} is never raised"


def test_wire_form_rebuilds_the_same_class_and_words() -> None:
    error = errors.Overloaded("internal", retry_after_s=1.5)
    again = errors.from_wire(error.to_wire("zh"))
    assert type(again) is errors.Overloaded
    assert again.message == error.text("zh")
    assert again.retry_after_s == 1.5
    assert len(str(error.to_wire())) < 4096


def test_a_foreign_name_is_shown_as_it_is_written() -> None:
    assert shorten("情感 naïve") == "'情感 naïve'"
    assert shorten("a\x1b[31m\u202eb\ud800") == r"'a\x1b[31m\u202eb\ud800'", "nothing that steers a terminal or cannot be sent"


def test_chinese_messages_hold_no_stray_spaces() -> None:
    missing = errors.NotFound("not_found", kind="model", name="'a 情 感'")
    assert missing.text("zh") == "没有名为 'a 情 感' 的模型"
    assert errors.InvalidInput("invalid_name", kind="endpoint", name="'情感'").text("zh").startswith("端点名称 '情感' 不合规")
    used = errors.Conflict("in_use", subject="m:1", user="alias production")
    assert used.text("zh") == "m:1 正在被别名 production 使用"
    assert used.message == "m:1 is in use by alias production"
    both = errors.Conflict("in_use", subject="m", user="alias production, endpoint live", commands="`a`; `b`")
    assert both.text("zh") == "m 正在被别名 production、端点 live 使用"


@pytest.mark.parametrize(
    ("kind", "command"), [("model", "hanlin model list"), ("dataset version", "hanlin dataset list"), ("job", "hanlin job list")]
)
def test_what_is_not_found_can_be_listed(kind: str, command: str) -> None:
    error = errors.NotFound("not_found", kind=kind, name="'x'")
    assert command in error.next_step
    assert command in error.advice("zh")


@pytest.mark.parametrize(
    ("environ", "name", "near"),
    [({"HANLIN_PROT": "1"}, "HANLIN_PROT", "HANLIN_PORT"), ({"HANLIN_MAX_ITEM": "1"}, "HANLIN_MAX_ITEM", "HANLIN_MAX_ITEMS")],
)
def test_a_setting_that_is_none_is_told_with_the_nearest(tmp_path: Path, environ: dict[str, str], name: str, near: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        load_settings({"HANLIN_HOME": str(tmp_path), **environ})
    assert caught.value.message == f"there is no setting {name}; the nearest is {near}"
    assert "没有设置" in caught.value.text("zh")


@pytest.mark.parametrize("code", ["invalid_parameter", "empty_batch"])
def test_the_most_frequent_refusals_have_a_next_step(code: str) -> None:
    error = errors.InvalidInput(code, name="top_k", expected="a number", found="a string")
    assert error.next_step and error.advice("zh") != error.next_step
    assert code != "invalid_parameter" or all("/docs" in error.advice(language) for language in ("en", "zh"))


def test_what_to_do_about_a_long_text_is_true_of_talks_and_where_there_are_no_parameters() -> None:
    error = errors.InvalidInput("text_too_long", index=0, length=9, unit="tokens", limit=8)
    assert "oldest turns" in error.next_step and "where the call has them" in error.next_step and "no talks" in error.next_step
    assert all(word in error.advice("zh") for word in ("最早的几轮", "且该调用有", "对话除外"))


def test_a_setting_of_the_file_that_is_none_is_told_as_written(tmp_path: Path) -> None:
    (tmp_path / "hanlin.toml").write_text("prot = 1\n")
    with pytest.raises(errors.InvalidInput) as caught:
        load_settings({"HANLIN_HOME": str(tmp_path)})
    assert caught.value.message == "there is no setting 'prot'; the nearest is port"


def test_a_printed_error_tells_message_and_next_step_apart() -> None:
    error = errors.NotFound("not_found", kind="model", name="'x'")
    assert str(error) == f"{error.message} → {error.next_step}"
    assert str(errors.from_wire(error.to_wire("zh"))) == f"{error.text('zh')} → {error.advice('zh')}"
    assert str(errors.Cancelled("client_gone")) == "the caller hung up"


class Everything(BaseModel):
    """A field for each way a setting or a request of ours can be wrong."""

    model_config = ConfigDict(extra="forbid")
    whole: int = Field(default=5, ge=1, le=9)
    real: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)
    flag: bool = True
    text: str = Field(default="ab", min_length=2, max_length=3, pattern="^[a-z]+$")
    items: list[str] = Field(default=["a"], min_length=1, max_length=2)
    table: dict[str, int] = {}
    choice: Literal["a", "b", "c"] = "a"
    only: Literal["a"] = "a"
    path: Path = Path("x")
    nothing: None = None


WRONG: list[tuple[dict[str, object], str]] = [
    ({"whole": 0}, "应不小于 1"),
    ({"whole": 10}, "应不大于 9"),
    ({"whole": "x"}, "应为整数"),
    ({"whole": 1.5}, "应为整数"),
    ({"real": 0}, "应大于 0"),
    ({"real": 1}, "应小于 1"),
    ({"real": "x"}, "应为数"),
    ({"real": float("nan")}, "应为有限的数"),
    ({"flag": "x"}, "应为 true 或 false"),
    ({"flag": []}, "应为 true 或 false"),
    ({"text": 1}, "应为字符串"),
    ({"text": "a"}, "至少 2 个字符"),
    ({"text": "abcd"}, "最多 3 个字符"),
    ({"text": "AB"}, "应符合模式 ^[a-z]+$"),
    ({"items": 1}, "应为列表"),
    ({"items": []}, "至少 1 项，现有 0 项"),
    ({"items": ["a"] * 3}, "最多 2 项，现有 3 项"),
    ({"table": 1}, "应为对象"),
    ({"choice": "d"}, "应为 'a', 'b' 或 'c'"),
    ({"only": "b"}, "应为 'a'"),
    ({"path": 1}, "应为路径"),
    ({"nothing": 1}, "应为空"),
    ({"more": 1}, "没有这一项"),
]


@pytest.mark.parametrize(("values", "chinese"), WRONG, ids=str)
def test_what_pydantic_finds_wrong_is_told_in_chinese(values: dict[str, object], chinese: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(values)
    problem = caught.value.errors()[0]["msg"]
    assert errors.InvalidInput("invalid_field", name="f", problem=problem).text("zh") == f"字段 f 有误：{chinese}"
    assert problem in errors.InvalidInput("invalid_field", name="f", problem=problem).message


def test_a_wrong_setting_is_told_in_chinese() -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        load_settings({"HANLIN_PORT": "many"})
    assert caught.value.text("zh").endswith("有误：应为整数")
