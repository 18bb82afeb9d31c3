"""Documents that a question is asked about: how they are sent, and the passages out of them that are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanlin.errors import InvalidInput
from hanlin.passages import MAX_DOCUMENTS, cut_passages
from hanlin.tasks.base import Limits
from hanlin.tasks.checks import check_text
from hanlin.tasks.lexical import order
from hanlin.tasks.shapes import TEXT
from hanlin.types import JsonObject, JsonValue, json_type

MAX_PASSAGES = 4096  # that are searched by words: about 4 MB, half a second
MAX_ID = 200
_FIELDS = {"id", "text", "start"}
_DOCUMENT: dict[str, JsonObject] = {
    "text": TEXT,
    "id": {"type": ["string", "integer"], "minLength": 1, "maxLength": MAX_ID, "description": "left out, its place in the list"},
    "start": {"type": "integer", "minimum": 0, "description": "where this piece begins in its document; places are told from there"},
}
_OBJECT: JsonObject = {"type": "object", "required": ["text"], "additionalProperties": False, "properties": {**_DOCUMENT}}
DOCUMENTS: JsonObject = {
    "anyOf": [
        {"type": "array", "minItems": 1, "maxItems": MAX_DOCUMENTS, "items": {"anyOf": [TEXT, _OBJECT]}},
        {"type": "string", "description": "id of a file of purpose `user_data`: such a text or object a line"},
    ]
}


@dataclass(frozen=True, slots=True)
class Document:
    """A document, or a piece of one that begins at its character `start`."""

    id: str | int
    text: str
    start: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece that is read: characters `start` to `end` of `document.text`."""

    document: Document
    start: int
    end: int

    @property
    def text(self) -> str:
        """What it says."""
        return self.document.text[self.start : self.end]


def read_documents(value: JsonValue, limits: Limits) -> tuple[Document, ...]:
    """The documents of a call. Raises InvalidInput (`invalid_documents`, `empty_batch`, `batch_too_large`, or as `check_text`)."""
    if not isinstance(value, list):
        raise InvalidInput("invalid_documents", found=json_type(value))
    if not value:
        raise InvalidInput("empty_batch")
    if len(value) > MAX_DOCUMENTS:
        raise InvalidInput("batch_too_large", items=len(value), limit=MAX_DOCUMENTS)
    return tuple(_read_document(item, index, limits) for index, item in enumerate(value))


def _read_document(item: JsonValue, index: int, limits: Limits) -> Document:
    if not isinstance(item, dict):
        return Document(index, check_text(item, index, limits))
    name, start = item.get("id", index), item.get("start", 0)
    if not item.keys() <= _FIELDS or "text" not in item:
        raise InvalidInput("invalid_documents", index=index, found="an object of other fields")
    if isinstance(name, bool) or not isinstance(name, str | int) or not 0 < len(str(name)) <= MAX_ID or not _is_unicode(str(name)):
        raise InvalidInput("invalid_documents", index=index, found="one with another id")
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < 2**53:
        raise InvalidInput("invalid_documents", index=index, found="one with another start")
    return Document(name, check_text(item["text"], index, limits), start)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def choose_passages(question: str, documents: Sequence[Document], count: int) -> list[Passage]:
    """The `count` passages that share most with the question, the best first. Raises InvalidInput (`too_many_passages`)."""
    passages = [Passage(document, *place) for document in documents for place in cut_passages(document.text)]
    if len(passages) > MAX_PASSAGES:
        raise InvalidInput("too_many_passages", passages=len(passages), limit=MAX_PASSAGES)
    if len(passages) <= count:
        return passages
    return [passages[place] for place in order(question, [passage.text for passage in passages])[:count]]
