"""LibreOffice's help in English and Chinese, written by people; its pages line up, paragraph by paragraph, by their ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice, digest, without_twins

_SOURCE = "Debian packages libreoffice-help-en-us and libreoffice-help-zh-cn, of the machine's release"
_LICENCE = "MPL-2.0"
_FOLDERS = {"en": ("libreoffice-help-en-us", "en-US"), "zh": ("libreoffice-help-zh-cn", "zh-CN")}
_OWN_ID = re.compile(r"(?:par|hd)_id[0-9A-Za-z_]+")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_LETTER = re.compile(r"[^\W\d_]")
_CHINESE = re.compile("[\u4e00-\u9fff]")
_SENTENCE_END = {"en": re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"])"), "zh": re.compile("(?<=[。！？])")}
_MAX_PASSAGE = 600  # characters


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph or heading of a page, by its id."""

    id: str
    text: str
    is_heading: bool


@dataclass(slots=True)
class Section:
    """A heading of a page and what stands below it, to the next one."""

    page: str
    heading: str
    paragraphs: list[str] = field(default_factory=list)

    @property
    def passage(self) -> str:
        """Its first paragraphs, to about 600 characters."""
        said = ""
        for paragraph in self.paragraphs:
            if said and len(said) + len(paragraph) > _MAX_PASSAGE:
                break
            said += ("\n" if said else "") + paragraph
        return said


class _Page(HTMLParser):
    """Gathers the text of every element with an id of its own; one inside another is its own paragraph."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Paragraph] = []
        self._open: list[tuple[str, str, list[str]]] = []  # (element, id, text so far)
        self._hidden = 0  # how many spans deep in a variant for another system or program

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        found = dict(attrs)
        name = found.get("id") or ""
        if tag == "span" and (self._hidden or ("hidden" in found and not name.startswith("default"))):
            self._hidden += 1
        if (tag == "p" or tag in _HEADINGS) and _OWN_ID.fullmatch(name):
            self._open.append((tag, name, []))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if tag == "span" and self._hidden:
            self._hidden -= 1
        if self._open and self._open[-1][0] == tag:
            _, name, pieces = self._open.pop()
            if text := " ".join("".join(pieces).split()):
                self.found.append(Paragraph(name, text, tag in _HEADINGS))

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        if self._open and not self._hidden:
            self._open[-1][2].append(data)


def pages(source: Source, language: str) -> Iterator[tuple[str, list[Paragraph]]]:
    """The pages of a language with their paragraphs, in order of their paths."""
    package, code = _FOLDERS[language]
    root = source.debian_folder(package) / "usr" / "share" / "libreoffice" / "help" / code / "text"
    for path in sorted(root.rglob("*.html")):
        yield path.relative_to(root).with_suffix("").as_posix(), _read(path)


def _read(path: Path) -> list[Paragraph]:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page.found


@corpus(
    "help-translation", task="translation", languages="en zh", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="source target group", formats="jsonl tsv", zh="LibreOffice 帮助的英中段落对，按页面与段落编号对齐；同一页面在同一划分中。",
)  # fmt: skip
def translation(source: Source) -> Rows:
    """English and Chinese paragraphs of the same help pages, paired by their ids; the paragraphs of a page stay together."""
    return without_twins(_pairs(source), "source")


def _pairs(source: Source) -> Rows:
    chinese = dict(pages(source, "zh"))
    for page, paragraphs in pages(source, "en"):
        told = {paragraph.id: paragraph.text for paragraph in chinese.get(page, [])}
        for paragraph in paragraphs:
            target = told.get(paragraph.id, "")
            if _LETTER.search(paragraph.text) and _CHINESE.search(target) and len(paragraph.text) < 12 * len(target):
                yield {"source": paragraph.text, "target": target, "group": page}


def sections(source: Source, language: str) -> Iterator[Section]:
    """The sections with text of all pages; headings that several pages share (“Example”) say too little and are left out."""
    found = [section for page, paragraphs in pages(source, language) for section in _sections(page, _own(paragraphs, language))]
    uses = Counter(section.heading for section in found)
    return (section for section in found if uses[section.heading] == 1 and len(section.passage) >= (60 if language == "en" else 25))


def _own(paragraphs: list[Paragraph], language: str) -> list[Paragraph]:
    """Without what a Chinese page has left in English."""
    return [one for one in paragraphs if language != "zh" or len(_CHINESE.findall(one.text)) * 4 >= len(_LETTER.findall(one.text))]


def _sections(page: str, paragraphs: list[Paragraph]) -> Iterator[Section]:
    section: Section | None = None
    for paragraph in paragraphs:
        if paragraph.is_heading:
            if section:
                yield section
            section = Section(page, paragraph.text)
        elif section and paragraph.text not in {section.heading, *section.paragraphs}:
            section.paragraphs.append(paragraph.text)
    if section:
        yield section


@corpus(
    "help-retrieval-en", task="embedding", languages="en", nature="silver", source=_SOURCE, licence=_LICENCE,
    columns="query text group", formats="jsonl tsv", zh="英文帮助：标题与其下文字；同一页面在同一划分中。",
)  # fmt: skip
def retrieval_english(source: Source) -> Rows:
    """English help: a heading and the text below it, which it should find; the sections of a page stay together."""
    return _retrieval(source, "en")


@corpus(
    "help-retrieval-zh", task="embedding", languages="zh", nature="silver", source=_SOURCE, licence=_LICENCE,
    columns="query text group", formats="jsonl tsv", zh="中文帮助：标题与其下文字；同一页面在同一划分中。",
)  # fmt: skip
def retrieval_chinese(source: Source) -> Rows:
    """Chinese help: a heading and the text below it, which it should find; the sections of a page stay together."""
    return _retrieval(source, "zh")


def _retrieval(source: Source, language: str) -> Rows:
    rows = ({"query": section.heading, "text": section.passage, "group": section.page} for section in sections(source, language))
    return without_twins(rows, "text")


@corpus(
    "help-headings-zh", task="summarization", languages="zh", nature="silver", source=_SOURCE, licence=_LICENCE,
    columns="text summary group", zh="中文帮助：一节文字与其标题，作为最短的摘要；同一页面在同一划分中。",
)  # fmt: skip
def headings(source: Source) -> Rows:
    """Chinese help: the text of a section and its heading as the shortest summary; the sections of a page stay together."""
    for row in _retrieval(source, "zh"):
        yield {"text": row["text"], "summary": row["query"], "group": row["group"]}


@corpus(
    "help-questions-en", task="question-answering", languages="en", nature="synthetic", source=_SOURCE, licence=_LICENCE,
    columns="id question context answers group", formats="jsonl squad",
    zh="由英文帮助合成的抽取式问答：问题是标题，答案是其下第一句；五分之一无答案；同一页面在同一划分中。",
)  # fmt: skip
def questions_english(source: Source) -> Rows:
    """Made of English help: the question is a heading, the answer the first sentence below it; a fifth has none; pages stay together."""
    return _questions(source, "en")


@corpus(
    "help-questions-zh", task="question-answering", languages="zh", nature="synthetic", source=_SOURCE, licence=_LICENCE,
    columns="id question context answers group", formats="jsonl squad",
    zh="由中文帮助合成的抽取式问答：问题是标题，答案是其下第一句；五分之一无答案；同一页面在同一划分中。",
)  # fmt: skip
def questions_chinese(source: Source) -> Rows:
    """Made of Chinese help: the question is a heading, the answer the first sentence below it; a fifth has none; pages stay together."""
    return _questions(source, "zh")


def _questions(source: Source, language: str) -> Rows:
    """Contexts of two to four sections of pages that are neighbours, headings left out, shuffled; each asked for every section."""
    found = list(sections(source, language))
    for start in range(0, len(found) - 3, 3):
        own = found[start : start + 3]
        draws = dice("help", language, start)
        page, stranger = own[0].page, found[draws.randrange(len(found))]
        draws.shuffle(own)
        context = "\n".join(section.passage for section in own)
        for section in own:
            answer = _SENTENCE_END[language].split(section.passage.split("\n")[0])[0].strip()
            if context.count(answer) == 1:
                yield _question(section.heading, context, answer, page)
        if draws.random() < 1.5 / 2 and all(section.heading not in stranger.heading for section in own) and stranger.page != page:
            yield _question(stranger.heading, context, "", page)


def _question(question: str, context: str, answer: str, page: str) -> Row:
    name = f"{digest(question + context):016x}"
    answers: Row = {"text": [answer] if answer else [], "answer_start": [context.index(answer)] if answer else []}
    return {"id": name, "question": question, "context": context, "answers": answers, "group": page}
