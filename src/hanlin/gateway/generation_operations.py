"""The description of the doors of text generation."""

from __future__ import annotations

from dataclasses import replace

from hanlin.gateway.operation import MESSAGE_ERROR, Operation, answer_of, body_of
from hanlin.gateway.schemas import FLAG, MAYBE_COUNT, MAYBE_WORD, TEXT, TEXTS, WHOLE, WORD, const, many
from hanlin.types import JsonObject

_MAYBE_NUMBER: JsonObject = {"type": ["number", "null"]}
_MAYBE_WHOLE: JsonObject = {"type": ["integer", "null"]}
_MAYBE_OBJECT: JsonObject = {"type": ["object", "null"]}
_ANY: JsonObject = {}
_IGNORED: JsonObject = {"description": "taken whatever it is, changes nothing, and is named in `X-Hanlin-Ignored`"}
_IGNORED_OF_CHATS: dict[str, JsonObject] = dict.fromkeys(
    (
        "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    ),
    _IGNORED,
)  # fmt: skip
_NULL: JsonObject = {"type": "null"}
_CHOICE_OF_TOOLS: JsonObject = {
    "description": "`none`, `auto`, `required`, or one function: what must be called is called, with arguments by the tool's own schema"
}
_TOOLS: dict[str, JsonObject] = {
    "tools": {"type": ["array", "null"]}, "tool_choice": _CHOICE_OF_TOOLS,
    "parallel_tool_calls": {
        "type": ["boolean", "null"],
        "description": "false: at most one call; what is written behind it is left out",
    },
}  # fmt: skip
_COUNT: JsonObject = {"type": ["integer", "null"], "minimum": 1, "maximum": 16}
_STOP: JsonObject = {"anyOf": [WORD, many(WORD) | {"maxItems": 16}, {"type": "null"}]}
_FINISH: JsonObject = {"enum": ["stop", "length", "tool_calls"]}
_USAGE: JsonObject = answer_of(prompt_tokens=WHOLE, completion_tokens=WHOLE, total_tokens=WHOLE)
_STREAM_OPTIONS: JsonObject = {
    "anyOf": [body_of(include_usage=FLAG, include_obfuscation={"enum": [False, None]}), {"type": "null"}],
    "description": "beside `stream` only",
}  # fmt: skip
_STREAM: JsonObject = FLAG | {"description": "the answer in parts, as server-sent events"}
_FORM: JsonObject = _MAYBE_OBJECT | {
    "description": '`{"type": "text"}`, `json_object`, `json_schema` with `json_schema.schema`; `regex` or `lark` with `value`'
}
_SAMPLING: dict[str, JsonObject] = {
    "temperature": _MAYBE_NUMBER | {"minimum": 0, "maximum": 2, "description": "0: the likeliest token each time"}, "top_p": _MAYBE_NUMBER,
    "top_k": MAYBE_COUNT, "seed": _MAYBE_WHOLE, "presence_penalty": _MAYBE_NUMBER, "frequency_penalty": _MAYBE_NUMBER,
    "repetition_penalty": _MAYBE_NUMBER, "logit_bias": _MAYBE_OBJECT,
}  # fmt: skip
_MESSAGE: JsonObject = {
    "type": "object", "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"anyOf": [WORD, many({"type": "object"}), {"type": "null"}]}, "tool_calls": many({"type": "object"}),
        "tool_call_id": WORD,
    },
}  # fmt: skip
_STREAMED = (
    "With `stream`, `text/event-stream`: chunks as OpenAI has them, `data: [DONE]` at the end, an event with `error` instead if it fails."
)
_PARTS: JsonObject = answer_of(role=const("assistant"), content={"type": ["string", "null"]})
_CHAT_CHOICE: JsonObject = answer_of(index=WHOLE, message=_PARTS, finish_reason=_FINISH, logprobs=_MAYBE_OBJECT)
_CHAT_ANSWER: JsonObject = answer_of(
    id=WORD, object=const("chat.completion"), created=WHOLE, model=WORD, choices=many(_CHAT_CHOICE), usage=_USAGE
)  # fmt: skip
_ASKED: JsonObject = {"model": "poet", "messages": [{"role": "user", "content": "good w20"}]}
_CHAT_BODY: JsonObject = body_of(
    "messages", model=MAYBE_WORD, messages=many(_MESSAGE) | {"minItems": 1}, max_tokens=MAYBE_COUNT, max_completion_tokens=MAYBE_COUNT,
    n=_COUNT, stop=_STOP, stream=_STREAM, stream_options=_STREAM_OPTIONS, logprobs=FLAG, top_logprobs=_MAYBE_WHOLE, response_format=_FORM,
    modalities={"anyOf": [many(const("text")), {"type": "null"}]}, **_SAMPLING, **_TOOLS,
    **_IGNORED_OF_CHATS, store=_IGNORED, metadata=_IGNORED, reasoning_effort=_IGNORED, verbosity=_IGNORED,
    audio=_NULL, prediction=_NULL, web_search_options=_NULL, functions=_NULL, function_call=_NULL, moderation=_NULL, tool_prompt=_NULL,
)  # fmt: skip
CHAT = Operation(
    "create_chat_completion", "openai", "An answer in a talk; `model` is the endpoint", _CHAT_ANSWER,
    {
        "id": "chatcmpl-9d2c41f0", "object": "chat.completion", "created": 1767225600, "model": "poet",
        "choices": [
            {
                "index": 0, "message": {"role": "assistant", "content": "疑是地上霜。", "refusal": None}, "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 17, "completion_tokens": 9, "total_tokens": 26},
    },
    _CHAT_BODY, {"text-generation": _ASKED, "text-generation, short": _ASKED | {"max_completion_tokens": 4, "temperature": 0}},
    about=f"What is not sent is as the version writes by itself; what changes nothing is named in `X-Hanlin-Ignored`. {_STREAMED}",
)  # fmt: skip
_DUMMY: dict[str, JsonObject] = {"text-generation": _ASKED}
HF_CHAT = replace(CHAT, name="hf_chat_completion", tag="hugging face", summary="The same for the endpoint of the address", examples=_DUMMY)
MODEL_CHAT = replace(HF_CHAT, name="chat_completion_of_endpoint", tag="inference")
_CHOICE: JsonObject = answer_of(index=WHOLE, text=WORD, finish_reason=_FINISH, logprobs=_MAYBE_OBJECT)
COMPLETIONS = Operation(
    "create_completion", "openai", "What comes next; `model` is the endpoint",
    answer_of(id=WORD, object=const("text_completion"), created=WHOLE, model=WORD, choices=many(_CHOICE), usage=_USAGE),
    {
        "id": "cmpl-9d2c41f0", "object": "text_completion", "created": 1767225600, "model": "poet",
        "choices": [{"index": 0, "text": "疑是地上霜。", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
    },
    body_of(
        "model", "prompt", model=WORD, prompt={"anyOf": [TEXT, TEXTS]}, max_tokens=MAYBE_COUNT, n=_COUNT, best_of=_COUNT, stop=_STOP,
        echo={"type": ["boolean", "null"]}, stream=_STREAM, stream_options=_STREAM_OPTIONS, logprobs=_MAYBE_WHOLE, response_format=_FORM,
        suffix={"type": "null"}, user=MAYBE_WORD, **_SAMPLING,
    ),
    {"text-generation": {"model": "poet", "prompt": "床前明月光，", "max_tokens": 12, "temperature": 0}},
    about=f"Nothing sent, 16 tokens are written; all else is as the version writes by itself. {_STREAMED}",
)  # fmt: skip
_BLOCK: JsonObject = answer_of(type=const("text"), text=WORD)
_TALK: dict[str, JsonObject] = {
    "model": WORD, "messages": many(_MESSAGE) | {"minItems": 1}, "system": {"anyOf": [WORD, many(_BLOCK), {"type": "null"}]},
    "thinking": _MAYBE_OBJECT, "tools": {"type": ["array", "null"]}, "tool_choice": _ANY, "output_config": _MAYBE_OBJECT,
    **dict.fromkeys(
        ("metadata", "service_tier", "cache_control", "inference_geo", "speed", "diagnostics", "user_profile_id", "workspace_id"), _ANY
    ),
    "container": _NULL, "mcp_servers": _NULL, "context_management": _NULL,
}  # fmt: skip
MESSAGES = Operation(
    "create_message", "anthropic", "An answer in a talk; `model` is the endpoint",
    answer_of(
        id=WORD, type=const("message"), role=const("assistant"), model=WORD, content=many(_BLOCK), stop_reason=WORD,
        stop_sequence=MAYBE_WORD, usage=answer_of(input_tokens=WHOLE, output_tokens=WHOLE),
    ),
    {
        "id": "msg_9d2c41f0", "type": "message", "role": "assistant", "model": "poet",
        "content": [{"type": "text", "text": "疑是地上霜。"}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 17, "output_tokens": 9},
    },
    body_of(
        "model", "messages", "max_tokens", **_TALK, max_tokens=WHOLE, stop_sequences=_STOP,
        stream=_STREAM, temperature=_MAYBE_NUMBER, top_k=MAYBE_COUNT, top_p=_MAYBE_NUMBER,
    ),
    {"text-generation": _ASKED | {"max_tokens": 8}},
    about="The key may stand in `x-api-key`. With `stream`, events from `message_start` to `message_stop`; an `error` event if it fails.",
    error=MESSAGE_ERROR,
)  # fmt: skip
COUNT = Operation(
    "count_message_tokens", "anthropic", "How many tokens a talk has for the endpoint; nothing is written",
    answer_of(input_tokens=WHOLE), {"input_tokens": 17}, body_of("model", "messages", **_TALK), {"text-generation": _ASKED},
    error=MESSAGE_ERROR,
)  # fmt: skip
_ITEM: JsonObject = {
    "anyOf": [
        answer_of(id=WORD, type=const("message"), role=const("assistant"), status=WORD, content=many({"type": "object"})),
        answer_of(id=WORD, type=const("function_call"), call_id=WORD, name=WORD, arguments=WORD, status=WORD),
    ]
}
RESPONSES = Operation(
    "create_response", "openai", "An answer to a text or in a talk; `model` is the endpoint",
    answer_of(
        id=WORD, object=const("response"), created_at=WHOLE, status={"enum": ["completed", "incomplete"]}, model=WORD, output=many(_ITEM),
        usage=answer_of(input_tokens=WHOLE, output_tokens=WHOLE, total_tokens=WHOLE),
    ),
    {
        "id": "resp_9d2c41f0", "object": "response", "created_at": 1767225600, "status": "completed", "model": "poet",
        "output": [
            {
                "id": "msg_9d2c41f0", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "疑是地上霜。", "annotations": [], "logprobs": []}],
            }
        ],
        "usage": {"input_tokens": 17, "output_tokens": 9, "total_tokens": 26},
    },
    body_of(
        "model", "input", model=WORD, input={"anyOf": [TEXT, many({"type": "object"}) | {"minItems": 1}]}, instructions=MAYBE_WORD,
        max_output_tokens=MAYBE_COUNT, temperature=_MAYBE_NUMBER, top_p=_MAYBE_NUMBER, stream=_STREAM, text=_MAYBE_OBJECT,
        truncation={"enum": ["auto", "disabled", None], "description": "left out, the endpoint's policy"}, top_logprobs=_MAYBE_WHOLE,
        include={"anyOf": [many(const("message.output_text.logprobs")), _NULL]}, metadata=_MAYBE_OBJECT, background=FLAG,
        **_TOOLS, **_IGNORED_OF_CHATS, reasoning=_IGNORED, max_tool_calls=_IGNORED, stream_options=_IGNORED,
        store={"type": ["boolean", "null"], "description": "whether others may go on from the answer; left out, they may"},
        previous_response_id=MAYBE_WORD | {"description": "a stored response whose talk goes on"},
        conversation=_NULL, prompt=_NULL, context_management=_NULL,
        moderation=_NULL, image=_NULL, background_options=_NULL,
    ),
    {"text-generation": {"model": "poet", "input": "good w20", "max_output_tokens": 8}},
    about="The answer and the items of `input` are stored for the caller's team alone, unless `store` is false. "
    "With `stream`, events from `response.created` to `response.completed`; `error` if it fails.",
)  # fmt: skip
COUNT_RESPONSE = Operation(
    "count_response_tokens", "openai", "How many tokens a response would read; nothing is written",
    answer_of(object=const("response.input_tokens"), input_tokens=WHOLE), {"object": "response.input_tokens", "input_tokens": 17},
    body_of(
        "model", "input", model=WORD, input={"anyOf": [TEXT, many({"type": "object"}) | {"minItems": 1}]}, instructions=MAYBE_WORD,
        text=_MAYBE_OBJECT, truncation={"enum": ["auto", "disabled", None]}, **_TOOLS, previous_response_id=MAYBE_WORD,
        reasoning=_IGNORED, personality=_IGNORED, conversation=_NULL,
    ),
    {"text-generation": {"model": "poet", "input": "good w20"}},
)  # fmt: skip
