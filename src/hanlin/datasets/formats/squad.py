"""SQuAD's JSON, versions 1 and 2: articles with paragraphs with questions. CMRC 2018 comes in the same form, and in one of its own.

Source: Cui et al., A Span-Extraction Dataset for Chinese Machine Reading Comprehension (2019), and its release:
`[{"context_id": …, "context_text": …, "title": …, "qas": [{"query_id": …, "query_text": …, "answers": ["…", …]}]}]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding
from hanlin.errors import InvalidInput

MAX_BYTES = 2**30  # it is read at once: SQuAD 2.0 has 42 MB


@FIELD_FORMATS.register("squad")
class Squad:
    """Rows of context, question and answers, numbered by their place in the file."""

    suffixes: tuple[str, ...] = (".squad",)
    signs = re.compile(rb'"(?:paragraphs|qas)"\s*:\s*\[')

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`. Raises InvalidInput (`json_unreadable`)."""
        if file.path.stat().st_size > MAX_BYTES:
            raise InvalidInput("json_unreadable", file=file.name[:200], line=1)
        try:
            value = json.loads(file.path.read_bytes()[encoding.bom_bytes :].decode(encoding.codec, encoding.errors))
        except json.JSONDecodeError as error:
            raise InvalidInput("json_unreadable", file=file.name[:200], line=error.lineno) from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput("json_unreadable", file=file.name[:200], line=1) from error
        number = 0
        for paragraph in _paragraphs(value, file):
            for question in cast("list[object]", paragraph.get("qas", [])):  # `_paragraphs` gives no others
                number += 1
                yield _row(number, _either(paragraph, "context", "context_text"), question)


def _paragraphs(value: object, file: SourceFile) -> Iterator[dict[str, object]]:
    articles = value.get("data") if isinstance(value, dict) else value
    if not isinstance(articles, list):
        raise InvalidInput("json_unreadable", file=file.name[:200], line=1)
    for article in articles:
        within = article.get("paragraphs") if isinstance(article, dict) else None
        paragraphs: list[object] = within if isinstance(within, list) else [article]  # CMRC's own form has no articles
        for paragraph in paragraphs:
            if isinstance(paragraph, dict) and isinstance(paragraph.get("qas", []), list):
                yield paragraph


def _row(number: int, context: object, question: object) -> Row | BadRow:
    if not isinstance(question, dict):
        return BadRow(number, "json")
    answers = [] if question.get("is_impossible") is True else question.get("answers", [])
    return Row(number, {"context": context, "question": _either(question, "question", "query_text"), "answers": answers})


def _either(value: dict[str, object], name: str, of_cmrc: str) -> object:
    return value.get(name, value.get(of_cmrc))
