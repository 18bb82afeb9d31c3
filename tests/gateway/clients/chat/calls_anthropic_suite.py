"""Anthropic's client for Python: a tool is used, its result told and gone on from, whole and streamed, sync and async."""

import os

import anthropic

KEYS = {"base_url": os.environ["HANLIN_URL"], "api_key": os.environ["HANLIN_KEY"], "max_retries": 0}
PLACES = {"type": "object", "properties": {"at": {"enum": ["here", "there"]}}, "required": ["at"], "additionalProperties": False}
TOOLS = [{"name": "go", "description": "Goes.", "input_schema": PLACES}]
SAID = [{"role": "user", "content": "Where to?"}]
ASKED = {"model": "muse", "tools": TOOLS, "max_tokens": 200}
ANY = {"type": "any", "disable_parallel_tool_use": True}


def check_a_use_and_the_turn_behind_it() -> None:
    client = anthropic.Anthropic(**KEYS)
    for choice in (ANY, {"type": "tool", "name": "go", "disable_parallel_tool_use": True}):
        made = client.messages.create(messages=SAID, tool_choice=choice, **ASKED)
        (used,) = made.content
        assert (made.stop_reason, used.type, used.name) == ("tool_use", "tool_use", "go")
        assert used.input["at"] in ("here", "there")
        result = {"type": "tool_result", "tool_use_id": used.id, "content": "gone"}
        talk = [*SAID, {"role": "assistant", "content": made.content}, {"role": "user", "content": [result]}]
        again = client.messages.create(messages=talk, **ASKED | {"max_tokens": 6})
        assert again.usage.input_tokens > made.usage.input_tokens
        assert client.messages.count_tokens(model="muse", tools=TOOLS, messages=talk).input_tokens == again.usage.input_tokens


def check_a_streamed_use_is_the_same() -> None:
    client = anthropic.Anthropic(**KEYS)
    whole = client.messages.create(messages=SAID, tool_choice=ANY, **ASKED).content[0]
    with client.messages.stream(messages=SAID, tool_choice=ANY, **ASKED) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.content[0].input) == ("tool_use", whole.input)


async def check_async() -> None:
    async with anthropic.AsyncAnthropic(**KEYS) as client:
        made = await client.messages.create(messages=SAID, tool_choice=ANY, **ASKED)
        assert made.content[0].input["at"] in ("here", "there")
        async with client.messages.stream(messages=SAID, tool_choice=ANY, **ASKED) as stream:
            assert (await stream.get_final_message()).content[0].input == made.content[0].input
