"""OpenAI's client for Python: a call of a tool is made, answered and gone on from, whole and streamed, sync and async."""

import json
import os

import openai

KEYS = {"base_url": f"{os.environ['HANLIN_URL']}/v1", "api_key": os.environ["HANLIN_KEY"], "max_retries": 0}
PLACES = {"type": "object", "properties": {"at": {"enum": ["here", "there"]}}, "required": ["at"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "go", "description": "Goes.", "parameters": PLACES}}]
SAID = [{"role": "user", "content": "Where to?"}]
ASKED = {"model": "muse", "tools": TOOLS, "parallel_tool_calls": False, "max_tokens": 200}
ONE = {"type": "function", "function": {"name": "go"}}


def place_of(call) -> str:
    assert call.function.name == "go"
    return json.loads(call.function.arguments)["at"]


def check_a_call_and_the_turn_behind_it() -> None:
    client = openai.OpenAI(**KEYS)
    for choice in ("required", ONE):
        made = client.chat.completions.create(messages=SAID, tool_choice=choice, **ASKED).choices[0]
        (call,) = made.message.tool_calls
        assert (made.finish_reason, made.message.content) == ("tool_calls", None)
        assert place_of(call) in ("here", "there")
        told = {"role": "tool", "tool_call_id": call.id, "content": "gone"}
        talk = [*SAID, made.message, told]
        again = client.chat.completions.create(messages=talk, **ASKED | {"max_tokens": 6})
        assert again.usage.prompt_tokens > client.chat.completions.create(messages=SAID, **ASKED | {"max_tokens": 6}).usage.prompt_tokens
        assert again.usage.completion_tokens <= 6


def check_a_streamed_call_is_the_same() -> None:
    client = openai.OpenAI(**KEYS)
    whole = client.chat.completions.create(messages=SAID, tool_choice=ONE, **ASKED).choices[0].message.tool_calls[0]
    with client.chat.completions.stream(messages=SAID, tool_choice=ONE, **ASKED) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls[0].function.arguments == whole.function.arguments


def check_a_response_calls_and_goes_on() -> None:
    client = openai.OpenAI(**KEYS)
    flat = [{"type": "function", **TOOLS[0]["function"]}]
    asked = {"model": "muse", "tools": flat, "parallel_tool_calls": False}
    first = client.responses.create(input=SAID, tool_choice="required", max_output_tokens=200, **asked)
    (call,) = first.output
    assert (call.type, call.name) == ("function_call", "go")
    told = {"type": "function_call_output", "call_id": call.call_id, "output": "gone"}
    again = client.responses.create(input=[*SAID, call.model_dump(exclude_none=True), told], max_output_tokens=6, **asked)
    assert again.usage.input_tokens > first.usage.input_tokens


async def check_async() -> None:
    async with openai.AsyncOpenAI(**KEYS) as client:
        made = await client.chat.completions.create(messages=SAID, tool_choice="required", **ASKED)
        assert place_of(made.choices[0].message.tool_calls[0]) in ("here", "there")
        pieces = [
            call.function.arguments or ""
            async for chunk in await client.chat.completions.create(messages=SAID, tool_choice="required", stream=True, **ASKED)
            for choice in chunk.choices
            for call in choice.delta.tool_calls or []
        ]
        assert "".join(pieces) == made.choices[0].message.tool_calls[0].function.arguments
