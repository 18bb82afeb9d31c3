"""Pieces of which the SDK's requests are built: paths, JSON bodies, questions. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from hanlin import __version__
from hanlin.client.steps import Call, Reply
from hanlin.errors import InvalidInput
from hanlin.types import shorten

T = TypeVar("T")
AGENT = f"hanlin-python/{__version__}"
JSON = {"content-type": "application/json"}
# What the part of a path behind such a word names.
KINDS = {"aliases": "alias", "datasets": "dataset", "endpoints": "endpoint", "jobs": "job", "keys": "key", "models": "model"}


def encoded(value: object) -> bytes:
    """JSON text. Raises InvalidInput (`text_not_unicode`, `not_json`)."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("text_not_unicode", position=error.start) from error
    except (ValueError, TypeError) as error:
        raise InvalidInput("not_json", problem=shorten(str(error), 120)) from error


def path_of(*parts: str | int) -> str:
    """The path of these parts, escaped. Raises InvalidInput (`invalid_name`) for a part that names nothing."""
    for before, part in zip(("", *parts), parts, strict=False):
        text = str(part)
        # The transport would take the first three for steps in the path; the others are in no name, and in no path of the server.
        if text in {"", ".", ".."} or not (text.isascii() and text.isprintable()) or any(mark in text for mark in "/\\%"):
            kind = "endpoint" if parts[0] == "models" else KINDS.get(str(before), "name")
            raise InvalidInput("invalid_name", kind=kind, name=shorten(text))
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def get(path: str, parse: Callable[[Reply], T], **query: str | int | None) -> Call[T]:
    """A question; what is None is left out of the query."""
    return Call("GET", path, parse, query=tuple((name, str(value)) for name, value in query.items() if value is not None))


def send(method: str, path: str, parse: Callable[[Reply], T], body: object = None, *, is_idempotent: bool = True) -> Call[T]:
    """Something to do, with a JSON body where one is given."""
    content, headers = (None, {}) if body is None else (encoded(body), JSON)
    return Call(method, path, parse, content=content, headers=headers, is_idempotent=is_idempotent)
