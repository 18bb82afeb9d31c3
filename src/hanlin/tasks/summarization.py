"""Summarization: the gist of a text. Wire shapes of Hugging Face's task API."""

from __future__ import annotations

from hanlin.tasks.base import TASKS
from hanlin.tasks.examples import Column, ExampleForm
from hanlin.tasks.rouge import rouge_metrics
from hanlin.tasks.text_writing import TextWriting, writing_shape
from hanlin.tasks.written_texts import GROUP, WrittenTexts
from hanlin.types import JsonObject

_KEY = "summary_text"


@TASKS.register("summarization")
class Summarization(TextWriting):
    """What a text says, in fewer words."""

    name = "summarization"
    key = _KEY
    judge = staticmethod(rouge_metrics)
    main_metric = "rouge_l"
    figures: tuple[str, ...] = ("rouge_l", "rouge_1", "rouge_2")
    examples: ExampleForm = WrittenTexts(
        (
            Column("text", "text", aliases=("document", "article", "dialogue", "source", "content", "文本", "正文", "原文")),
            Column("summary", "text", aliases=("highlights", "target", "headline", "title", "摘要", "标题")),
            GROUP,
        )
    )
    shape = writing_shape(_KEY)
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "This package has the tools that draw graphs from text files. It reads the dot language.", "parameters": {}},
        "response": {"summary_text": "tools to draw graphs", "finish_reason": "stop"},
    }
