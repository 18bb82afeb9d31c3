"""What language models learn from: texts and talks as ids, with what of them is learned.

A long text comes in pieces, each as if it began there: `start t1 … tn`, the last with the token that ends a text. Of a talk the answers
are learned, the marks of their ends included; the rest is only read.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from hanlin.networks.loading import Generator
from hanlin.tasks.continued_texts import messages_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.read_texts import pieces_of, start_of, talk_row
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import asking
from hanlin.training.batches import collate
from hanlin.training.ports import Rows

IGNORED = -100
READ, MARK, SAID = 0, 1, 2  # what a token is: only read; learned, for it ends something; learned, and counted by figures
_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class ContinuedRows:
    """Rows of ids, what each token of them is, and the bytes that the counted ones say."""

    ids: list[array[int]]
    kinds: list[array[int]]
    size_bytes: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of every row."""
        return [len(row) for row in self.ids]


def continued_rows(rows: Rows, encoder: TextEncoder, spec: ModelSpec, *, end: int, longest: int) -> ContinuedRows:
    """Every example, in pieces of at most `longest` tokens; of a talk that is longer its late turns.

    Raises:
        InvalidInput: `no_chat_form` for a talk where the model knows no form.
    """
    found = ContinuedRows([], [], 0)
    size = 0
    start = start_of(encoder, spec)
    for begin in range(0, len(rows.texts), _CHUNK):
        talks = [messages_of(annotation) for annotation in rows.labels[begin : begin + _CHUNK]]
        texts = [encoder.text.prepare(text) for text in rows.texts[begin : begin + _CHUNK]]
        with asking():
            encoded = encoder.tokenizer.encode_batch(
                [text for text, talk in zip(texts, talks, strict=True) if not talk], add_special_tokens=False
            )
        raw = iter(encoded)
        for index, (text, talk) in enumerate(zip(texts, talks, strict=True)):
            if talk:
                said = talk_row(talk, encoder, spec, index=begin + index, is_cut=True, is_asking=False).first(longest - len(encoder.head))
                kinds = [SAID if counts else MARK if learns else READ for counts, learns in zip(said.is_said, said.is_answer, strict=True)]
                _add(found, [*encoder.head, *said.ids], [READ] * len(encoder.head) + kinds)
                size += said.size_bytes
                continue
            size += len(text.encode())
            pieces = pieces_of(next(raw).ids, longest - len(start) - 1)
            for number, piece in enumerate(pieces, 1):
                tail = [end] if number == len(pieces) else []
                _add(found, [*start, *piece, *tail], [READ] * len(start) + [SAID] * len(piece) + [MARK] * len(tail))
    return ContinuedRows(found.ids, found.kinds, size)


def _add(found: ContinuedRows, ids: Sequence[int], kinds: Sequence[int]) -> None:
    if len(ids) > 1:
        found.ids.append(array("i", ids))
        found.kinds.append(array("i", kinds))


def scores_of(module: nn.Module, part: ContinuedRows, rows: Sequence[int], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of every next token (batch, length - 1, vocabulary) float32, the tokens themselves, `IGNORED` where nothing is learned, and
    which of them figures count, (batch, length - 1) both.
    """
    ids, mask = collate([part.ids[row] for row in rows], pad_id)
    kinds, _ = collate([part.kinds[row] for row in rows], READ)
    shown, seen = ids[:, :-1], mask[:, :-1]
    is_own = isinstance(module, Generator)
    scores = module(shown, seen) if is_own else module(input_ids=shown, attention_mask=seen, use_cache=False).logits
    return scores.float(), ids[:, 1:].masked_fill(kinds[:, 1:] == READ, IGNORED), kinds[:, 1:] == SAID
