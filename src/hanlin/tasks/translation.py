"""Translation: a text in another language. Wire shapes of Hugging Face's task API."""

from __future__ import annotations

from hanlin.tasks.base import TASKS
from hanlin.tasks.examples import Column, ExampleForm
from hanlin.tasks.text_writing import TextWriting, writing_shape
from hanlin.tasks.translation_metrics import translation_metrics
from hanlin.tasks.written_texts import GROUP, WrittenTexts
from hanlin.types import JsonObject

_KEY = "translation_text"


@TASKS.register("translation")
class Translation(TextWriting):
    """The same in another language."""

    name = "translation"
    key = _KEY
    judge = staticmethod(translation_metrics)
    main_metric = "chrf"
    figures: tuple[str, ...] = ("chrf", "bleu")
    examples: ExampleForm = WrittenTexts(
        (
            Column("source", "text", aliases=("src", "source_text", "原文", "源文本")),
            Column("target", "text", aliases=("tgt", "translation", "target_text", "译文", "目标文本")),
            GROUP,
        ),
        formats=("tmx",),
        holder="translation",
    )
    shape = writing_shape(_KEY)
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "Inserts a new row above the cursor.", "parameters": {"num_beams": 4}},
        "response": {"translation_text": "在光标上方插入新行。", "finish_reason": "stop"},
    }
