"""Rows that ask what is hidden: at the masks that a caller wrote, or at tokens that are hidden here to see whether they are foreseen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.search_exam import spread
from hanlin.tasks.token_text import MAX_TRACED_CHARACTERS
from hanlin.tasks.tokenizer import asking
from hanlin.types import LongText, shorten

MASK = "[MASK]"
MASKS = (MASK, "<mask>")  # every model takes both, besides its own
MAX_MASKS = 16  # of one text
ROWS_PER_ITEM = 4  # of a call, by the most items that it may have: the scores of a whole vocabulary stand behind each row
_HOLE, _OTHER = "\ue000", "\ue001"  # private characters, which no cleaning touches: one stands for a mask, one for such a character


def check_rows(texts: Sequence[str], count: int | None, max_items: int) -> None:
    """Whether a call hides more than can be answered at once. Raises InvalidInput (`too_many_hidden`).

    Args:
        count: tokens of each text that are hidden; None: its own masks.
    """
    hidden = len(texts) * count if count is not None else sum(text.count(mask) for text in texts for mask in MASKS)
    if hidden > ROWS_PER_ITEM * max_items:
        raise InvalidInput("too_many_hidden", found=hidden, limit=ROWS_PER_ITEM * max_items)


def mask_spans(text: str, encoder: TextEncoder, mask_id: int) -> list[Span]:
    """Characters of the masks that a caller wrote."""
    return [found.span() for found in re.finditer(_pattern(encoder.tokenizer.id_to_token(mask_id) or MASK), text)]


def _pattern(mask: str) -> str:
    return "|".join(map(re.escape, dict.fromkeys((mask, *MASKS))))


@dataclass(slots=True)
class Asking:
    """Rows in the making.

    Attributes:
        hidden: the token that was hidden in each row; none where the caller hid them.
    """

    encoder: TextEncoder
    mask_id: int
    rows: list[list[int]] = field(default_factory=list)
    types: list[list[int]] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    @property
    def mask(self) -> str:
        """How the model itself writes a mask."""
        return self.encoder.tokenizer.id_to_token(self.mask_id) or MASK

    def ask_masks(self, text: str, index: int, long_text: LongText) -> None:
        """A row for each mask of the text, in which all the others are masks too.

        What is too long keeps its beginning, or else what stands around the masks, unless it shall be refused.

        Raises:
            InvalidInput: `no_mask`, `too_many_masks`, `text_too_long`.
        """
        pattern = _pattern(self.mask)
        spans = [found.span() for found in re.finditer(pattern, text)]
        if len(spans) > MAX_MASKS:
            raise InvalidInput("too_many_masks", index=index, found=len(spans), limit=MAX_MASKS)
        row = self._ids(re.sub(pattern, _HOLE, text.replace(_HOLE, _OTHER)), index)
        places = [place for place, token in enumerate(row) if token == self.mask_id]
        if not spans or len(places) != len(spans):
            other = " / ".join(mask for mask in MASKS if mask != self.mask)
            raise InvalidInput("no_mask", index=index, mask=self.mask, other=other)
        if len(row) > self.encoder.max_length:
            row, places = self._fit(row, places, index, long_text)
            self.cut.append(index)
        for place, span in zip(places, spans, strict=True):
            self._add(index, row, place, Marks(text, [span], []))

    def ask_tokens(self, text: str, index: int, count: int) -> None:
        """A row for each of `count` tokens, evenly from the text, with that token hidden. What is too long loses its end."""
        found = self.encoder.encode_marked([text], "truncate")
        assert found.marks is not None
        self.cut += [index] * len(found.cut)
        row, spans = found.rows[0], found.marks[0].spans
        for place in spread([place for place, span in enumerate(spans) if span is not None], count):
            hiding = [*row[:place], self.mask_id, *row[place + 1 :]]
            self._add(index, hiding, place, Marks(text, [spans[place]], []))
            self.hidden.append(row[place])

    def encoded(self, choices: Sequence[int]) -> Encoded:
        """All rows."""
        encoder = self.encoder
        return Encoded(
            self.rows, tuple(self.cut), types=self.types, marks=self.marks, texts=self.texts, choices=choices, hidden=self.hidden,
            spell=lambda ids: encoder.text_of(ids, 0, skip_special_tokens=False),
        )  # fmt: skip

    def choices(self, targets: Sequence[str]) -> Sequence[int]:
        """The tokens that are looked for: `targets`, or all. Raises InvalidInput (`target_not_a_token`)."""
        if not targets:
            return range(self.encoder.tokenizer.get_vocab_size(with_added_tokens=True))
        return [*dict.fromkeys(map(self._token, targets))]

    def _token(self, target: str) -> int:
        if (found := self.encoder.tokenizer.token_to_id(target)) is not None:
            return found
        prepared = self.encoder.text.prepare(target)
        pieces: list[str] = []
        for text in (prepared, f" {prepared}"):  # words of byte-level vocabularies begin with their space
            with asking():
                encoding = self.encoder.tokenizer.encode(text, add_special_tokens=False)
            if len(encoding.ids) == 1 and encoding.ids[0] != self.encoder.tokenizer.token_to_id("[UNK]"):
                return int(encoding.ids[0])
            pieces = pieces or encoding.tokens
        raise InvalidInput("target_not_a_token", target=shorten(target), pieces=shorten(" ".join(pieces)))

    def _ids(self, holed: str, index: int) -> list[int]:
        if len(holed) > MAX_TRACED_CHARACTERS:
            raise InvalidInput("text_too_long", index=index, length=len(holed), unit="characters", limit=MAX_TRACED_CHARACTERS)
        prepared = self.encoder.text.prepare(holed).replace(_HOLE, self.mask).replace(_OTHER, _HOLE)
        with asking():
            return [*self.encoder.tokenizer.encode(prepared).ids]

    def _fit(self, row: list[int], places: list[int], index: int, long_text: LongText) -> tuple[list[int], list[int]]:
        """As much of the row as the model takes with all masks in it, and where these stand then."""
        head, tail, limit = len(self.encoder.head), len(self.encoder.tail), self.encoder.max_length
        room, body = limit - head - tail, row[head : len(row) - tail]
        first, last = places[0] - head, places[-1] - head
        if long_text == "refuse" or last - first >= room:
            raise InvalidInput("text_too_long", index=index, length=len(row), unit="tokens", limit=limit)
        start = 0 if last < room else max(0, min((first + last + 1 - room) // 2, len(body) - room))
        return row[:head] + body[start : start + room] + row[len(row) - tail :], [place - start for place in places]

    def _add(self, text: int, row: list[int], place: int, marks: Marks) -> None:
        self.rows.append(row)
        self.types.append([int(at == place) for at in range(len(row))])
        self.marks.append(marks)
        self.texts.append(text)
