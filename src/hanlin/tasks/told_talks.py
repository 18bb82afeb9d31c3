"""Talks as files tell them: OpenAI's fine-tuning files, ShareGPT's, plain lists of messages. Read into checked messages.

Source: OpenAI's reference of fine-tuning files: parts of text, the role `developer`, `weight` 0 of answers that are only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import Message, read_messages
from hanlin.tasks.examples import MAX_TEXT_BYTES, BadExample, read_json_field

_NAMES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}  # of ShareGPT's files
_TOOLS, _CALLS = ("tool", "function"), ("tool_calls", "function_call")
_LIMITS = Limits(max_text_bytes=MAX_TEXT_BYTES)


def read_talk(value: object) -> tuple[tuple[Message, ...], tuple[int, ...]]:
    """A talk to its last answer, and the places of the answers that are only read. Raises BadExample."""
    told = read_json_field(value)
    messages = check_talk(told)
    last = max((place for place, each in enumerate(messages) if each.role == "assistant"), default=-1)
    kept = messages[: last + 1]
    items = cast("list[dict[str, object]]", told)
    unlearned = tuple(place for place, each in enumerate(kept) if each.role == "assistant" and _weight(items[place]) == 0)
    if len(unlearned) == sum(each.role == "assistant" for each in kept):
        raise BadExample("no_answer")
    return kept, unlearned


def check_talk(value: object) -> tuple[Message, ...]:
    """Messages in our words. Raises BadExample."""
    items = value if isinstance(value, list) else []
    if any(isinstance(item, dict) and (item.get("role") in _TOOLS or any(map(item.get, _CALLS))) for item in items):
        raise BadExample("messages_tools")
    try:
        return read_messages([_plain(item) for item in items] or value, _LIMITS)
    except InvalidInput as error:
        raise BadExample("messages") from error


def first_asked(messages: Sequence[Message]) -> str:
    """What the user says first: talks that begin alike belong together."""
    return next((each.content for each in messages if each.role == "user"), messages[0].content)


def _plain(item: object) -> object:
    """A message of another library in our words; what cannot be put so stays, and is refused."""
    if not isinstance(item, dict):
        return item
    if {"from", "value"} <= item.keys():
        return {"role": _NAMES.get(str(item["from"]), item["from"]), "content": item["value"]}
    found = {name: value for name, value in item.items() if value is not None and name != "weight"}
    _weight(item)
    if found.get("role") == "developer":
        found["role"] = "system"
    if isinstance(parts := found.get("content"), list):
        found["content"] = _joined(parts)
    return found


def _joined(parts: list[object]) -> object:
    """The words of a list of text parts; the list itself where there is anything else."""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    is_text = len(texts) == len(parts) and all(isinstance(text, str) for text in texts)
    return "".join(cast("list[str]", texts)) if is_text else parts


def _weight(item: dict[str, object]) -> int:
    weight = item.get("weight", 1)
    if weight is None:
        return 1
    if isinstance(weight, bool) or weight not in (0, 1):
        raise BadExample("messages")
    return int(weight)
