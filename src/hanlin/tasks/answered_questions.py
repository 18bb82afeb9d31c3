"""How examples of questions about contexts are read, out of SQuAD's lists and plainer columns. Networks are not known here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hanlin.tasks.examples import BadExample, Column, Example, canonical, read_json_field
from hanlin.tasks.examples import check_text as read_text
from hanlin.types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class AnsweredQuestions:
    """A question about a context, and its answers with their places; an empty list: the context holds none."""

    columns: tuple[Column, ...] = (
        Column("context", "text", aliases=("passage", "paragraph", "document", "上下文", "段落", "原文")),
        Column("question", "text", aliases=("query", "问题")),
        Column("answers", "json", aliases=("answer", "答案")),
    )
    formats: tuple[str, ...] = ("squad",)
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`: a context stands in one split with all its questions."""
        context, question = read_text(fields.get("context")), read_text(fields.get("question"))
        answers: list[JsonValue] = [*_read_answers(fields.get("answers"), context)]
        annotation = canonical({"question": question, "answers": answers})
        return Example(context, annotation, (), identity=canonical([question, context]), group=context)

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`."""
        return {"question": json.loads(annotation)["question"], "context": text}


def _read_answers(value: object, context: str) -> list[JsonObject]:
    """Answers `{"text", "start"}`, out of lists of such, SQuAD's two lists, or plain texts. Raises BadExample."""
    found = read_json_field(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value
    if found is None or found == "":
        return []
    if isinstance(found, str):
        found = [found]
    if isinstance(found, dict):
        texts, starts = found.get("text", []), found.get("answer_start", found.get("start", []))
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise BadExample("answers")
        found = [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(found, list):
        raise BadExample("answers")
    return [_read_answer(item, context) for item in found]


def _read_answer(item: object, context: str) -> JsonObject:
    text = item if isinstance(item, str) else item.get("text") if isinstance(item, dict) else None
    start = item.get("answer_start", item.get("start")) if isinstance(item, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise BadExample("answers")
    if start is None or start == -1:
        start = context.find(text)
    if not isinstance(start, int) or isinstance(start, bool) or start < 0 or context[start : start + len(text)] != text:
        raise BadExample("answer_place")
    return {"text": text, "start": start}
