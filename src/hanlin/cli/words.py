"""The words of the command line in English and Chinese; they stand in `words.toml` as `[English, Chinese]` pairs."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Literal

Language = Literal["en", "zh"]


def language(environ: Mapping[str, str] | None = None) -> Language:
    """`zh` when the first of HANLIN_LANG, LC_ALL, LC_MESSAGES, LANG that is set begins with zh; `en` otherwise."""
    environ = os.environ if environ is None else environ
    for name in ("HANLIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@functools.cache
def table() -> dict[str, tuple[str, str]]:
    """All words by `section.name`."""
    text = (resources.files("hanlin.cli") / "words.toml").read_text(encoding="utf-8")
    return {f"{section}.{name}": (pair[0], pair[1]) for section, pairs in tomllib.loads(text).items() for name, pair in pairs.items()}


def say(key: str, /, **params: object) -> str:
    """The words of `key` in the language in force, placeholders filled."""
    return table()[key][language() == "zh"].format_map(params) if params else table()[key][language() == "zh"]
