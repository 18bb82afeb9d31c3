"""What the API's description says of one method of a door. It stands beside its door; the description is made of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hanlin.types import MAX_TIMEOUT_S, JsonObject, JsonValue

JSON = "application/json"
PREFIX = "/api/v1"  # of the control API
ERROR = "Error"  # the schema of a refusal, among the components
FLAT_ERROR = "FlatError"  # of one whose message itself stands under `error`
MESSAGE_ERROR = "MessageError"  # in Anthropic's form
# What a refusal of each status means.
REFUSALS: dict[int, str] = {
    400: "Not HTTP, or not JSON",
    401: "No key, or one that is not valid",
    403: "The key lacks the scope",
    404: "No such thing, or it is another team's",
    409: "It cannot be done as things stand; says what stands in the way",
    413: "Body, batch or text too large",
    415: "Not a content type or coding that is taken here",
    422: "The request is wrong; says what and where",
    429: "Too many calls, or the queue is full; see Retry-After",
    500: "The model failed, or the server",
    503: "Not ready; see Retry-After",
    504: "The deadline passed",
    507: "No room in memory or on disk",
}
OF_A_CALL = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503, 504, 507)
OF_A_LOOK = (401, 404, 500, 503)
# Of a good answer to a call; what each says stands in docs/endpoints.md.
_ANSWER_HEADERS = {
    "X-Hanlin-Model": "version and variant that answered",
    "X-Hanlin-Truncated": "indices of the texts that were cut, such as 0,5",
    "X-Hanlin-Windows": "index and number of windows of each text that was read in several, such as 0=3,5=2",
    "X-Hanlin-Ignored": "fields that were sent and change nothing here, where there are some",
    "X-Hanlin-Cache": "hit or miss, where the endpoint keeps answers",
    "Server-Timing": "milliseconds of each part of the way",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address.

    Args:
        name: `operationId`; of the whole API only one.
        tag: the group that it is shown in.
        answer: schema of a good answer; None: it has no body.
        shown: a good answer.
        body: schema of what is sent; None: nothing.
        examples: bodies that can be sent as they are to an endpoint of the task that the example's name begins with, up to a comma.
        statuses: of its refusals; empty: those of a call of a model, else those of a look.
        kind: media type of a good answer.
        is_open: whether it takes callers without a key.
        error: schema of a refusal, among the components.
        headers: that it takes beside those of every call, as parameters.
    """

    name: str
    tag: str
    summary: str
    answer: JsonObject | None = None
    shown: JsonValue = None
    body: JsonObject | None = None
    examples: Mapping[str, JsonObject] = field(default_factory=dict)
    about: str = ""
    statuses: tuple[int, ...] = ()
    kind: str = JSON
    is_open: bool = False
    error: str = ERROR
    headers: tuple[JsonObject, ...] = ()

    def describe(self, path: str, *, is_call: bool) -> JsonObject:
        """Its place in the description, for the address `path`.

        Args:
            is_call: of a model, with a deadline and an answer that says where the time went.
        """
        good: JsonObject = {"description": "The answer"}
        if self.answer is not None:
            content: JsonObject = {"schema": self.answer}
            good["content"] = {self.kind: content | ({"example": self.shown} if self.shown is not None else {})}
        if is_call:
            good["headers"] = {name: {"schema": {"type": "string"}, "description": words} for name, words in _ANSWER_HEADERS.items()}
        responses: JsonObject = {"200": good, **refusals(self.statuses or (OF_A_CALL if is_call else OF_A_LOOK), self.error)}
        told: JsonObject = {"tags": [self.tag], "summary": self.summary, "operationId": self.name, "responses": responses}
        if self.about:
            told["description"] = self.about
        if parameters := [
            *([ENDPOINT] if "{endpoint}" in path else []),
            *([VERSION] if "{version}" in path else []),
            *(_CALL_HEADERS if is_call else []),
            *self.headers,
        ]:
            told["parameters"] = list[JsonValue](parameters)
        if self.body is not None:
            sent: JsonObject = {name: {"summary": name, "value": value} for name, value in self.examples.items()}
            told["requestBody"] = {"required": is_call, "content": {JSON: {"schema": self.body, "examples": sent}}}
        return told | ({"security": []} if self.is_open else {})


Told = Operation | Callable[[], Operation]  # a function where making it loads what a gateway does without


ENDPOINT: JsonObject = {
    "name": "endpoint", "in": "path", "required": True, "description": "name of the endpoint", "schema": {"type": "string"},
}  # fmt: skip
VERSION: JsonObject = {
    "name": "version", "in": "path", "required": True, "description": "number of the version that serves; another is not found",
    "schema": {"type": "string"},
}  # fmt: skip
_TIMEOUT: JsonObject = {
    "name": "X-Timeout-S", "in": "header", "description": f"seconds allowed for the call, at most {MAX_TIMEOUT_S:g}",
    "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_S},
}  # fmt: skip
TASK: JsonObject = {
    "name": "X-Hanlin-Task", "in": "header", "description": "the task that the answer is read as: an endpoint of another refuses the call",
    "schema": {"type": "string"},
}  # fmt: skip
_REQUEST_ID: JsonObject = {
    "name": "X-Request-Id", "in": "header", "schema": {"type": "string"},
    "description": "your own id, answered back: 1 to 128 letters, digits, dots, colons, dashes, underscores",
}  # fmt: skip
_CALL_HEADERS = [_TIMEOUT, _REQUEST_ID]


def told(status: int, words: str, schema: JsonObject, *, kind: str = JSON) -> dict[int | str, dict[str, Any]]:
    """One answer of a route that FastAPI describes."""
    return {status: {"description": words, "content": {kind: {"schema": schema}}}}


def refusals(statuses: tuple[int, ...], error: str = ERROR) -> JsonObject:
    """The answers that are errors, by status."""
    content: JsonObject = {JSON: {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    return {str(status): {"description": REFUSALS[status], "content": content} for status in sorted(statuses)}


def body_of(*required: str, **fields: JsonObject) -> JsonObject:
    """The schema of a body with these fields and no others."""
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": dict(fields)}


def answer_of(**fields: JsonObject) -> JsonObject:
    """The schema of an answer that has all of these fields."""
    return {"type": "object", "required": list(fields), "properties": dict(fields)}
