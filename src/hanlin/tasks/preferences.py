"""Preference pairs: one question, a better and a worse answer. As OpenAI's files have them, and as open data sets do.

{"input": {"messages": [...]}, "preferred_output": [{"role": "assistant", ...}], "non_preferred_output": [...]}
{"prompt": [...], "chosen": [...], "rejected": [...]}       lists of messages; whole talks without `prompt`
{"prompt": "…", "chosen": "…", "rejected": "…"}             texts, taken as they are; whole texts without `prompt`
"""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.tasks.chat import Message
from hanlin.tasks.examples import BadExample, Example, canonical, check_text, read_json_field
from hanlin.tasks.told_talks import check_talk, first_asked


def read_pair(prompt: object, chosen: object, rejected: object) -> Example:
    """The example; the same two answers the other way round are another answer to the same question. Raises BadExample."""
    asked, better, worse = (_told(value) for value in (prompt, chosen, rejected))
    if better is None or worse is None:
        raise BadExample("pair_missing")
    if isinstance(better, str) != isinstance(worse, str):
        raise BadExample("pair_kinds")
    if isinstance(asked, list) and isinstance(better, str) and isinstance(worse, str):
        better, worse = ([{"role": "assistant", "content": answer}] for answer in (better, worse))
    if isinstance(better, list) and isinstance(worse, list):
        return _of_talks(_talk(asked, better), _talk(asked, worse))
    if not isinstance(better, str) or not isinstance(worse, str) or not isinstance(asked, str | None):
        raise BadExample("pair_kinds")
    return _of_texts(asked, better, worse)


def _told(value: object) -> object:
    """A text as it is; messages as a list, whether a table tells them as JSON or an object holds them."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            found = read_json_field(value)
        except BadExample:
            return value  # a text that begins so
        value = found if isinstance(found, list | dict) and _has_roles(found) else value
    if isinstance(value, dict):
        return value.get("messages", [value])
    return value


def _has_roles(found: object) -> bool:
    items = found.get("messages", [found]) if isinstance(found, dict) else found
    return isinstance(items, list) and all(isinstance(item, dict) and "role" in item for item in items)


def _talk(asked: object, answer: list[object]) -> tuple[Message, ...]:
    """Question and answer as one talk; an answer may repeat the question."""
    found = check_talk(answer)
    if isinstance(asked, str) and asked:
        asked = [] if found[0].role != "assistant" else [{"role": "user", "content": asked}]
    if not asked:
        return found
    before = check_talk(asked)
    return found if found[: len(before)] == before else (*before, *found)


def _of_talks(better: Sequence[Message], worse: Sequence[Message]) -> Example:
    before = better[:-1]
    if not before or before != worse[:-1] or better[-1].role != "assistant" or worse[-1].role != "assistant":
        raise BadExample("pair_answer")
    answers = _apart(better[-1].content, worse[-1].content)
    annotation = canonical({"messages": [each.to_json() for each in better], "rejected": worse[-1].content})
    asked = "\n".join(each.content for each in before)
    return Example(f"{asked}\n{answers[0]}", annotation, identity=_identity(asked, answers), group=first_asked(before))


def _of_texts(prompt: str | None, better: str, worse: str) -> Example:
    if not prompt:
        prompt = _common(better, worse)
        better, worse = better[len(prompt) :], worse[len(prompt) :]
    better, worse = _apart(check_text(better), check_text(worse))
    if prompt:
        check_text(prompt)
    annotation = canonical({"prompt": prompt, "completion": better, "rejected": worse})
    return Example(f"{prompt}{better}", annotation, identity=_identity(prompt, (better, worse)), group=prompt)


def _common(one: str, other: str) -> str:
    """What both begin with, to before its last space: that belongs to the word behind it."""
    size = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    prefix = one[:size]
    return prefix[: max(0, prefix.rfind(" "), prefix.rfind("\n"))]


def _apart(better: str, worse: str) -> tuple[str, str]:
    if better == worse:
        raise BadExample("pair_same")
    return better, worse


def _identity(asked: str, answers: tuple[str, str]) -> str:
    return "\n".join([asked, *sorted(answers)])
