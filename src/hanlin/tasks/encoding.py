"""Text to token ids by an artifact's own `tokenizer.json`: whole, cut, in windows, or beside another text.

No padding and no truncation inside the tokenizer: what is too long is decided here, rows become arrays in `padding.py`. Knows no
engine and no task; what a tokenizer is by itself stands in `tokenizer.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span, Traced, prepare
from hanlin.tasks.encoded import Encoded, Marks, in_a_row
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.spelling import Spelling
from hanlin.tasks.text import is_blank
from hanlin.tasks.token_ids import Item, TokenIds, check_vocabulary
from hanlin.tasks.token_text import MAX_TRACED_CHARACTERS, Token, text_of, tokens_of
from hanlin.tasks.tokenizer import encodings_of, frame_of, ids_of, shared_tokenizer
from hanlin.tasks.windows import Window, check_windows, cut_windows, framed, max_tokens, windows_by_stride
from hanlin.types import LongText

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_T = TypeVar("_T")
# A text of more characters than this is first judged by its beginning: 1 MB need not be tokenised to learn that it is too long.
_MIN_PREFIX_CHARACTERS = 4096
_PREFIX_CHARACTERS_PER_TOKEN = 16
_PREFIX_MARGIN_TOKENS = 64  # tokens near the cut may differ from those of the whole text
_LEAST_ROOM_SHARE = 4  # a query before windows leaves them at least this part of the row


class TextEncoder:
    """Cleans, segments and tokenises texts for one version. Safe on any thread.

    Attributes:
        head, tail: special tokens that stand before and behind a text.

    Args:
        tokenizer: one that pads or cuts is told not to; others, such as shared ones, are not touched: another thread may be asking them.
        spec: text settings, longest row, padding id.
    """

    def __init__(self, tokenizer: Tokenizer, spec: ModelSpec) -> None:
        if tokenizer.padding is not None:
            tokenizer.no_padding()
        if tokenizer.truncation is not None:
            tokenizer.no_truncation()
        self._tokenizer = self.tokenizer = tokenizer
        self._text = self.text = spec.text
        self._num_special = tokenizer.num_special_tokens_to_add(False)
        self._head, self._tail = frame_of(tokenizer, self._num_special)
        self.head, self.tail = tuple(self._head), tuple(self._tail)
        self._nothing = self._head + self._tail  # the row of a text without tokens
        self.pad_id = spec.pad_id
        self.max_length = spec.max_length
        self._cuts_start = spec.cuts == "start"
        if self.max_length <= self._num_special:
            raise InvalidInput("invalid_model_spec", field="max_length", problem=f"no room beside {self._num_special} special tokens")

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """The encoder of an artifact folder. Raises InvalidInput (`invalid_tokenizer`, or those of `ModelSpec.load`)."""
        return cls(shared_tokenizer(folder / "tokenizer.json"), ModelSpec.load(folder))

    def encode(self, texts: Sequence[str], *, truncate: bool = False) -> list[list[int]]:
        """Token ids of every text, special tokens included; rows differ in length.

        Args:
            truncate: cut rows to `max_length` (special tokens stay) instead of refusing them.

        Raises:
            InvalidInput: `text_too_long`, `empty_text` or `invalid_unicode`, with the index of the text.
        """
        return self.plan(texts, "truncate" if truncate else "refuse").rows

    def plan(self, texts: Sequence[Item], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """The rows of every text, with what was done to those that are longer than the model takes. Token ids are their row as they are.

        Args:
            max_windows: of all long texts together; None for no limit beside that of each text.

        Raises:
            InvalidInput: as `encode`; `too_many_windows`, `unknown_token_id`.
        """
        longest = self._longest(long_text)
        is_end = self._cuts_start and long_text == "truncate"
        prepared = [
            ("", "") if isinstance(text, TokenIds) else self._prepare(text, index, longest, is_end=is_end)
            for index, text in enumerate(texts)
        ]  # fmt: skip
        rows = ids_of(self._tokenizer, [text for text, _ in prepared])
        for index, (_, rest) in enumerate(prepared):
            if isinstance(given := texts[index], TokenIds):
                rows[index] = self._given(given, index, long_text)
            if rest and len(rows[index]) < longest + _PREFIX_MARGIN_TOKENS:
                rows[index] = ids_of(self._tokenizer, [self._text.segment(rest)])[0]  # few tokens in many characters: look at all of it
        if max(map(len, rows), default=0) <= self.max_length:
            return Encoded([self._check_some(row, index) for index, row in enumerate(rows)])
        return self._fit(rows, long_text, longest, max_windows)

    def size(self, text: str) -> int:
        """Tokens of a text, special ones included, however long it is. Raises as `encode`."""
        prepared, rest = self._prepare(text, 0, self.max_length)
        return len(ids_of(self._tokenizer, [self._text.segment(rest) if rest else prepared])[0])

    def encode_marked(self, texts: Sequence[Item], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """Like `plan`, with what every token stands for in its text as it was sent; a text in windows is marked as a whole.

        Raises:
            InvalidInput: as `plan`.
        """
        rows: list[list[int]] = []
        marks: list[Marks] = []
        cut: list[int] = []
        windows: dict[int, tuple[Window, ...]] = {}
        for index, text in enumerate(texts):
            whole = self._marked(text, index, long_text)
            row, kept = self._check_some(whole[0], index), len(whole[0])
            if kept <= self.max_length:
                rows.append(row)
            elif long_text == "truncate":
                row, kept = self._cut(row, self._head, self._tail), self.max_length
                before: list[None] = [None] * len(self._head)
                after: list[None] = [None] * len(self._tail)
                whole = row, self._cut(whole[1], [*before], [*after]), self._cut(whole[2], [*before], [*after])
                cut.append(index)
                rows.append(row)
            else:
                self._check_length(kept, index, self._longest(long_text))
                windows[index] = cut_windows(kept - self._num_special, self._room, place=len(self._head))
                rows += framed(row, windows[index], len(self._tail))
            nothing = [None] * (len(row) - kept)
            marks.append(Marks(None if isinstance(text, TokenIds) else text, [*whole[1][:kept], *nothing], [*whole[2][:kept], *nothing]))
        check_windows(windows, max_windows)
        return Encoded(rows, tuple(cut), windows, marks=marks)

    def _marked(self, text: Item, index: int, long_text: LongText) -> tuple[list[int], list[Span | None], list[int | None]]:
        """Token ids of one text, with the span and the word of each; of ids that were given, only which are not of the frame."""
        if isinstance(text, TokenIds):
            row = self._given(text, index, long_text)
            inside = range(len(self._head), len(row) - len(self._tail))
            return row, [(0, 0) if at in inside else None for at in range(len(row))], [None] * len(row)
        traced = self._traced(text, index, long_text)
        found = encodings_of(self._tokenizer, [traced.text])[0]
        spans: list[Span | None] = [
            None if is_special or first == last else traced.original(first, last)
            for (first, last), is_special in zip(found.offsets, found.special_tokens_mask, strict=True)
        ]
        return found.ids, spans, found.word_ids

    def _given(self, ids: TokenIds, index: int, long_text: LongText) -> list[int]:
        """The row that a caller made.

        Without its special tokens it is most likely another model's: OpenAI's clients send such numbers where nobody tells them not to.

        Raises:
            InvalidInput: `text_too_long`, `unknown_token_id`, `special_tokens_missing`.
        """
        if long_text != "truncate":
            self._check_length(len(ids), index, self._longest(long_text))
        check_vocabulary(ids, self._tokenizer, index)
        row = list(ids)
        body = len(row) - len(self._tail)
        if row[: len(self._head)] != self._head or row[body:] != self._tail or body < len(self._head):
            raise InvalidInput("special_tokens_missing", index=index, before=str(self._head), after=str(self._tail))
        return row

    def _traced(self, text: str, index: int, long_text: LongText) -> Traced:
        """The prepared text with the places of its characters. What is surely too long is refused before the dear part."""
        longest = self._longest(long_text)
        begin, _ = self._prepare(text, index, longest)  # refuses what is blank or broken
        if long_text != "truncate" and len(text) > _MIN_PREFIX_CHARACTERS:
            self._check_length(len(ids_of(self._tokenizer, [begin])[0]), index, longest)
            if len(text) > MAX_TRACED_CHARACTERS:
                raise InvalidInput("text_too_long", index=index, length=len(text), unit="characters", limit=MAX_TRACED_CHARACTERS)
        return prepare(self._text, text[:MAX_TRACED_CHARACTERS])

    def tokens(self, text: str, index: int, *, add_special_tokens: bool) -> list[Token]:
        """See `token_text.tokens_of`."""
        return tokens_of(self._tokenizer, self._text, text, index, add_special_tokens=add_special_tokens)

    def text_of(self, ids: Sequence[int], index: int, *, skip_special_tokens: bool) -> str:
        """See `token_text.text_of`."""
        return text_of(self._tokenizer, ids, index, skip_special_tokens=skip_special_tokens)

    @functools.cached_property
    def spelling(self) -> Spelling:
        """The bytes of the tokens, of a byte-level tokenizer."""
        return Spelling.of(self._tokenizer.get_vocab(with_added_tokens=False))

    def ids(self, part: str) -> list[int]:
        """Tokens of a part of a text that is clean already; nothing stands around them."""
        return list(encodings_of(self._tokenizer, [part])[0].ids)

    def encode_pairs(self, first: str, seconds: Sequence[str], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """Rows of `first` together with each of `seconds`, and the token types that tell them apart.

        Args:
            long_text: `truncate` cuts the second text (and the first beyond half of the row), `window` repeats the first before each
                window of the second; a first text that leaves less than a quarter of the row is refused then.

        Raises:
            InvalidInput: as `plan`, with the index of the second text; `invalid_query` for a first text of which nothing remains.
        """
        longest = self._longest(long_text)
        begin, least = self._prepare_first(first)
        ends = [self._prepare(text, index, longest)[0] for index, text in enumerate(seconds)]
        parts = self._pairs_of([(begin, end) for end in ends], range(len(ends)), long_text, least=least)
        return in_a_row([*parts], max_windows)

    def encode_each(self, firsts: Sequence[str], seconds: Sequence[str], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """Rows of each text with the one beside it, or alone where that is empty; otherwise as `encode_pairs`.

        Raises:
            InvalidInput: as `plan`.
        """
        longest = self._longest(long_text)
        together = [index for index, second in enumerate(seconds) if second]
        ready = [(self._prepare(firsts[index], index, longest)[0], self._prepare(seconds[index], index, longest)[0]) for index in together]
        parts = dict(zip(together, self._pairs_of(ready, together, long_text), strict=True))
        for index, text in enumerate(firsts):
            if index not in parts:
                row = ids_of(self._tokenizer, [self._prepare(text, index, longest)[0]])[0]
                parts[index] = self._fit([row], long_text, longest, None, first=index)
        return in_a_row([parts[index] for index in range(len(firsts))], max_windows)

    def _pairs_of(
        self, pairs: Sequence[tuple[str, str]], places: Sequence[int], long_text: LongText, *, least: int = 0
    ) -> Iterator[Encoded]:
        """Each pair by itself; `places` are the indices that refusals name, `least` the tokens of a pair with an empty second text."""
        for index, pair, whole in zip(places, pairs, encodings_of(self._tokenizer, list(pairs)), strict=True):
            if len(whole.ids) <= least:
                raise InvalidInput("empty_text", index=index)
            if len(whole.ids) <= self.max_length:
                yield Encoded([whole.ids], types=[whole.type_ids])
            elif long_text == "window":
                windows, tail = self._pair_windows(whole, index)
                yield Encoded(framed(whole.ids, windows, tail), windows={0: windows}, types=framed(whole.type_ids, windows, tail))
            else:
                if long_text == "refuse":
                    self._check_length(len(whole.ids), index, self.max_length)
                found = self._cut_pair(*pair, index)
                yield Encoded([found.ids], (0,), types=[found.type_ids])

    def encode_questions(
        self, questions: Sequence[str], contexts: Sequence[str], *, stride: int | None, max_windows: int | None = None
    ) -> Encoded:  # fmt: skip
        """Rows of each question with its context, which is read in windows where it is long, and what every token of it stands for.

        Args:
            stride: tokens that two windows share; None: a quarter of one.

        Raises:
            InvalidInput: as `plan`; `text_too_long` for a question that leaves less than a quarter of the row.
        """
        parts: list[Encoded] = []
        marks: list[Marks] = []
        for index, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            begin = self._prepare(question, index, self.max_length)[0]
            traced = self._traced(context, index, "window")
            whole = encodings_of(self._tokenizer, [(begin, traced.text)])[0]
            spans = [
                traced.original(*place) if side == 1 and place[0] < place[1] else None
                for place, side in zip(whole.offsets, whole.sequence_ids, strict=True)
            ]
            marks.append(Marks(context, spans, whole.word_ids))
            if len(whole.ids) <= self.max_length:
                parts.append(Encoded([whole.ids], types=[whole.type_ids]))
                continue
            windows, tail = self._pair_windows(whole, index)
            if stride is not None:
                room = windows[0].end - windows[0].start
                windows = windows_by_stride(windows[-1].end, room, min(stride, room - 1), place=windows[0].place)
            parts.append(Encoded(framed(whole.ids, windows, tail), windows={0: windows}, types=framed(whole.type_ids, windows, tail)))
        found = in_a_row(parts, max_windows)
        return Encoded(found.rows, windows=found.windows, types=found.types, marks=marks)

    def _prepare_first(self, first: str) -> tuple[str, int]:
        """The prepared first text of pairs, and the tokens of a pair in which nothing stands beside it."""
        try:
            begin, _ = self._prepare(first, 0, self.max_length)
            tokens = self._check_some(ids_of(self._tokenizer, [begin])[0], 0)
        except InvalidInput as error:
            raise InvalidInput("invalid_query", problem=error.code, details=error.message) from error
        return begin, len(tokens) - self._num_special + self._tokenizer.num_special_tokens_to_add(True)

    def _pair_windows(self, whole: Encoding, index: int) -> tuple[tuple[Window, ...], int]:
        """Windows over the second text of a pair that is too long, and the number of special tokens behind it."""
        seconds = [place for place, sequence in enumerate(whole.sequence_ids) if sequence == 1]
        place, tail = seconds[0], len(whole.ids) - seconds[-1] - 1
        room = self.max_length - place - tail
        if room * _LEAST_ROOM_SHARE < self.max_length:
            raise InvalidInput("text_too_long", index=index, length=len(whole.ids), unit="tokens", limit=self.max_length)
        self._check_length(len(whole.ids), index, place + max_tokens(room) + tail)
        return cut_windows(len(seconds), room, place=place), tail

    def _cut_pair(self, begin: str, end: str, index: int) -> Encoding:
        """The pair with its longer text cut at a character, as long as it is too long: the frame of special tokens stays whole."""
        room = self.max_length - self._tokenizer.num_special_tokens_to_add(True)
        one, other = (self._tokenizer.encode(text, add_special_tokens=False) for text in (begin, end))
        first = min(len(one.ids), max(room // 2, room - len(other.ids)))
        for spare in range(8):  # a cut text may tokenise into a few tokens more
            kept_one, kept_other = max(1, first - spare), max(1, room - first - spare)
            found = encodings_of(self._tokenizer, [(_beginning(begin, one, kept_one), _beginning(end, other, kept_other))])[0]
            if len(found.ids) <= self.max_length:
                return found
        raise InvalidInput("text_too_long", index=index, length=len(found.ids), unit="tokens", limit=self.max_length)

    def _longest(self, long_text: LongText) -> int:
        """Tokens that a text may have, special ones included."""
        return self._num_special + max_tokens(self._room) if long_text == "window" else self.max_length

    def _check_length(self, tokens: int, index: int, limit: int) -> None:
        if tokens > limit:
            raise InvalidInput("text_too_long", index=index, length=tokens, unit="tokens", limit=limit)

    @property
    def _room(self) -> int:
        """Tokens of a text that stand beside the special ones."""
        return self.max_length - self._num_special

    def _prepare(self, text: str, index: int, longest: int, *, is_end: bool = False) -> tuple[str, str]:
        """The prepared text, and the whole cleaned text when only its beginning (or end) was prepared, else nothing."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput("invalid_unicode", index=index, position=error.start) from None
        clean = self._text.clean(text)
        if is_blank(clean):
            raise InvalidInput("empty_text", index=index)
        limit = max(_MIN_PREFIX_CHARACTERS, (longest + _PREFIX_MARGIN_TOKENS) * _PREFIX_CHARACTERS_PER_TOKEN)
        if len(clean) <= limit:
            return self._text.segment(clean), ""
        return self._text.segment(clean[-limit:] if is_end else clean[:limit]), clean

    def _check_some(self, row: list[int], index: int) -> list[int]:
        if row == self._nothing:
            raise InvalidInput("empty_text", index=index)
        return row

    def _cut(self, values: list[_T], head: list[_T], tail: list[_T]) -> list[_T]:
        """What stands for the tokens of a row that is too long, without what is too much: at its end, or at the start of the text."""
        if self._cuts_start:
            return head + values[len(values) - self.max_length + len(head) :]
        return values[: self.max_length - len(tail)] + tail

    def _fit(self, rows: list[list[int]], long_text: LongText, longest: int, max_windows: int | None, *, first: int = 0) -> Encoded:
        """Rows as the model takes them; `first` is the index that refusals name for the first of them."""
        fitted: list[list[int]] = []
        cut: list[int] = []
        windows: dict[int, tuple[Window, ...]] = {}
        for index, row in enumerate(rows):
            if len(row) <= self.max_length:
                fitted.append(self._check_some(row, first + index))
            elif long_text == "truncate":
                cut.append(index)
                fitted.append(self._cut(row, self._head, self._tail))
            elif long_text == "refuse" or len(row) > longest:
                raise InvalidInput("text_too_long", index=first + index, length=len(row), unit="tokens", limit=longest)
            else:
                windows[index] = cut_windows(len(row) - self._num_special, self._room, place=len(self._head))
                fitted += framed(row, windows[index], len(self._tail))
        check_windows(windows, max_windows)
        return Encoded(fitted, tuple(cut), windows)


def _beginning(text: str, encoding: Encoding, tokens: int) -> str:
    return text if tokens >= len(encoding.ids) else text[: encoding.offsets[tokens - 1][1]]
