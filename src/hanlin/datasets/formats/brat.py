"""brat's standoff: `name.ann` holds spans of characters of `name.txt` beside it. Entities alone; relations and events are not read.

Source: brat rapid annotation tool, "Standoff format": `T1<tab>Person 0 12<tab>Ada Lovelace`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding, detect
from hanlin.errors import InvalidInput
from hanlin.tasks.examples import MAX_TEXT_BYTES

_ENTITY = re.compile(r"T\S*\t(\S+) (\d{1,9}) (\d{1,9})\t")


@FIELD_FORMATS.register("brat")
class BratFormat:
    """See `FieldFormat`. A row is a document."""

    suffixes: tuple[str, ...] = (".ann",)
    companion = ".txt"

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        if file.beside is None:
            yield BadRow(1, "brat_text")
            return
        if file.beside.stat().st_size > 2 * MAX_TEXT_BYTES:
            yield BadRow(1, "text_too_long")
            return
        text = _text(file.beside, encoding)
        if text is None:
            yield BadRow(1, "bytes")
            return
        entities: list[object] = []
        for line in read_lines(file.path, encoding, meter):
            found = _ENTITY.match(line.text)
            if line.problem or (line.text.startswith("T") and found is None):
                yield BadRow(line.number, line.problem or "brat_line")
                return
            if found is not None:
                entities.append({"label": found[1], "start": int(found[2]), "end": int(found[3])})
        yield Row(1, {"text": text, "entities": entities})


def _text(path: Path, spans: Encoding) -> str | None:
    """The document, in its own encoding: spans are often plain ASCII, which says nothing. None where bytes do not fit."""
    declared = "" if spans.codec.startswith("utf-") else spans.codec  # Big5 passes for GB18030: what was declared goes before a guess
    for guess in dict.fromkeys((declared, "")):
        try:
            found = detect(path, name=path.name, declared=guess)
        except InvalidInput:
            continue
        return path.read_bytes()[found.bom_bytes :].decode(found.codec)
    return None
