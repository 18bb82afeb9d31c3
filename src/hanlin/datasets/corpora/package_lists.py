"""What 60,000 Debian packages say of themselves, written, tagged and translated by their maintainers and by volunteers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice, digest, without_twins
from hanlin.datasets.debian import Description, Entry

_SOURCE = "apt's Packages and Translation lists, of the machine's release"
_LICENCE = "each package's own; descriptions may be redistributed with Debian"
_LEAST = 200  # rows that a section, tag or language has at least, where rare ones are left out
_FACETS = ("field::", "interface::", "use::", "works-with::", "web::", "game::", "network::", "security::", "sound::")
_LETTER = re.compile(r"[^\W\d_]")


def _family(entry: Entry) -> str:
    """Packages of one source say mostly the same: they share their first paragraph, and stay together by it."""
    return f"{digest((_english(entry).paragraphs or ('',))[0]):016x}"


def _english(entry: Entry) -> Description:
    return entry.descriptions["en"]


def _described(source: Source) -> Iterator[Entry]:
    """The packages that say something in English, each description once."""
    seen: set[int] = set()
    for entry in source.debian_entries():
        said = entry.descriptions.get("en")
        if said and said.paragraphs:
            key = digest("\n".join(said.paragraphs))
            if key not in seen:
                seen.add(key)
                yield entry


def _long(entry: Entry) -> str:
    return "\n".join(_english(entry).paragraphs)


@corpus(
    "package-synopsis", task="summarization", languages="en", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="text summary group", zh="Debian 软件包的长说明与一行摘要；同源软件包在同一划分中。",
)  # fmt: skip
def synopses(source: Source) -> Rows:
    """The long description of a package and its one-line synopsis; packages of one source stay together."""
    for entry in _described(source):
        if len(text := _long(entry)) >= 80:
            yield {"text": text, "summary": _english(entry).synopsis, "group": _family(entry)}


@corpus(
    "package-sections", task="text-classification", languages="en", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="text label group", zh="软件包说明属于哪个分区（不足二百个的分区除外）；同源软件包在同一划分中。",
)  # fmt: skip
def package_sections(source: Source) -> Rows:
    """Descriptions of packages and the archive's section they are in (sections of 200 or more); packages of one source stay together."""
    found = list(_described(source))
    sizes = Counter(entry.section for entry in found)
    for entry in found:
        if sizes[entry.section] >= _LEAST:
            yield {"text": _whole(entry), "label": entry.section, "group": _family(entry)}


def _whole(entry: Entry) -> str:
    return f"{_english(entry).synopsis}\n{_long(entry)}"


@corpus(
    "package-tags", task="text-classification", languages="en", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="text labels group", zh="软件包说明与志愿者所打的标签（多标签，不完备）；同源软件包在同一划分中。",
)  # fmt: skip
def tags(source: Source) -> Rows:
    """Descriptions and the tags that volunteers gave (several each; incomplete), those of 200 packages or more; sources stay together."""
    found = [(entry, tuple(tag for tag in entry.tags if tag.startswith(_FACETS))) for entry in _described(source)]
    sizes = Counter(tag for _, given in found for tag in given)
    for entry, given in found:
        if labels := [tag for tag in given if sizes[tag] >= _LEAST]:
            yield {"text": _whole(entry), "labels": labels, "group": _family(entry)}


@corpus(
    "package-retrieval", task="embedding", languages="en", nature="silver", source=_SOURCE, licence=_LICENCE,
    columns="query text group", formats="jsonl tsv", zh="摘要应找到的说明；同源软件包只留一个。",
)  # fmt: skip
def retrieval(source: Source) -> Rows:
    """The synopsis of a package and the description that it should find; one package of a source."""
    rows = ({"query": _english(entry).synopsis, "text": _long(entry), "group": _family(entry)} for entry in _described(source))
    return without_twins((row for row in rows if len(str(row["text"])) >= 80), "group")


@corpus(
    "package-pairs", task="text-classification", languages="en", nature="synthetic", source=_SOURCE, licence=_LICENCE,
    columns="text text_pair label group",
    zh="文本对分类：摘要与说明是否属于同一软件包；不属于的取自同一分区的另一个软件包。",
)  # fmt: skip
def pairs(source: Source) -> Rows:
    """Pairs: whether a synopsis and a description are of one package; in half of the rows another of its section is put in its place."""
    found = [entry for entry in _described(source) if len(_long(entry)) >= 80]
    by_section: dict[str, list[Entry]] = {}
    for entry in found:
        by_section.setdefault(entry.section, []).append(entry)
    for entry in found:
        draws = dice("pairs", entry.name)
        other = draws.choice(by_section[entry.section])
        is_same = draws.random() < 0.5
        if is_same or _family(other) != _family(entry):
            said = _english(entry if is_same else other).synopsis
            yield {"text": said, "text_pair": _long(entry)[:1000], "label": "same" if is_same else "other", "group": _family(entry)}


@corpus(
    "package-similarity", task="text-classification", languages="en", nature="silver", source=_SOURCE, licence=_LICENCE,
    columns="text text_pair score group",
    zh="分级相似度（回归）：两个软件包摘要的相似程度，为其标签集合的交并比（0 到 1）。",
)  # fmt: skip
def similarity(source: Source) -> Rows:
    """Graded pairs: how alike the synopses of two packages are, 0 to 1: the tags they share, as a part of all tags that either has."""
    found = [entry for entry in _described(source) if len(entry.tags) >= 4]
    by_tag: dict[str, list[Entry]] = {}
    for entry in found:
        for tag in entry.tags:
            by_tag.setdefault(tag, []).append(entry)
    for entry in found:
        draws = dice("similarity", entry.name)
        rarest = min(entry.tags, key=lambda tag: (len(by_tag[tag]), tag))
        near = draws.random() < 0.6  # without this nearly all pairs would have nothing in common
        other = draws.choice(by_tag[rarest] if near else found)
        if other.name != entry.name:
            own, theirs = set(entry.tags), set(other.tags)
            score = round(len(own & theirs) / len(own | theirs), 3)
            yield {"text": _english(entry).synopsis, "text_pair": _english(other).synopsis, "score": score, "group": _family(entry)}


@corpus(
    "package-questions", task="question-answering", languages="en", nature="synthetic", source=_SOURCE, licence=_LICENCE,
    columns="id question context answers group", formats="jsonl squad",
    zh="由说明合成的抽取式问答：“What is X?”，答案是 “X is …” 之后的部分；五分之一问的是文中没有的事物。",
)  # fmt: skip
def questions(source: Source) -> Rows:
    """Made of descriptions that say “X is a …”: “What is X?”, and the answer what follows; a fifth asks for what is not there."""
    known = [(entry, found) for entry in _described(source) if (found := _DEFINITION.search(_long(entry)))]
    for entry, found in known:
        context, subject, draws = _long(entry), found["subject"], dice("questions", entry.name)
        yield _question(f"What is {subject}?", context, found.start("what"), found["what"], _family(entry))
        stranger = draws.choice(known)[1]["subject"]
        if draws.random() < 0.25 and stranger.casefold() not in context.casefold():
            yield _question(f"What is {stranger}?", context, -1, "", _family(entry))


_DEFINITION = re.compile(
    r"(?:^|(?<=[.!]\s))(?P<subject>(?!(?:This|That|It|There|What|Here|He|She|Which|One)\b)[A-Z][\w.+-]*(?: [A-Z][\w.+-]*){0,3})"
    r" is (?P<what>an? [^.,;:()\n]{12,120})(?=[.,;:(\n])"
)


def _question(question: str, context: str, start: int, answer: str, family: str) -> Row:
    answers: Row = {"text": [answer] if answer else [], "answer_start": [start] if answer else []}
    return {"id": f"{digest(question + context):016x}", "question": question, "context": context, "answers": answers, "group": family}


def _translated(language: str) -> Callable[[Source], Rows]:
    def rows(source: Source) -> Rows:
        return without_twins(_paragraph_pairs(source, language), "source")

    rows.__doc__ = (
        f"Descriptions of packages in English and {_NAMES[language][0]}, paragraph by paragraph; packages of one source stay together."
    )
    return rows


def _paragraph_pairs(source: Source, language: str) -> Rows:
    """Synopsis with synopsis; paragraphs where both languages have as many."""
    for entry in source.debian_entries():
        english, other = entry.descriptions.get("en"), entry.descriptions.get(language)
        if english is None or other is None:
            continue
        told = [(english.synopsis, other.synopsis)]
        if len(english.paragraphs) == len(other.paragraphs):
            told += zip(english.paragraphs, other.paragraphs, strict=True)
        for said, target in told:
            if said != target and _LETTER.search(said) and _LETTER.search(target):
                yield {"source": said, "target": target, "group": _family(entry)}


_NAMES = {"fr": ("French", "法文"), "de": ("German", "德文"), "ja": ("Japanese", "日文"), "zh_CN": ("Chinese", "中文")}
for _language, (_, _chinese) in _NAMES.items():
    corpus(
        f"package-translation-{_language[:2]}", task="translation", languages=f"en {_language[:2]}", nature="gold", source=_SOURCE,
        licence=_LICENCE, columns="source target group", formats="jsonl tsv",
        zh=f"软件包说明的英文与{_chinese}，逐段对应；同源软件包在同一划分中。",
    )(_translated(_language))  # fmt: skip
