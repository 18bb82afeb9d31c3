"""TMX: translation memories, units of the same words in several languages. Source: TMX 1.4b specification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter, read_pieces
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import MARK, Encoding
from hanlin.errors import InvalidInput

_DECLARATIONS = ("<!ENTITY", "<!ELEMENT", "<!ATTLIST")
_LANGUAGE = ("{http://www.w3.org/XML/1998/namespace}lang", "lang")  # the second is that of TMX 1.1
_BROKEN = "\ufdd0"  # stands for `MARK`, which is no character of XML
MAX_LANGUAGES = 500  # of a file: each is a field of every row
_CODES = ("bpt", "ept", "it", "ph", "ut")  # what they hold is markup of the text's own format


class _Unit(NamedTuple):
    """The texts of a unit by language, such as `en-us`; `header` is the file's source language, empty where it names none."""

    line: int
    texts: dict[str, str]
    header: str


@FIELD_FORMATS.register("tmx")
class TranslationMemory:
    """See `FieldFormat`. A row is a unit: a field for each language of the file, `zh` and `zh-cn` alike, `source` and `target`.

    The source is in the header's `srclang`, or the language that comes first in the file; the target is in the first other language.
    In whichever order a unit has its texts, all rows are of one direction.
    """

    suffixes: tuple[str, ...] = (".tmx",)

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`. The file is read twice: first for its languages. One that declares entities is refused."""
        languages: dict[str, None] = {}  # in order
        header = ""
        for unit in _units(file, encoding, Meter(0, None)):
            languages.update(dict.fromkeys(unit.texts))
            header = unit.header
            if len(languages) > MAX_LANGUAGES:
                raise InvalidInput("too_many_languages", file=file.name[:200], line=unit.line, limit=MAX_LANGUAGES)
        primary = list(dict.fromkeys(map(_primary, languages)))
        pair = sorted(primary if len(primary) > 1 else languages, key=lambda language: language not in (header, _primary(header)))
        for unit in _units(file, encoding, meter):
            texts = {_primary(language): text for language, text in reversed(unit.texts.items())} | unit.texts
            if any(_BROKEN in text for text in unit.texts.values()):
                yield BadRow(unit.line, "bytes")
                continue
            fields = dict.fromkeys([*primary, *languages]) | texts
            yield Row(unit.line, fields | {name: fields[language] for name, language in zip(("source", "target"), pair, strict=False)})


def _units(file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[_Unit]:
    parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
    header = ""
    body: Element | None = None
    started = number = 0
    tail = ""  # a mark may stand across two pieces
    for line in read_pieces(file.path, encoding, meter):
        if any(mark in tail + line.text for mark in _DECLARATIONS):
            raise InvalidInput("xml_unreadable", file=file.name[:200], line=line.number)
        number, tail = line.number, line.text[-len(_DECLARATIONS[1]) :]
        try:
            parser.feed(line.text.replace(MARK, _BROKEN))  # of text that is decoded the parser passes over what it says of its encoding
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                if event == "start" and element.tag == "header":
                    header = _tag(element.get("srclang", ""))
                elif event == "start" and element.tag == "body":
                    body = element
                elif event == "start" and element.tag == "tu":
                    started = number
                elif element.tag == "tu":
                    yield _Unit(started, _texts(element), header)
                    if body is not None:
                        body.clear()  # what was read is let go
        except ParseError as error:
            raise InvalidInput("xml_unreadable", file=file.name[:200], line=number) from error
    _finish(parser, file, number)


def _finish(parser: XMLPullParser[Element], file: SourceFile, line: int) -> None:
    try:
        parser.close()
    except ParseError as error:
        raise InvalidInput("xml_unreadable", file=file.name[:200], line=max(1, line)) from error


def _texts(unit: Element) -> dict[str, str]:
    """The first text in each language; one without a language is called by its place from 1."""
    found: dict[str, str] = {}
    for place, version in enumerate(unit.iterfind("tuv"), start=1):
        segment = version.find("seg")
        text = "" if segment is None else "".join(_words(segment)).strip()
        language = next((_tag(version.attrib[name]) for name in _LANGUAGE if version.get(name)), str(place))
        if text:
            found.setdefault(language, text)
    return found


def _words(segment: Element) -> Iterator[str]:
    """The text within an element, without the codes of its markup, which may be nested as deep as a file is long."""
    waiting: list[Element | str] = [segment]  # the next one last
    while waiting:
        if isinstance(item := waiting.pop(), str):
            yield item
            continue
        yield item.text or ""
        for part in reversed(item):
            waiting.append(part.tail or "")
            if part.tag not in _CODES:
                waiting.append(part)


def _tag(language: str) -> str:
    return language.strip().lower().replace("_", "-")


def _primary(language: str) -> str:
    return language.split("-", 1)[0]
