"""The marks of calls of tools that are single tokens of a model: where a grammar takes them as such, and where they stay text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hanlin.tool_forms import FORMS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from hanlin.tasks.encoding import TextEncoder


def marks_of(tokenizer: Tokenizer, form: str) -> dict[str, int]:
    """Added tokens among the marks of a form; empty: of none."""
    found = {name: number for name in (FORMS[form].names if form else ()) if (number := tokenizer.token_to_id(name)) is not None}
    added = tokenizer.get_added_tokens_decoder() if found else {}
    return {name: number for name, number in found.items() if number in added}


def spell_with(encoder: TextEncoder, form: str) -> Callable[[Sequence[int]], str]:
    """The text of ids in which the marks of calls, which are left out else, stay."""
    if not (named := marks_of(encoder.tokenizer, form)):
        return encoder.spell
    added = encoder.tokenizer.get_added_tokens_decoder()
    marks = {number: name for name, number in named.items() if added[number].special}

    def spell(ids: Sequence[int]) -> str:
        found: list[str] = []
        begin = 0
        for place, token in enumerate(ids):
            if token in marks:
                found += [encoder.spell(ids[begin:place]), marks[token]]
                begin = place + 1
        return "".join([*found, encoder.spell(ids[begin:])])

    return spell
