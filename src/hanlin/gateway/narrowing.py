"""Before a reader is asked about documents: the endpoints that a call names search them, and the reader gets the passages they chose.

Each search is a call like any other: admitted, masked, metered, refused by the same rules. What is wrong with the documents is left to
the reader to say, which judges them all the same. Knows no model and does no maths: scores come from workers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from hanlin.errors import DeadlineExceeded, InvalidInput, NotFound, NotReady
from hanlin.passages import PASSAGE_BYTES, cut_passages
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Lane, ReplicaInfo
from hanlin.types import JsonObject, JsonValue, Principal, shorten

MAX_PASSAGES = 1024  # that endpoints search: each is computed, in every call
CANDIDATES, PASSAGES = 20, 5
_NAMES = ("retriever", "reranker")
_FIELDS = {"question", "documents"}


class Answered(Protocol):
    """See `Outcome`."""

    @property
    def body(self) -> bytes:
        """JSON text."""
        ...


class Plane(Protocol):
    """What answers the searching endpoints: see `Dataplane`."""

    def find(self, principal: Principal, endpoint: str) -> EndpointRoute:
        """The route of an endpoint. Raises NotFound."""
        ...

    async def wake(self, principal: Principal, endpoint: str, *, timeout_s: float) -> None:
        """Returns when it is loaded. Raises NotFound, NotReady."""
        ...

    async def predict(
        self, principal: Principal, endpoint: str, inputs: JsonValue, parameters: JsonObject, *, timeout_s: float, language: str,
        request_id: str, lane: Lane = ..., trace_id: str = ...,
    ) -> Answered:  # fmt: skip
        """Answer one call."""
        ...


@dataclass(frozen=True, slots=True)
class Searching:
    """The calls of endpoints that search on behalf of another call, within its time."""

    plane: Plane
    principal: Principal
    timeout_s: float
    language: str
    request_id: str
    lane: Lane
    trace_id: str
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds that the call still has. Raises DeadlineExceeded."""
        if (left_s := self.timeout_s - (time.monotonic() - self.begun_s)) <= 0:
            raise DeadlineExceeded("deadline_exceeded")
        return left_s

    async def call(self, endpoint: str, inputs: JsonObject) -> bytes:
        """The answer of an endpoint; texts that are too long for it are cut."""
        outcome = await self.plane.predict(
            self.principal, endpoint, inputs, {"truncation": True}, timeout_s=self.left_s, language=self.language, lane=self.lane,
            request_id=f"{self.request_id}:{endpoint}", trace_id=self.trace_id,
        )  # fmt: skip
        return outcome.body

    async def look(self, endpoint: str) -> ReplicaInfo:
        """What an endpoint is, once it is loaded. Raises NotFound, NotReady."""
        if (found := self.plane.find(self.principal, endpoint).info) is None:
            await self.plane.wake(self.principal, endpoint, timeout_s=self.left_s)
            found = self.plane.find(self.principal, endpoint).info
        if found is None:
            raise NotReady("endpoint_starting", retry_after_s=1.0)
        return found


class _Ranked(msgspec.Struct, frozen=True, gc=False):
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class _Search:
    """What a call wants searched: passages as the reader takes them, out of all documents."""

    question: str
    passages: list[JsonObject]
    parameters: JsonObject

    def count(self, name: str, default: int) -> int:
        value = self.parameters.get(name)
        return value if isinstance(value, int) else default


def is_searched(inputs: JsonValue, parameters: JsonObject) -> bool:
    """Whether a call names endpoints that search for it."""
    return type(inputs) is dict and "documents" in inputs and any(parameters.get(name) is not None for name in _NAMES)


async def narrowed(inputs: JsonValue, parameters: JsonObject, searching: Searching) -> tuple[JsonValue, JsonObject]:
    """The call as the reader takes it: with the passages that were found, and without the names of who found them.

    Raises:
        InvalidInput: `invalid_parameter` for an endpoint that is not there or does not search; `too_many_passages`.
        HanlinError: as the searching endpoints refuse their calls.
    """
    search = await asyncio.to_thread(_read, inputs, parameters)  # a megabyte takes 50 ms
    if search is None:
        return inputs, parameters
    kept = search.count("passages", PASSAGES)
    steps = [(name, str(parameters[name])) for name in _NAMES if parameters.get(name) is not None]
    found = search.passages
    for number, (name, endpoint) in enumerate(steps):
        is_last = number == len(steps) - 1
        best = await _ranked(search.question, found, name, endpoint, searching)
        found = best[: kept if is_last else max(kept, search.count("candidates", CANDIDATES))]
    rest = {name: value for name, value in parameters.items() if name not in (*_NAMES, "candidates")}
    return {"question": search.question, "documents": [*found]}, rest | {"passages": len(found)}


async def _ranked(
    question: str, passages: Sequence[JsonObject], name: str, endpoint: str, searching: Searching
) -> list[JsonObject]:  # fmt: skip
    """The passages, those first that the endpoint finds best; equal ones as they came."""
    try:
        info = await searching.look(endpoint)
    except NotFound:
        raise InvalidInput("invalid_parameter", name=name, expected="the name of an endpoint", found=shorten(endpoint)) from None
    takes = ("reranking",) if name == "reranker" else ("embedding", "reranking")
    if info.task not in takes:
        raise InvalidInput("invalid_parameter", name=name, expected=f"an endpoint of {' or '.join(takes)}", found=f"one of {info.task}")
    texts: list[JsonValue] = [passage["text"] for passage in passages]
    size = max(1, info.max_items - 1)  # beside the question, which an embedding counts too
    scores: list[float] = []
    for start in range(0, len(texts), size):
        scores += await _scores(question, texts[start : start + size], endpoint, searching, is_ranking=info.task == "reranking")
    return [passages[place] for place in sorted(range(len(passages)), key=lambda place: -scores[place])]


async def _scores(question: str, texts: list[JsonValue], endpoint: str, searching: Searching, *, is_ranking: bool) -> list[float]:
    if not is_ranking:
        return msgspec.json.decode(await searching.call(endpoint, {"source_sentence": question, "sentences": texts}), type=list[float])
    found = msgspec.json.decode(await searching.call(endpoint, {"query": question, "texts": texts}), type=list[_Ranked])
    by_place = {item.index: item.score for item in found}
    return [by_place[place] for place in range(len(texts))]


def _read(inputs: JsonValue, parameters: JsonObject) -> _Search | None:
    """The search; None where something is wrong, which the reader's own check will name. Raises InvalidInput (`too_many_passages`)."""
    assert isinstance(inputs, dict), "see `is_searched`"
    question, documents = inputs.get("question"), inputs["documents"]
    if inputs.keys() != _FIELDS or not _is_text(question) or not isinstance(documents, list) or not documents:
        return None
    if not all(_is_count(parameters.get(name), high) for name, high in (("passages", 64), ("candidates", 256))):
        return None
    if not all(parameters.get(name) is None or isinstance(parameters[name], str) for name in _NAMES):
        return None
    passages: list[JsonObject] = []
    for number, item in enumerate(documents):
        document = item if isinstance(item, dict) else {"text": item}
        text, name, start = document.get("text"), document.get("id", number), document.get("start", 0)
        if not isinstance(text, str) or not _is_text(text) or not isinstance(start, int) or isinstance(start, bool):
            return None
        extra = {key: value for key, value in document.items() if key not in ("text", "id", "start")}
        if len(passages) + len(text) // PASSAGE_BYTES > MAX_PASSAGES:  # before a megabyte is looked at
            raise InvalidInput("too_many_passages", passages=len(passages) + len(text) // PASSAGE_BYTES, limit=MAX_PASSAGES)
        passages += [{**extra, "id": name, "start": start + begin, "text": text[begin:end]} for begin, end in cut_passages(text)]
    if len(passages) > MAX_PASSAGES:
        raise InvalidInput("too_many_passages", passages=len(passages), limit=MAX_PASSAGES)
    return _Search(str(question), passages, parameters)


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_count(value: JsonValue, high: int) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= high)
