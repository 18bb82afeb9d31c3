"""How answers with calls of tools are told: which marks, where they are tokens, stay text, where the answer ends, what is told beside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from hanlin.tasks.encoded import Telling
from hanlin.tool_forms import FORMS, HERMES
from hanlin.types import JsonObject

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from hanlin.tasks.encoding import TextEncoder
    from hanlin.tasks.spec import ModelSpec


def marks_of(tokenizer: Tokenizer, form: str) -> dict[str, int]:
    """Added tokens among the marks of a form; empty: of none."""
    found = {name: number for name in (FORMS[form].names if form in FORMS else ()) if (number := tokenizer.token_to_id(name)) is not None}
    added = tokenizer.get_added_tokens_decoder() if found else {}
    return {name: number for name, number in found.items() if number in added}


def kept_marks(tokenizer: Tokenizer, form: str, ends: Collection[int]) -> dict[int, str]:
    """Special tokens that stay text in an answer with calls of a form; of a form that is not known all but those that end it."""
    if not form:
        return {}
    added = tokenizer.get_added_tokens_decoder()  # 0.3 ms of 256 of them, 1.5 of a thousand
    known = set(marks_of(tokenizer, form).values())
    special = {number: token.content for number, token in added.items() if token.special}
    if form not in FORMS:
        return {number: name for number, name in special.items() if number not in ends}
    return {number: name for number, name in special.items() if number in known}


def spell_with(encoder: TextEncoder, marks: Mapping[int, str]) -> Callable[[Sequence[int]], str]:
    """The text of ids in which marks, which are left out else, stay."""
    if not marks:
        return encoder.spell

    def spell(ids: Sequence[int]) -> str:
        found: list[str] = []
        begin = 0
        for place, token in enumerate(ids):
            if token in marks:
                found += [encoder.spell(ids[begin:place]), marks[token]]
                begin = place + 1
        return "".join([*found, encoder.spell(ids[begin:])])

    return spell


def telling(form: str, encoder: TextEncoder, spec: ModelSpec, *, stops: tuple[str, ...], has_details: bool, has_one_call: bool) -> Telling:
    """How an answer with calls in a form is told; empty: without any. What is of no known form is read as Hermes's.

    Args:
        stops: words that end the answer.
        has_details: whether each token is told of.
        has_one_call: whether one call counts at most.
    """
    ends = {*((spec.generation and spec.generation.stop_ids) or ()), spec.pad_id}
    marks = kept_marks(encoder.tokenizer, form, ends)
    beside: JsonObject = {}
    if form in FORMS and form != HERMES:
        beside = {"tool_form": form, **({"most_calls": 1} if has_one_call else {})}
    elif form and has_one_call:
        stops = (*stops, FORMS[HERMES].names[1])
    return Telling(spell_with(encoder, marks), _unspelled(encoder, marks) if has_details else {}, stops, beside)


def _unspelled(encoder: TextEncoder, marks: Mapping[int, str]) -> dict[int, str]:
    """Names of tokens without text."""
    added = encoder.tokenizer.get_added_tokens_decoder()
    return {number: token.content for number, token in added.items() if token.special and number not in marks}
