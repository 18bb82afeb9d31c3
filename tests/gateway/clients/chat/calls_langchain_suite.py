"""langchain's chat model for OpenAI's API: bound tools are called and answered, and structured output is of its class."""

import os
from typing import Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ConfigDict


class Way(BaseModel):
    """Where to go."""

    model_config = ConfigDict(extra="forbid")  # a network that writes rubbish would add to it without end
    at: Literal["here", "there"]
    is_far: bool


@tool
def go(at: Literal["here", "there"]) -> str:
    """Goes."""
    return f"gone {at}"


def model() -> ChatOpenAI:
    url, key = f"{os.environ['HANLIN_URL']}/v1", os.environ["HANLIN_KEY"]
    return ChatOpenAI(model="muse", base_url=url, api_key=key, temperature=0, max_tokens=200, max_retries=0)


def check_a_bound_tool_is_called_and_answered() -> None:
    for choice in ("any", "go"):
        bound = model().bind_tools([go], tool_choice=choice, parallel_tool_calls=False)
        asked = HumanMessage("Where to?")
        made = bound.invoke([asked])
        (call,) = made.tool_calls
        answer = go.invoke(call)
        assert isinstance(answer, ToolMessage)
        assert answer.content in ("gone here", "gone there")
        again = model().bind_tools([go]).invoke([asked, made, answer], max_tokens=6)
        assert again.usage_metadata["input_tokens"] > made.usage_metadata["input_tokens"]
        streamed = None
        for chunk in bound.stream([asked]):
            streamed = chunk if streamed is None else streamed + chunk
        assert [each["args"] for each in streamed.tool_calls] == [call["args"]]


def check_structured_output_is_of_its_class() -> None:
    for method in ("function_calling", "json_schema"):
        assert isinstance(model().with_structured_output(Way, method=method).invoke("Where to?"), Way), method


async def check_async() -> None:
    found = await model().with_structured_output(Way, method="function_calling").ainvoke("Where to?")
    assert found.at in ("here", "there")
