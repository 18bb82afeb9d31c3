"""Ids and small frozen values that every room speaks. Knows no other room."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal, NewType

from hanlin.errors import InvalidInput, PermissionDenied

TeamId = NewType("TeamId", str)
KeyId = NewType("KeyId", str)
JobId = NewType("JobId", str)
Digest = NewType("Digest", str)  # 64 lower-case hex digits of SHA-256

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]

Isolation = Literal["own", "shared"]  # whether a replica has a worker process of its own
Pinning = Literal["auto", "on", "off"]  # whether an engine's threads are bound to cores
Scope = Literal["predict", "read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("predict", "read", "write", "admin")

LongText = Literal["refuse", "truncate", "window"]  # what becomes of a text that is longer than the model takes
TOKEN_IDS = "token_ids"  # noqa: S105 - the one field of an item that is tokens and no text
MAX_TIMEOUT_S = 600.0  # of one call
MAX_CACHE_TTL_S = 7 * 86_400
MAX_IDLE_S = 30 * 86_400.0
MAX_REPLICAS = 16
MAX_CANARY = 99  # percent; all of them would be no trial
MAX_SHADOW = 100

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_NAME_LENGTH = 63
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: it travels through every call of `control/` and the dataplane. `is_batch`: a batch job, whose calls wait for all others."""

    team_id: TeamId
    key_id: KeyId
    scopes: frozenset[Scope]
    is_batch: bool = False

    def require(self, scope: Scope) -> None:
        """Raises PermissionDenied unless this principal has `scope` (`admin` has all)."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise PermissionDenied("scope_missing", scope=scope)


def subject_of(kind: str, config: JsonObject) -> str:
    """What a job is about, by its configuration: the name it makes, else its dataset or model; blank when it names none."""
    names = ("model", "name", "dataset") if kind in ("compress", "certify", "evaluate") else ("name", "dataset", "model", "endpoint")
    return next((found for name in names if isinstance(found := config.get(name), str) and found), "")


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`name`, `name@alias` or `name:version`. Both parts None means the newest published version."""

    name: str
    version: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Raises InvalidInput (`invalid_model_reference`) when `text` has none of the three forms."""
        name, mark, rest = text, "", ""
        for sign in "@:":
            if sign in text:
                name, mark, rest = text.partition(sign)
                break
        ok = is_name(name) and (not mark or (is_name(rest) if mark == "@" else rest.isascii() and rest.isdigit() and len(rest) < 10))
        if not ok:
            raise InvalidInput("invalid_model_reference", reference=shorten(text))
        return cls(name, int(rest) if mark == ":" else None, rest if mark == "@" else None)

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}:{self.version}"
        return f"{self.name}@{self.alias}" if self.alias else self.name


def is_name(text: str) -> bool:
    """Whether `text` may name a dataset, model, alias, endpoint or key."""
    return len(text) <= _NAME_LENGTH and _is_name(text)


@lru_cache(maxsize=4096)  # every call asks about its endpoint
def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and not text.endswith(".") and not _RESERVED.fullmatch(text)


def endpoint_of_model(model: str) -> str:
    """The endpoint behind a model's id at OpenAI's doors: `ft:base:team:suffix:id` is the endpoint `ft--base--team--suffix--id`."""
    return model.replace(":", "--") if model.startswith("ft:") else model


def model_of_endpoint(endpoint: str) -> str:
    """The id under which OpenAI's doors show an endpoint."""
    return endpoint.replace("--", ":") if endpoint.startswith("ft--") else endpoint


def check_name(name: str, *, kind: str) -> str:
    """The name itself. Raises InvalidInput (`invalid_name`)."""
    if not is_name(name):
        raise InvalidInput("invalid_name", kind=kind, name=shorten(name))
    return name


def is_digest(text: str) -> bool:
    """Whether `text` is a SHA-256 in lower-case hex."""
    return bool(_DIGEST.fullmatch(text))


def shorten(text: str, limit: int = 48) -> str:
    """A safe, printable, quoted piece of foreign text for messages (at most `limit` characters of it).

    Letters of every script stay; controls, marks of direction, invisible characters and lone surrogates are shown as escapes.
    """
    return repr(text[:limit]) + ("…" if len(text) > limit else "")


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choice that was probably meant by `name`: alike as a whole, or in one of its words, the first before the others."""

    def likeness(choice: str) -> float:
        whole, *parts = (SequenceMatcher(None, name[:80].lower(), each.lower()).ratio() for each in (choice, *choice.split("_")))
        return max(whole, 0.95 * parts[0], *(0.9 * part for part in parts[1:]), 0.0)

    return max(choices, key=likeness)


JsonType = Literal["null", "a boolean", "a number", "a string", "a list", "an object"]


def json_type(value: JsonValue) -> JsonType:
    """The kind of a JSON value in words; never the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def json_found(value: JsonValue) -> str:
    """What was found, where its kind alone would not say what is wrong: of a number itself, of anything empty that it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value) if -(2**64) < value < 2**64 else "a number out of range"
    if isinstance(value, str | list | dict) and not value:
        return "an empty " + json_type(value).split()[1]
    return json_type(value)


def utc_now() -> datetime:
    """The present moment, with time zone."""
    return datetime.now(UTC)


def serves(task: str, needed: str) -> bool:
    """Whether an endpoint of `task` can be asked as one of `needed`: sentiment answers in the shape of a classification."""
    return task == needed or (task, needed) == ("sentiment", "text-classification")
