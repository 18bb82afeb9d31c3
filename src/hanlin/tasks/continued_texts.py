"""Examples of models that go on with what they read, and what their figures are. An annotation says which part of a text is learned:

    all of it                        no annotation
    what the assistant says          {"messages": [{"content": "Hello", "role": "user"}, {"content": "Good day.", "role": "assistant"}]}
    what stands behind a prompt      {"completion": " Rome", "prompt": "The capital of Italy is"}

Each of the last two may have an answer that is worse beside it, `rejected`: preference pairs, see `tasks/preferences.py`. A talk may have
answers that are only read: `unlearned`, their places.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np

from hanlin.tasks.chat import Message
from hanlin.tasks.examples import Column, Example, canonical, check_text
from hanlin.tasks.preferences import read_pair
from hanlin.tasks.ranking_metrics import ScalarMetrics, resampled
from hanlin.tasks.told_talks import first_asked, read_talk
from hanlin.types import JsonObject, JsonValue


class Passage(NamedTuple):
    """A text of which the second part is learned."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class ContinuedTexts:
    """See `ExampleForm`."""

    columns: tuple[Column, ...] = (
        Column("text", "text", aliases=("content", "document", "paragraph", "文本", "内容", "正文"), is_optional=True, stand_in="messages"),
        Column("messages", "json", aliases=("conversation", "conversations", "dialogue", "对话", "消息"), is_optional=True),
        Column("prompt", "json", aliases=("input", "提示", "提示词"), is_optional=True),
        Column("completion", "text", aliases=("response", "补全", "回复"), is_optional=True),
        Column("chosen", "json", aliases=("preferred_output", "preferred", "首选"), is_optional=True),
        Column("rejected", "json", aliases=("non_preferred_output", "dispreferred", "次选"), is_optional=True),
    )
    formats: tuple[str, ...] = ("txt",)
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`. The richest form that the fields make: a pair, a talk, a prompt with its completion, a text."""
        if fields.get("chosen") is not None or fields.get("rejected") is not None:
            return read_pair(fields.get("prompt"), fields.get("chosen"), fields.get("rejected"))
        if fields.get("messages") is not None:
            messages, unlearned = read_talk(fields["messages"])
            said: JsonObject = {"messages": [each.to_json() for each in messages]}
            said |= {"unlearned": [*unlearned]} if unlearned else {}
            return Example("\n".join(each.content for each in messages), canonical(said), group=first_asked(messages))
        if fields.get("text") is None and fields.get("completion") is not None:
            return _completed(fields.get("prompt"), check_text(fields["completion"]))
        return Example(check_text(fields.get("text")), "")

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text, or the talk with the better answer."""
        messages = messages_of(annotation)
        return {"messages": [each.to_json() for each in messages]} if messages else text


def _completed(prompt: object, completion: str) -> Example:
    if prompt is None or prompt == "":
        return Example(completion, "")
    prompt = check_text(prompt)
    return Example(f"{prompt}{completion}", canonical({"prompt": prompt, "completion": completion}), group=prompt)


def messages_of(annotation: str) -> tuple[Message, ...]:
    """The talk of a stored example, with the better answer where there are two; empty where it is none."""
    if not annotation:
        return ()
    found = cast("list[dict[str, str]]", json.loads(annotation).get("messages", []))
    return tuple(Message(each["role"], each["content"]) for each in found)  # type: ignore[arg-type]  # checked when it was read


def unlearned_of(annotation: str) -> frozenset[int]:
    """Places of those messages of the assistant in a stored talk that are only read."""
    return frozenset(json.loads(annotation).get("unlearned", ())) if annotation else frozenset()


def passage_of(annotation: str) -> Passage | None:
    """The prompt of a stored example and what stands behind it; None where it has none."""
    found = json.loads(annotation) if annotation else {}
    return Passage(found["prompt"], found["completion"]) if "completion" in found else None


def rejected_of(annotation: str) -> str | None:
    """The worse answer of a stored pair; None where it is none."""
    found: str | None = json.loads(annotation).get("rejected") if annotation else None
    return found


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
