"""What language models learn from: texts and talks as ids, with what of them is learned.

A long text comes in pieces, each as if it began there: `start t1 … tn`, the last with the token that ends a text. Of a talk the answers
are learned, the marks of their ends included, and of a prompt with its completion the latter; the rest is only read.
"""

from __future__ import annotations

from array import array
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.loading import Generator
from hanlin.tasks.chat import Message, Spoken, check_learnable, speak_lately
from hanlin.tasks.continued_texts import Passage, messages_of, passage_of, unlearned_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.read_texts import pieces_of, start_of
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


class PassageRow(NamedTuple):
    """Ids of a prompt and of what stands behind it, told apart where most of a token lies; the bytes of the latter."""

    prompt: list[int]
    completion: list[int]
    size_bytes: int

    def row(self, start: Sequence[int], end: int, *, room: int) -> tuple[list[int], list[int]]:
        """Ids and kinds of a row; of a long prompt the last tokens, so that both are `room` tokens at most with the end."""
        told = self.completion[: max(1, room - 1)]
        tail = [end] if len(told) == len(self.completion) else []
        read = [*start, *self.prompt[max(0, len(self.prompt) + len(told) + 1 - room) :]]
        return [*read, *told, *tail], [READ] * len(read) + [SAID] * len(told) + [MARK] * len(tail)


def continued_rows(rows: Rows, encoder: TextEncoder, spec: ModelSpec, *, end: int, longest: int) -> ContinuedRows:
    """Every example, in pieces of at most `longest` tokens; of a talk that is longer its late turns, of a long prompt its end.

    Raises:
        InvalidInput: `no_chat_form` for a talk where the model knows no form; `chat_template_not_learnable`.
    """
    found = ContinuedRows([], [], 0)
    size = 0
    start = start_of(encoder, spec)
    for begin in range(0, len(rows.texts), _CHUNK):
        labels = rows.labels[begin : begin + _CHUNK]
        texts = [encoder.text.prepare(text) for text in rows.texts[begin : begin + _CHUNK]]
        with asking():
            encoded = encoder.tokenizer.encode_batch(
                [text for text, label in zip(texts, labels, strict=True) if not label], add_special_tokens=False
            )
        raw = iter(encoded)
        for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
            if talk := messages_of(label):
                said = talk_answers(talk, unlearned_of(label), encoder, spec, index=begin + index, longest=longest)
                _add(found, [*encoder.head, *said.ids], [READ] * len(encoder.head) + kinds_of(said))
                size += said.size_bytes
                continue
            if (passage := passage_of(label)) is not None:
                told = passage_row(passage, encoder)
                _add(found, *told.row(start, end, room=longest - len(start)))
                size += told.size_bytes
                continue
            size += len(text.encode())
            pieces = pieces_of(next(raw).ids, longest - len(start) - 1)
            for number, piece in enumerate(pieces, 1):
                tail = [end] if number == len(pieces) else []
                _add(found, [*start, *piece, *tail], [READ] * len(start) + [SAID] * len(piece) + [MARK] * len(tail))
    return ContinuedRows(found.ids, found.kinds, size)


def talk_answers(
    talk: Sequence[Message], unlearned: Container[int], encoder: TextEncoder, spec: ModelSpec, *, index: int, longest: int
) -> Spoken:  # fmt: skip
    """A talk, or its late turns, without what stands before every text; answers at the places `unlearned` are none.

    Raises:
        InvalidInput: `no_chat_form` where the model knows no form; `chat_template_not_learnable`.
    """
    if spec.chat is None:
        raise InvalidInput("no_chat_form", index=index)
    check_learnable(spec.chat, talk, index=index)
    room = longest - len(encoder.head)
    said = speak_lately(encoder.tokenizer, spec.chat, talk, is_asking=False, room=room, index=index)
    answers = [place for place, each in enumerate(talk) if each.role == "assistant"]
    runs = runs_of(said.is_answer)
    for place, (begin, end) in zip(answers[len(answers) - len(runs) :], runs, strict=True):
        if place in unlearned:
            said.is_answer[begin:end] = said.is_said[begin:end] = [False] * (end - begin)
    return said.first(room)


def runs_of(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Where runs of what is true begin and end."""
    edges = [place for place in range(len(flags) + 1) if (place < len(flags) and flags[place]) != (place > 0 and flags[place - 1])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def kinds_of(said: Spoken) -> list[int]:
    """What each token of a talk is."""
    return [SAID if counts else MARK if learns else READ for counts, learns in zip(said.is_said, said.is_answer, strict=True)]


def passage_row(passage: Passage, encoder: TextEncoder) -> PassageRow:
    """A prompt and its completion, read as the one text that they are. Raises EngineFailed (`tokenizer_failed`)."""
    border = len(encoder.text.prepare(passage.prompt)) if passage.prompt else 0
    whole = encoder.text.prepare(f"{passage.prompt}{passage.completion}")
    with asking():
        encoded = encoder.tokenizer.encode(whole, add_special_tokens=False)
    place = next((at for at, (start, end) in enumerate(encoded.offsets) if start + end >= 2 * border), len(encoded.ids))
    return PassageRow(encoded.ids[:place], encoded.ids[place:], len(whole[border:].encode()))


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
