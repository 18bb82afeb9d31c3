"""Corpora as files that a user would bring: JSON lines, CoNLL columns, SQuAD, plain text, tab-separated pairs.

Knows the shapes of rows (spans, tags, frames, questions, pairs), not where they come from.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanlin.datasets.corpora.base import Corpus, Row, Rows, Source, digest
from hanlin.errors import InvalidInput
from hanlin.types import JsonObject

Lines = Iterator[str]


@dataclass(frozen=True, slots=True)
class Written:
    """A corpus on disk: its file, how many rows, the digest of the file."""

    path: Path
    rows: int
    sha256: str


def write(corpus: Corpus, source: Source, folder: Path, *, format: str = "", rows: int | None = None) -> Written:  # noqa: A002
    """Write a corpus into `folder`: the rows, the files that belong to them, and `NAME.about.json` (source, licence, nature, digest).

    Args:
        format: one of the corpus's formats; the first when empty.
        rows: at most so many, chosen by their digests; all of a group or none, but the last may be cut.

    Raises:
        InvalidInput: `corpus_format` with the choices. NotReady, DataCorrupt: as the packages.
    """
    chosen = format or corpus.formats[0]
    if chosen not in corpus.formats:
        raise InvalidInput("corpus_format", corpus=corpus.name, format=chosen[:40], choices=", ".join(corpus.formats))
    folder.mkdir(parents=True, exist_ok=True)
    suffix, lines = FORMATS[chosen]
    path = folder / f"{corpus.name}.{suffix}"
    aside = path.with_name(f".{path.name}.part")
    count = itertools.count()
    found = corpus.rows(source) if rows is None else _sample(corpus.rows(source), rows)
    counted = (row for row, _ in zip(found, count, strict=False))
    sha256 = hashlib.sha256()
    with aside.open("wb") as out:
        for line in lines(counted):
            content = line.encode("utf-8")
            sha256.update(content)
            out.write(content)
    aside.replace(path)
    for name, text in corpus.beside:
        (folder / name).write_text(text(), encoding="utf-8")
    written = Written(path, next(count), sha256.hexdigest())
    told = json.dumps(about(corpus, written), ensure_ascii=False, indent=2)
    (folder / f"{corpus.name}.about.json").write_text(told + "\n", encoding="utf-8")
    return written


def about(corpus: Corpus, written: Written | None = None) -> JsonObject:
    """What stands beside a corpus, and in lists of corpora."""
    said: JsonObject = {
        "name": corpus.name, "task": corpus.task, "languages": list(corpus.languages), "nature": corpus.nature, "source": corpus.source,
        "licence": corpus.licence, "about": corpus.about, "about_zh": corpus.about_zh, "columns": list(corpus.columns),
        "formats": list(corpus.formats),
    }  # fmt: skip
    return said if written is None else said | {"file": written.path.name, "rows": written.rows, "sha256": written.sha256}


def _sample(rows: Rows, most: int) -> Rows:
    """The `most` rows of the smallest digests (of their group, then their own), in the corpus's order."""
    keyed = ((digest(str(row.get("group", ""))), digest(_json(row)), at, row) for at, row in enumerate(rows))
    yield from (row for *_, row in sorted(heapq.nsmallest(most, keyed, key=lambda item: item[:3]), key=lambda item: item[2]))


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _jsonl(rows: Rows) -> Lines:
    return (_json(row) + "\n" for row in rows)


def _txt(rows: Rows) -> Lines:
    """One text a line: a text's own line breaks become spaces."""
    return (" ".join(str(row["text"]).split("\n")) + "\n" for row in rows)


def _tsv(rows: Rows) -> Lines:
    """Columns under a header; tabs and line breaks in values become spaces."""
    first = next(rows, None)
    if first is None:
        return
    yield "\t".join(first) + "\n"
    for row in itertools.chain([first], rows):
        yield "\t".join(" ".join(str(value).split()) for value in row.values()) + "\n"


def _conll(rows: Rows) -> Lines:
    """Token and tag, an empty line after each sentence; spans become BIO a character (spaces are left out)."""
    for row in rows:
        pairs = bio(row) if "entities" in row else zip(_list(row["tokens"]), _list(row["tags"]), strict=True)
        yield "".join(f"{token} {tag}\n" for token, tag in pairs) + "\n"


def bio(row: Row) -> list[tuple[str, str]]:
    """The characters of a text with spans, each with its BIO tag; white space has none and is left out."""
    text, tags = str(row["text"]), ["O"] * len(str(row["text"]))
    for span in _list(row["entities"]):
        for at in range(span["start"], span["end"]):
            tags[at] = ("B-" if at == span["start"] else "I-") + span["label"]
    return [(character, tag) for character, tag in zip(text, tags, strict=True) if not character.isspace()]


def _conll2009(rows: Rows) -> Lines:
    """The columns of CoNLL-2009 that role labelling reads; those we have nothing for are `_`, a sense is the lemma alone.

    Source: the shared task's data format.
    """
    for row in rows:
        tokens, frames = _list(row["tokens"]), _list(row["frames"])
        lemmas = {frame["predicate"]: frame["lemma"] for frame in frames}
        lines = []
        for at, token in enumerate(tokens):
            roles = ["_"] * len(frames)
            for number, frame in enumerate(frames):
                roles[number] = next((a["role"] for a in frame["arguments"] if a["head"] == at), "_")
            columns = [at + 1, token, *["_"] * 10, "Y" if at in lemmas else "_", lemmas.get(at, "_"), *roles]
            lines.append("\t".join(map(str, columns)) + "\n")
        yield "".join(lines) + "\n"


def _props(rows: Rows) -> Lines:
    """CoNLL-2005 props: the word, the predicate or `-`, and a column of bracketed spans for each predicate."""
    for row in rows:
        tokens, frames = _list(row["tokens"]), _list(row["frames"])
        lemmas = {frame["predicate"]: frame["lemma"] for frame in frames}
        columns = [_brackets(frame, len(tokens)) for frame in frames]
        lines = ["\t".join([token, lemmas.get(at, "-"), *(column[at] for column in columns)]) for at, token in enumerate(tokens)]
        yield "\n".join(lines) + "\n\n"


def _brackets(frame: Any, length: int) -> list[str]:
    cells = ["*"] * length
    spans = [(a["start"], a["end"], a["role"].replace("ARGM", "AM").replace("ARG", "A")) for a in frame["arguments"]]
    for start, end, role in [*spans, (frame["predicate"], frame["predicate"] + 1, "V")]:
        cells[start] = f"({role}{cells[start]}"
        cells[end - 1] += ")"
    return cells


def _squad(rows: Rows) -> Lines:
    """SQuAD 2.0: one article, a paragraph for each run of rows with the same context."""
    yield '{"version":"v2.0","data":[{"title":"corpus","paragraphs":['
    for number, (context, questions) in enumerate(itertools.groupby(rows, key=lambda row: row["context"])):
        asked = [_question(row) for row in questions]
        yield (",\n" if number else "\n") + _json({"context": context, "qas": asked})
    yield "\n]}]}\n"


def _question(row: Row) -> Row:
    answers: Any = row["answers"]
    given = [{"text": text, "answer_start": start} for text, start in zip(answers["text"], answers["answer_start"], strict=True)]
    return {"id": row["id"], "question": row["question"], "answers": given, "is_impossible": not given}


def _list(value: Any) -> list[Any]:
    return list(value)


# format → (suffix of the file, rows → pieces of text)
FORMATS: dict[str, tuple[str, Callable[[Rows], Iterable[str]]]] = {
    "jsonl": ("jsonl", _jsonl),
    "txt": ("txt", _txt),
    "tsv": ("tsv", _tsv),
    "conll": ("conll", _conll),
    "conll2009": ("conll09", _conll2009),
    "props": ("props", _props),
    "squad": ("json", _squad),
}
