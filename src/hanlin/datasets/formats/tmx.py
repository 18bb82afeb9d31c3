"""TMX: translation memories, pairs of segments in two languages. Source: TMX 1.4b specification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding
from hanlin.errors import InvalidInput

_DECLARATIONS = ("<!ENTITY", "<!ELEMENT", "<!ATTLIST")


@FIELD_FORMATS.register("tmx")
class TranslationMemory:
    """The first language of a unit is the source; with more than two, only the first two are taken."""

    suffixes: tuple[str, ...] = (".tmx",)

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`. Entities are not expanded: a file that declares some is refused."""
        parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
        root: list[Element] = []
        number = 0
        for line in read_lines(file.path, encoding, meter):
            if line.problem or any(mark in line.text for mark in _DECLARATIONS):
                raise InvalidInput("xml_unreadable", file=file.name[:200], line=line.number)
            number = line.number
            try:
                # The text is decoded already: what the file says of its own encoding is not the parser's business.
                parser.feed((line.text.replace("encoding=", "was=") if number == 1 else line.text) + "\n")
                for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                    root = root or [element]
                    if event == "end" and element.tag == "tu":
                        yield _row(element, number)
                        root[0].clear()  # what was read is let go
            except ParseError as error:
                raise InvalidInput("xml_unreadable", file=file.name[:200], line=number) from error


def _row(unit: Element, line: int) -> Row:
    said = ["".join(segment.itertext()).strip() for version in unit.iter("tuv") for segment in version.findall("seg")]
    fields = dict(zip(("source", "target"), said, strict=False))
    return Row(line, {name: text for name, text in fields.items() if text})
