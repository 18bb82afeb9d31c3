"""Answers to questions that a model writes: the number of a passage and a piece of it, word by word, or that there is none.

So an answer always stands where it says: `[2] nine o'clock` are words of the second passage, which the answer cites by document and place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Constraint, Generated
from hanlin.tasks.documents import Document, Passage, choose_passages
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.found_answers import Answer, AnsweringOptions
from hanlin.tasks.prompting import Prompter
from hanlin.tasks.sequences import written
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.written_pieces import pieces_of, place_of, quoted

NONE = "none"
MARKS = 6  # tokens of the number and its brackets
_CITED = re.compile(r"\[(\d+)\] ?(.*)", re.DOTALL)


def encode_prompted(options: AnsweringOptions, contexts: Sequence[str] | None, encoder: TextEncoder, spec: ModelSpec) -> Encoded:
    """Rows that ask a model of texts and talks: a question about each context, or one about the documents of the call.

    Raises:
        InvalidInput: `text_too_long` where there is no room for a single passage, `too_many_passages`; `invalid_parameter`.
    """
    assert spec.prompt is not None and spec.generation is not None, "specs of models that are asked so have them"
    if options.top_k is not None and options.top_k > 1:
        raise InvalidInput("invalid_parameter", name="top_k", expected="1 of a model that writes its answer", found=str(options.top_k))
    settings = replace(spec.generation, num_beams=1, temperature=0.0, max_new_tokens=options.max_answer_tokens + MARKS)
    prompter, is_allowed = Prompter.of(encoder, spec, settings), options.is_impossible_allowed
    none = "" if is_allowed is False else spec.prompt.none or (NONE if is_allowed else "")
    found = [_row(prompter, options, number, context) for number, context in enumerate([""] if contexts is None else contexts)]
    forms = [replace(settings, constraint=answer_grammar(passages, none)) for _, passages in found]
    return Encoded([row for row, _ in found], generation=forms, spell=encoder.spell, passages=[passages for _, passages in found])


def decode_prompted(outputs: Mapping[str, npt.NDArray[np.floating]], encoded: Encoded | None) -> list[list[Answer]]:
    """The answer to each question. Raises EngineFailed (`model_output_invalid`)."""
    assert encoded is not None and encoded.spell is not None, "rows that ask for answers"
    rows = zip(written(outputs), encoded.passages, strict=True)
    return [[read_answer(encoded.spell(row.ids), row, passages)] for row, passages in rows]


def _row(prompter: Prompter, options: AnsweringOptions, number: int, context: str) -> tuple[list[int], list[Passage]]:
    """The prompt with as many passages as there is room for, the best first. A context stands there as a whole where it fits."""
    question = options.questions[number]
    documents, tries = options.documents, list[list[Passage]]()
    if context:
        documents, tries = (Document(0, context),), [[Passage(Document(0, context), 0, len(context))]]
    found = choose_passages(question, documents, options.num_passages)
    tries += [found[:count] for count in range(len(found), 0, -1)]
    row: list[int] = []
    for passages in tries:
        row = prompter.row({"question": question, "passages": told(passages)}, number)
        if len(row) <= prompter.room:
            return row, passages
    raise InvalidInput("text_too_long", index=number, length=len(row), unit="tokens", limit=prompter.room)


def told(passages: Sequence[Passage]) -> str:
    """Passages with their numbers, as a prompt tells them."""
    return "\n".join(f"[{number}] {passage.text}" for number, passage in enumerate(passages, 1))


def answer_grammar(passages: Sequence[Passage], none: str) -> Constraint:
    """The form of an answer out of these passages. Args: none: what is written where there is none; empty: one is always named."""
    choices = [f"{quoted(f'[{number}] ')} P{number}" for number in range(1, len(passages) + 1)]
    rules = [f"start: {' | '.join([*choices, *([quoted(none)] if none else [])])}"]
    rules += [f"P{number}: {pieces_of(passage.text)}" for number, passage in enumerate(passages, 1)]
    return Constraint("lark", "\n".join(rules))


def read_answer(text: str, row: Generated, passages: Sequence[Passage]) -> Answer:
    """What was written, with its place in its document. Raises EngineFailed (`model_output_invalid`) for what stands in no passage."""
    score = math.exp(min(0.0, row.score))
    found = _CITED.fullmatch(text.strip())
    piece = found[2].rstrip("\ufffd").strip() if found else ""  # half a character, where the longest length came
    if found is None or not piece:
        return Answer("", score, 0, 0, None)
    if not 1 <= int(found[1]) <= len(passages):
        raise EngineFailed("model_output_invalid", details="a passage that there is not")
    passage = passages[int(found[1]) - 1]
    place = place_of(re.compile(re.escape(piece)), passage.text, is_cut=row.finish != "stop")
    if place is None:
        raise EngineFailed("model_output_invalid", details="words that are no piece of the passage")
    start = passage.start + place[0]
    shift = passage.document.start
    return Answer(piece, score, shift + start, shift + start + len(piece), None, passage.document)
