"""OpenAI's chat completions. Source: its reference of `/v1/chat/completions`. The model is the endpoint.

What is not sent is as the version writes by itself. What cannot be done is refused by name; what changes nothing is named in
`X-Hanlin-Ignored`.
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import generation_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.chat_talk import talk
from hanlin.gateway.chat_wire import Chat, ChatStream
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import endpoint_of, flag, integer, untaken
from hanlin.gateway.generation_fields import MAX_LIKELIEST, MAX_SEQUENCES, SAMPLING, TASK, form, ignored, length, listed, sampling, stops
from hanlin.gateway.tool_fields import chosen
from hanlin.types import JsonObject, JsonValue, json_type

IGNORED = (
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "reasoning_effort", "verbosity",
)  # fmt: skip
UNTAKEN = ("audio", "prediction", "web_search_options", "functions", "function_call", "moderation", "tool_prompt")
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_FIELDS = (
    "model", "messages", "stream", "stream_options", "n", "stop", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
    "response_format", "modalities", *SAMPLING, *IGNORED, *_TOOLS, *UNTAKEN,
)  # fmt: skip


def read_chat(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("messages",) if endpoint else ("model", "messages"))
    model = endpoint if endpoint and value.get("model") is None else endpoint_of(value)
    untaken(value, UNTAKEN)
    _check_modalities(value.get("modalities"))
    tools = listed(value, "tools")
    choice = chosen(value, tools)
    called = tools if value.get("tool_choice") != "none" else []
    is_streamed, has_usage = stream_of(value)
    seen = ignored(value, IGNORED)
    messages = talk(value["messages"], seen)
    count = integer(value, "n", low=1, high=MAX_SEQUENCES) or 1
    chances = _chances(value)
    chat = Chat(model, count, tools=called, has_chances=bool(chances), has_usage=has_usage, ignored=tuple(seen))
    parameters = (
        sampling(value) | length(value, "max_completion_tokens", "max_tokens") | stops(value, "stop")
        | form(value.get("response_format"), "response_format") | chances | ({"num_return_sequences": count} if count > 1 else {})
        | choice
    )  # fmt: skip
    stream = ChatStream(chat) if is_streamed else None
    return Ask(
        endpoint or model, {"messages": messages, **({"tools": called} if called else {})}, parameters, TASK, chat.write, stream=stream
    )


def stream_of(value: JsonObject) -> tuple[bool, bool]:
    """Whether the answer is wanted in parts, and its tokens told at the end. Raises InvalidInput (`invalid_parameter`)."""
    is_streamed = flag(value, "stream", default=False)
    options = value.get("stream_options")
    if options is None:
        return is_streamed, False
    if not isinstance(options, dict) or not is_streamed:
        expected = "an object" if is_streamed else "null where stream is false"
        raise InvalidInput("invalid_parameter", name="stream_options", expected=expected, found=json_type(options))
    strict_json.check_fields(options, allowed=("include_usage", "include_obfuscation"), required=())
    if flag(options, "include_obfuscation", default=False):
        raise InvalidInput("field_not_taken", name="stream_options.include_obfuscation")
    return True, flag(options, "include_usage", default=False)


def _check_modalities(value: JsonValue) -> None:
    if value not in (None, ["text"]):
        raise InvalidInput("field_not_taken", name="modalities")


def _chances(value: JsonObject) -> JsonObject:
    """Parameters that ask for the tokens' chances."""
    is_told = flag(value, "logprobs", default=False)
    top = integer(value, "top_logprobs", low=0, high=MAX_LIKELIEST)
    if top and not is_told:
        raise InvalidInput("invalid_parameter", name="logprobs", expected="true beside top_logprobs", found="false")
    return {"details": True, **({"top_n_tokens": top} if top else {})} if is_told else {}


DOORS = (
    Door("/v1/chat/completions", read=read_chat, post=operations.CHAT),
    Door("/hf/{endpoint}/v1/chat/completions", read=read_chat, post=operations.HF_CHAT),
    Door("/models/{endpoint}/v1/chat/completions", read=read_chat, post=operations.MODEL_CHAT),
)
