"""The words of the command line in English and Chinese; they stand in `words.toml` as `[English, Chinese]` pairs."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from importlib import resources

from hanlin.messages import terminal_language
from hanlin.messages.figures import progress_name


@functools.cache
def table() -> dict[str, tuple[str, str]]:
    """All words by `section.name`."""
    text = (resources.files("hanlin.cli") / "words.toml").read_text(encoding="utf-8")
    return {f"{section}.{name}": (pair[0], pair[1]) for section, pairs in tomllib.loads(text).items() for name, pair in pairs.items()}


def say(key: str, /, **params: object) -> str:
    """The words of `key` in the language in force, placeholders filled."""
    return table()[key][terminal_language() == "zh"].format_map(params) if params else table()[key][terminal_language() == "zh"]


def listed(parts: Iterable[str]) -> str:
    """The parts with the commas of the language in force."""
    return ("，" if terminal_language() == "zh" else ", ").join(parts)


def headed(head: str, rest: str) -> str:
    """`head: rest`, with the colon of the language in force."""
    return f"{head}{'：' if terminal_language() == 'zh' else ': '}{rest}"


def name_of(section: str, name: str | None) -> str:
    """The words for a name that the server chose (a state, a figure); the name itself, underscores as spaces, when there are none."""
    name = name or ""
    found = table().get(f"{section}.{name}")
    return found[terminal_language() == "zh"] if found else progress_name(name, language=terminal_language())
