"""OpenAI's responses, and how many tokens they would read. Source: its references of `/v1/responses` and `/v1/responses/input_tokens`.

The model is the endpoint. An answer is stored unless `store` is false, and may then be gone on from (`previous_response_id`): see
`responses_memory.py`. What is not sent is as the version writes by itself.
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import generation_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import choice, endpoint_of, flag, integer, text, untaken
from hanlin.gateway.generation_fields import MAX_LIKELIEST, TASK, check_metadata, form, ignored, length, listed, sampling
from hanlin.gateway.responses_items import read_items
from hanlin.gateway.responses_memory import TalkMemory
from hanlin.gateway.responses_wire import Answer, AnswerStream
from hanlin.gateway.tool_fields import chosen, flat_tools
from hanlin.types import JsonObject, JsonValue, json_found, json_type, shorten

_IGNORED = (
    "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "reasoning",
    "max_tool_calls", "stream_options",
)  # fmt: skip
_UNTAKEN = ("conversation", "prompt", "context_management", "moderation", "image", "background_options")
_FIELDS = (
    "model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "stream", "text", "truncation", "top_logprobs",
    "include", "metadata", "background", "tools", "tool_choice", "parallel_tool_calls", "store", "previous_response_id", *_IGNORED,
    *_UNTAKEN,
)  # fmt: skip
_COUNTED = (
    "model", "input", "instructions", "text", "truncation", "tools", "tool_choice", "parallel_tool_calls", "previous_response_id",
    "conversation", "reasoning", "personality",
)  # fmt: skip
_ECHOED = ("instructions", "max_output_tokens", "temperature", "top_p", "metadata", "truncation", "previous_response_id")
_CHANCES = "message.output_text.logprobs"


def read_response(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("model", "input"))
    untaken(value, _UNTAKEN)
    if flag(value, "background", default=False):
        raise InvalidInput("field_not_taken", name="background")
    seen = ignored(value, _IGNORED)
    items = read_items(value["input"], seen)
    instructions, previous = _maybe(value, "instructions"), _maybe(value, "previous_response_id")
    tools = flat_tools(listed(value, "tools"), seen)
    choice = chosen(value, tools)
    check_metadata(value)
    chances = _chances(value)
    form_of, shown = _text(value.get("text"), seen)
    called = tools if value.get("tool_choice") != "none" else []
    answer = Answer(
        endpoint_of(value), _echo(value) | {"text": shown}, has_chances=bool(chances), tools=called,
        is_stored=flag(value, "store", default=True), ignored=tuple(seen),
    )  # fmt: skip
    parameters = sampling(value) | length(value, "max_output_tokens") | form_of | chances | _truncation(value) | choice
    stream = AnswerStream(answer) if flag(value, "stream", default=False) else None
    told = answer.told if stream is None else stream.told
    memory = TalkMemory(answer, items, told, previous=previous, instructions=instructions)
    inputs = _inputs(memory, called)
    return Ask(answer.model, inputs, parameters, TASK, answer.write, stream=stream, memory=memory)


def read_count(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_COUNTED, required=("model", "input"))
    untaken(value, ("conversation",))
    seen = ignored(value, ("reasoning", "personality"))
    items, tools = read_items(value["input"], seen), flat_tools(listed(value, "tools"), seen)
    chosen(value, tools)
    _text(value.get("text"), seen)
    _truncation(value)
    answer = Answer(endpoint_of(value), {}, ignored=tuple(seen))
    memory = TalkMemory(
        answer, items, answer.told, previous=_maybe(value, "previous_response_id"), instructions=_maybe(value, "instructions")
    )  # fmt: skip
    inputs = _inputs(memory, tools if value.get("tool_choice") != "none" else [])
    return Ask(answer.model, inputs, {}, TASK, answer.write_count, operation="count", memory=memory)


def _echo(value: JsonObject) -> JsonObject:
    """What the answer repeats."""
    found = {name: value.get(name) for name in _ECHOED}
    return found | {
        "tools": value.get("tools") or [], "tool_choice": value.get("tool_choice") or "auto",
        "parallel_tool_calls": value.get("parallel_tool_calls") is not False,
    }  # fmt: skip


def _text(value: JsonValue, seen: list[str]) -> tuple[JsonObject, JsonObject]:
    """The parameters that the form of an answer becomes, and what the answer says of it."""
    if value is None:
        return {}, {"format": {"type": "text"}}
    if not isinstance(value, dict):
        raise InvalidInput("invalid_parameter", name="text", expected="an object", found=json_type(value))
    strict_json.check_fields(value, allowed=("format", "verbosity"), required=())
    seen += [f"text.{name}" for name in ignored(value, ("verbosity",))]
    return form(value.get("format"), "text.format"), {"format": value.get("format") or {"type": "text"}}


def _chances(value: JsonObject) -> JsonObject:
    include = listed(value, "include")
    for name in include:
        if name != _CHANCES:
            found = shorten(name) if isinstance(name, str) else json_found(name)
            raise InvalidInput("invalid_parameter", name="include", expected=f"a list of {_CHANCES}", found=f"a list with {found}")
    top = integer(value, "top_logprobs", low=0, high=MAX_LIKELIEST)
    return {"details": True, **({"top_n_tokens": top} if top else {})} if include or top else {}


def _truncation(value: JsonObject) -> JsonObject:
    """Left out, the endpoint's policy."""
    if value.get("truncation") is None:
        return {}
    return {"truncation": choice(value, "truncation", ("disabled", "auto")) == "auto"}


def _inputs(memory: TalkMemory, tools: list[JsonValue]) -> JsonObject:
    """A talk that goes on is put together where it is recalled."""
    return {"messages": memory.begun(), **({"tools": tools} if tools else {})}


def _maybe(value: JsonObject, name: str) -> str:
    return "" if value.get(name) is None else text(value, name)


DOORS = (
    Door("/v1/responses", query=("beta",), read=read_response, post=operations.RESPONSES),
    Door("/v1/responses/input_tokens", query=("beta",), read=read_count, post=operations.COUNT_RESPONSE),
)
