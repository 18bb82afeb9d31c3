"""Examples of models that go on with what they read: raw texts, or talks whose answers are learned. And what their figures are.

    {"messages": [{"content": "Hello", "role": "user"}, {"content": "Good day.", "role": "assistant"}]}

A raw text has no annotation: all of it is learned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import Message, read_messages
from hanlin.tasks.examples import MAX_TEXT_BYTES, BadExample, Column, Example, canonical, check_text, read_json_field
from hanlin.tasks.ranking_metrics import ScalarMetrics, resampled
from hanlin.types import JsonObject, JsonValue

_NAMES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}  # of ShareGPT's files
_LIMITS = Limits(max_text_bytes=MAX_TEXT_BYTES)


@dataclass(frozen=True, slots=True)
class ContinuedTexts:
    """See `ExampleForm`."""

    columns: tuple[Column, ...] = (
        Column("text", "text", aliases=("content", "document", "paragraph", "文本", "内容", "正文"), stand_in="messages"),
        Column("messages", "json", aliases=("conversation", "conversations", "dialogue", "对话", "消息"), is_optional=True),
    )
    formats: tuple[str, ...] = ("txt",)
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`. A talk must have an answer; what stands behind its last one is left out."""
        if fields.get("messages") is None:
            return Example(check_text(fields.get("text")), "")
        try:
            messages = read_messages(_as_openai(read_json_field(fields["messages"])), _LIMITS)
        except InvalidInput as error:
            raise BadExample("messages") from error
        last = max((place for place, each in enumerate(messages) if each.role == "assistant"), default=-1)
        if last < 0:
            raise BadExample("no_answer")
        kept = messages[: last + 1]
        said: list[JsonValue] = [each.to_json() for each in kept]
        first = next((each.content for each in kept if each.role == "user"), kept[0].content)
        return Example("\n".join(each.content for each in kept), canonical({"messages": said}), group=first)

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text, or the talk."""
        return cast("JsonObject", json.loads(annotation)) if annotation else text


def messages_of(annotation: str) -> tuple[Message, ...]:
    """The talk of a stored example; empty for a raw text."""
    if not annotation:
        return ()
    found = cast("list[dict[str, str]]", json.loads(annotation)["messages"])
    return tuple(Message(each["role"], each["content"]) for each in found)  # type: ignore[arg-type]  # checked when it was read


def _as_openai(value: object) -> object:
    """ShareGPT's `from` and `value` are `role` and `content` here."""
    if not isinstance(value, list):
        return value
    return [
        {"role": _NAMES.get(str(item["from"]), item["from"]), "content": item["value"]}
        if isinstance(item, dict) and {"from", "value"} <= item.keys() else item
        for item in value
    ]  # fmt: skip


def likelihood_metrics(logs: Sequence[float], tokens: Sequence[int], right: Sequence[int], sizes: Sequence[int]) -> ScalarMetrics:
    """What a model thinks of held-out texts, all of them together.

    Args:
        logs: natural logarithm of each text's chance; tokens: how many of its tokens that counts; right: of how many none was likelier;
        sizes: its bytes in UTF-8.

    Returns:
        `accuracy` of the next token (with the interval), `perplexity` a token, and `bits_per_byte`, which does not depend on the tokenizer.
    """
    assert logs, "metrics of no rows mean nothing"
    log, token, hit, size = (np.array(values, dtype=np.float64) for values in (logs, tokens, right, sizes))
    values = {
        "accuracy": _share(hit.sum(), token.sum()),
        "perplexity": math.exp(min(700.0, -_share(log.sum(), token.sum()))),
        "bits_per_byte": -_share(log.sum(), size.sum()) / math.log(2),
    }
    return ScalarMetrics(len(logs), values, resampled(len(logs), lambda drawn: _share(hit[drawn].sum(), token[drawn].sum())))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
