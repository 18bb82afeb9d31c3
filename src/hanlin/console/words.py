"""The words of the pages: `words/en.toml` and `words/zh.toml`, same keys, chosen by cookie or `Accept-Language`."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

from hanlin.gateway.responses import language_of

LANGUAGES = ("en", "zh")


@functools.cache
def load_words(language: str) -> dict[str, str]:
    """All words of one language by dotted key, such as `overview.title`."""
    text = (resources.files("hanlin.console") / "words" / f"{language}.toml").read_text(encoding="utf-8")
    return {f"{section}.{key}": value for section, entries in tomllib.loads(text).items() for key, value in entries.items()}


def say(language: str, key: str, /, **values: object) -> str:
    """The words for `key` with `{name}` fields filled. Raises KeyError for a key that no file holds."""
    words = load_words(language)[key]
    return words.format(**values) if values else words


def say_name(language: str, section: str, name: str) -> str:
    """The words for a name that other rooms choose (a state, a kind of job); the name itself when it has none."""
    return load_words(language).get(f"{section}.{name}", name)


def section(language: str, name: str) -> dict[str, str]:
    """All words of one section by short key."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in load_words(language).items() if key.startswith(start)}


def choose_language(cookie: str | None, accept: str) -> str:
    """The visitor's own choice, else the best match of an `Accept-Language` header, else English."""
    return cookie if cookie in LANGUAGES else language_of(accept)
