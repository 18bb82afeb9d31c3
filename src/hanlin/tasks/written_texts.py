"""Examples of tasks whose answer is a text: a source and what is to be written for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from hanlin.tasks.examples import Column, Example, canonical, check_text
from hanlin.types import JsonObject, JsonValue

GROUP = Column("group", "text", aliases=("page", "document_id", "分组"), is_optional=True)


@dataclass(frozen=True, slots=True)
class WrittenTexts:
    """See `ExampleForm`. The first column is the source, the second what is written; rows of one group stay in one split.

    Args:
        holder: the key of JSON objects that hold their texts by language within another object.
    """

    columns: tuple[Column, ...]
    formats: tuple[str, ...] = ()
    is_classified: bool = False
    has_answers: bool = True
    holder: str = ""

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`. One source may be written in several ways: each pair is a question of its own."""
        source, target = (check_text(fields.get(column.name)) for column in self.columns[:2])
        group = fields.get("group")
        identity = f"{source}\0{target}"
        return Example(
            source, canonical({"target": target}), identity=identity, group=group if isinstance(group, str) and group else source
        )

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the source."""
        return text


def target_of(annotation: str) -> str:
    """What is to be written."""
    return str(cast("JsonObject", json.loads(annotation))["target"])
