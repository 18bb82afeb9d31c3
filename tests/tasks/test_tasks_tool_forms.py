"""Talks with tools among other items of a call: each answer is told by its own talk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanlin.generation import GenerationSettings
from hanlin.models.tokenizers import train_tokenizer
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.chat_form import CHATML, CHATML_TOKENS, ChatForm, ChatTemplate
from hanlin.tasks.encoding import TextEncoder
from hanlin.types import JsonObject, JsonValue

TASK = TASKS.get("text-generation")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("chat", "stops", "beside"),
    [
        (replace(CHATML, tools="hermes"), ("</tool_call>",), {}),
        (ChatTemplate("{{ messages[0].content }}{{ tools }}", tools="llama"), (), {"tool_form": "llama", "most_calls": 1}),
        (ChatTemplate("{{ messages[0].content }}{{ tools }}", tools="own"), ("</tool_call>",), {}),
    ],
    ids=["hermes", "llama", "own"],
)
def test_each_row_is_told_as_it_would_be_alone(chat: ChatForm | ChatTemplate, stops: tuple[str, ...], beside: JsonObject) -> None:
    """Bug: a text beside a talk with tools ended, and was told, as the talk's answer."""
    tokenizer = train_tokenizer(["What is 2 + 2?"], "byte-bpe", 280)
    tokenizer.add_special_tokens([*CHATML_TOKENS])
    spec = ModelSpec("text-generation", (), 512, 0, generation=GenerationSettings(stop_ids=(3,)), chat=chat)
    talk: JsonObject = {"messages": [{"role": "user", "content": "x"}]}
    items: JsonValue = ["x", {**talk, "tools": [TOOL]}, talk]
    request = TASK.check(items, {"parallel_tool_calls": False, "num_return_sequences": 2}, limits=Limits())
    streams = TASK.streams(request, TASK.encode(request, TextEncoder(tokenizer, spec), spec))
    assert [(stream.stops, stream.beside) for stream in streams] == [((), {})] * 2 + [(stops, beside)] * 2 + [((), {})] * 2
