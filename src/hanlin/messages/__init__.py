"""The words of every error in English and Chinese, one TOML file a room.

Each table is one code: `message`/`message_zh` (what was wrong, what would be right), `next`/`next_zh`
(what to do now; may be empty) and, where the family's HTTP status is too coarse, `http`.
Placeholders are `{name}` fields filled from the error's parameters.
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Literal

from hanlin.messages.problems import in_chinese

Language = Literal["en", "zh"]


def terminal_language(environ: Mapping[str, str] | None = None) -> Language:
    """`zh` when the first of HANLIN_LANG, LC_ALL, LC_MESSAGES, LANG that is set begins with zh; `en` otherwise."""
    environ = os.environ if environ is None else environ
    for name in ("HANLIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@functools.cache
def catalogue() -> dict[str, dict[str, str | int]]:
    """Every code with its texts. A code that stands in two files is a bug and raises ValueError."""
    found: dict[str, dict[str, str | int]] = {}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".toml"):
            continue
        for code, texts in tomllib.loads(entry.read_text(encoding="utf-8")).items():
            if code in found:
                raise ValueError(f"message code {code} stands in two catalogues, the second is {entry.name}")
            found[code] = texts
    return found


def render(code: str, part: str, language: str, params: Mapping[str, object]) -> str:
    """One text of a code with its placeholders filled. Falls back to English, then to the code itself."""
    texts = catalogue().get(code, {})
    key = f"{part}_zh" if language.startswith("zh") else part
    template = texts.get(key) or texts.get(part) or (code.replace("_", " ") if part == "message" else "")
    params = {"look": _LISTS.get(str(params.get("kind")), "hanlin --help"), **params}
    if language.startswith("zh"):
        template, params = _in_chinese(str(template), params)
    return str(template).format_map(_Blank(params))


def _in_chinese(template: str, params: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Our own words among the parameters in Chinese. A Chinese word needs no space beside Chinese; foreign text keeps its own."""
    if kind := _KINDS_ZH.get(str(params.get("kind"))):
        template = _GAP.sub("", template.replace("{kind}", kind))
    changed: dict[str, object] = {}
    if (state := str(params.get("state"))) in _STATES_ZH:
        changed["state"] = _STATES_ZH[state]
    if "user" in params:
        changed["user"] = "、".join(_user_in_chinese(user) for user in str(params["user"]).split(", "))
    for name in ("problem", "expected", "found"):
        if isinstance(said := params.get(name), str) and (told := in_chinese(said)) != said:
            changed[name] = told
            if "\u4e00" <= told[0] <= "\u9fff":
                template = template.replace(f" {{{name}}}", f"{{{name}}}")
    return template, {**params, **changed}


def _user_in_chinese(user: str) -> str:
    word, _, name = user.partition(" ")
    return f"{_KINDS_ZH[word]} {name}" if word in _KINDS_ZH else user


def http_status(code: str) -> int | None:
    """The HTTP status a code asks for, where its family's is too coarse; None otherwise."""
    status = catalogue().get(code, {}).get("http")
    return int(status) if status is not None else None


# A space between two Chinese characters or marks.
_GAP = re.compile("(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
# What lists the things of a kind: the parameter `look`.
_LISTS: dict[str, str] = {
    "batch": "GET /v1/batches",
    "dataset": "hanlin dataset list", "dataset version": "hanlin dataset list", "deployment": "hanlin endpoint list",
    "endpoint": "hanlin endpoint list", "file": "GET /v1/files", "job": "hanlin job list", "key": "hanlin key list",
    "fine-tuning": "GET /v1/fine_tuning/jobs", "response": "GET /v1/responses/ID", "item": "GET /v1/responses/ID/input_items",
    "task": "hanlin task list", "alias": "hanlin model list", "model": "hanlin model list", "variant": "hanlin model show NAME",
    "version": "hanlin model list",
}  # fmt: skip
# The parameter `kind` names a sort of thing, and so does the first word of each `user`; `state` is one. No others hold words of ours;
# `problem` may hold pydantic's; `expected` and `found` those of checks of wire requests.
_KINDS_ZH: dict[str, str] = {
    "alias": "别名", "batch": "批处理", "blob": "数据块", "dataset": "数据集", "dataset version": "数据集版本",
    "deployment": "部署", "endpoint": "端点", "engine": "引擎", "file": "文件", "fine-tuning": "微调",
    "item": "条目", "job": "作业", "key": "密钥",
    "model": "模型", "name": "名称", "optimizer": "优化器", "response": "回答", "task": "任务", "tokenizer": "分词器", "variant": "变体",
    "version": "版本",
}  # fmt: skip


_STATES_ZH: dict[str, str] = {
    "cancelled": "已取消", "draining": "收尾中", "failed": "失败", "queued": "排队中", "ready": "就绪", "running": "进行中",
    "starting": "启动中", "stopped": "已停止", "asleep": "休眠中", "succeeded": "完成",
}  # fmt: skip


class _Blank(dict[str, object]):
    """Shows an unfilled placeholder as `?` instead of failing while an error is being reported."""

    def __missing__(self, key: str) -> str:
        return "?"
