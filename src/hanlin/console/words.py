"""The words of the pages: `words/en.toml` and `words/zh.toml`, same keys, chosen by cookie or `Accept-Language`."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

from hanlin.gateway.responses import language_of
from hanlin.messages.figures import FIGURES, PARTS, progress_name

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
    """The words for a name that other rooms choose (a state, a kind of job, a figure); the name itself when it has none."""
    found = load_words(language).get(f"{section}.{name}")
    if found is not None or section not in ("metric", "watched"):
        return name if found is None else found
    figure = progress_name(name, language=language)
    is_plain = section == "metric" and figure.partition(" ")[0].islower()  # beginnings such as chrF's stay as they are
    return figure[0].upper() + figure[1:] if is_plain else figure


def section(language: str, name: str) -> dict[str, str]:
    """All words of one section by short key."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in load_words(language).items() if key.startswith(start)}


def figure_names(language: str) -> dict[str, str]:
    """The words for all that a job may report, by name: what `[metric]` holds, and every figure alone and in each of its parts."""
    names = [*section(language, "metric"), *(part + name for part in ("", *PARTS) for name in FIGURES)]
    return {name: say_name(language, "metric", name) for name in names}


def choose_language(cookie: str | None, accept: str) -> str:
    """The visitor's own choice, else the best match of an `Accept-Language` header, else English."""
    return cookie if cookie in LANGUAGES else language_of(accept)
