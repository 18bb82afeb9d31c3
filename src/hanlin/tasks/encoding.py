"""Text to token ids by an artifact's own `tokenizer.json`: whole, cut, in windows, or beside another text.

No padding and no truncation inside the tokenizer: what is too long is decided here, rows become arrays in `padding.py`. Knows no
engine and no task; what a tokenizer is by itself stands in `tokenizer.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span, Traced, prepare
from hanlin.tasks.byte_tokens import bytes_of, has_broken_run, spelled
from hanlin.tasks.encoded import Encoded, Marks
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.spelling import Spelling
from hanlin.tasks.text import is_blank
from hanlin.tasks.token_ids import Item, TokenIds, check_vocabulary
from hanlin.tasks.token_text import MAX_TRACED_CHARACTERS, Token, text_of, tokens_of
from hanlin.tasks.tokenizer import encodings_of, frame_of, ids_of, shared_tokenizer
from hanlin.tasks.windows import Window, check_windows, cut_windows, framed, max_tokens, num_windows
from hanlin.types import LongText

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_T = TypeVar("_T")
# A text of more characters than this is first judged by its beginning: 1 MB need not be tokenised to learn that it is too long.
_MIN_PREFIX_CHARACTERS = 4096
_PREFIX_CHARACTERS_PER_TOKEN = 16
_SLICE_CHARACTERS = 2**17  # of texts that are tokenised at once: some 50 ms
_PREFIX_MARGIN_TOKENS = 64  # tokens near the cut may differ from those of the whole text


class TextEncoder:
    """Cleans, segments and tokenises texts for one version. Safe on any thread.

    Attributes:
        tokenizer: asked by `encodings_of` and `ids_of`; not to be changed.
        text: how texts are cleaned and segmented.
        head, tail: ids of the special tokens that stand before and behind a text; `num_special` of them together.
        max_length: tokens of a row, special ones included.

    Args:
        tokenizer: one that pads or cuts is told not to; others, such as shared ones, are not touched: another thread may be asking them.
        spec: text settings, longest row, padding id.
    """

    def __init__(self, tokenizer: Tokenizer, spec: ModelSpec) -> None:
        if tokenizer.padding is not None:
            tokenizer.no_padding()
        if tokenizer.truncation is not None:
            tokenizer.no_truncation()
        self.tokenizer = tokenizer
        self.text = spec.text
        self.num_special = tokenizer.num_special_tokens_to_add(False)
        head, tail = frame_of(tokenizer, self.num_special)
        self.head, self.tail = tuple(head), tuple(tail)
        self._nothing = head + tail  # the row of a text without tokens
        self.pad_id = spec.pad_id
        self.max_length = spec.max_length
        self._cuts_start = spec.cuts == "start"
        if self.max_length <= self.num_special:
            raise InvalidInput("invalid_model_spec", field="max_length", problem=f"no room beside {self.num_special} special tokens")

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
        longest = self.longest(long_text)
        is_end = self._cuts_start and long_text == "truncate"
        prepared = [
            ("", "") if isinstance(text, TokenIds) else self.prepare(text, index, longest, is_end=is_end)
            for index, text in enumerate(texts)
        ]  # fmt: skip
        rows = self._rows([text for text, _ in prepared], max_windows if long_text == "window" else None)
        for index, (_, rest) in enumerate(prepared):
            if isinstance(given := texts[index], TokenIds):
                rows[index] = self._given(given, index, long_text)
            if rest and len(rows[index]) < longest + _PREFIX_MARGIN_TOKENS:
                rows[index] = ids_of(self.tokenizer, [self.text.segment(rest)])[0]  # few tokens in many characters: look at all of it
        if max(map(len, rows), default=0) <= self.max_length:
            return Encoded([self.check_some(row, index) for index, row in enumerate(rows)])
        return self.fit(rows, long_text, longest, max_windows)

    def _rows(self, texts: Sequence[str], max_windows: int | None) -> list[list[int]]:
        """Token ids of prepared texts, megabytes of them a slice at a time: too many windows are known of long before the end."""
        if sum(map(len, texts)) <= _SLICE_CHARACTERS:
            return ids_of(self.tokenizer, [*texts])
        rows: list[list[int]] = []
        windows = first = num_characters = 0
        for last, text in enumerate(texts, 1):
            num_characters += len(text)
            if num_characters < _SLICE_CHARACTERS and last < len(texts):
                continue
            rows += ids_of(self.tokenizer, [*texts[first:last]])
            windows += sum(num_windows(len(row) - self.num_special, self._room) for row in rows[first:last])
            if max_windows is not None and windows > max_windows:
                raise InvalidInput("too_many_windows", windows=windows, limit=max_windows)
            first, num_characters = last, 0
        return rows

    def size(self, text: str) -> int:
        """Tokens of a text, special ones included, however long it is. Raises as `encode`."""
        prepared, rest = self.prepare(text, 0, self.max_length)
        return len(ids_of(self.tokenizer, [self.text.segment(rest) if rest else prepared])[0])

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
            row, kept = self.check_some(whole[0], index), len(whole[0])
            if kept <= self.max_length:
                rows.append(row)
            elif long_text == "truncate":
                row, kept = self._cut(row, self.head, self.tail), self.max_length
                before, after = (None,) * len(self.head), (None,) * len(self.tail)
                whole = row, self._cut(whole[1], before, after), self._cut(whole[2], before, after)
                cut.append(index)
                rows.append(row)
            else:
                self.check_length(kept, index, self.longest(long_text))
                windows[index] = cut_windows(kept - self.num_special, self._room, place=len(self.head))
                rows += framed(row, windows[index], len(self.tail))
            nothing = [None] * (len(row) - kept)
            marks.append(Marks(None if isinstance(text, TokenIds) else text, [*whole[1][:kept], *nothing], [*whole[2][:kept], *nothing]))
        check_windows(windows, max_windows)
        return Encoded(rows, tuple(cut), windows, marks=marks)

    def _marked(self, text: Item, index: int, long_text: LongText) -> tuple[list[int], list[Span | None], list[int | None]]:
        """Token ids of one text, with the span and the word of each; of ids that were given, only which are not of the frame."""
        if isinstance(text, TokenIds):
            row = self._given(text, index, long_text)
            inside = range(len(self.head), len(row) - len(self.tail))
            return row, [(0, 0) if at in inside else None for at in range(len(row))], [None] * len(row)
        traced = self.traced(text, index, long_text)
        found = encodings_of(self.tokenizer, [traced.text])[0]
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
            self.check_length(len(ids), index, self.longest(long_text))
        check_vocabulary(ids, self.tokenizer, index)
        row = list(ids)
        body = len(row) - len(self.tail)
        if tuple(row[: len(self.head)]) != self.head or tuple(row[body:]) != self.tail or body < len(self.head):
            raise InvalidInput("special_tokens_missing", index=index, before=str([*self.head]), after=str([*self.tail]))
        return row

    def traced(self, text: str, index: int, long_text: LongText) -> Traced:
        """The prepared text with the places of its characters. What is surely too long is refused before the dear part."""
        longest = self.longest(long_text)
        begin, _ = self.prepare(text, index, longest)  # refuses what is blank or broken
        if long_text != "truncate" and len(text) > _MIN_PREFIX_CHARACTERS:
            self.check_length(len(ids_of(self.tokenizer, [begin])[0]), index, longest)
            if len(text) > MAX_TRACED_CHARACTERS:
                raise InvalidInput("text_too_long", index=index, length=len(text), unit="characters", limit=MAX_TRACED_CHARACTERS)
        return prepare(self.text, text[:MAX_TRACED_CHARACTERS])

    def tokens(self, text: str, index: int, *, add_special_tokens: bool) -> list[Token]:
        """See `token_text.tokens_of`."""
        return tokens_of(self.tokenizer, self.text, text, index, add_special_tokens=add_special_tokens)

    def text_of(self, ids: Sequence[int], index: int, *, skip_special_tokens: bool) -> str:
        """See `token_text.text_of`."""
        return text_of(self.tokenizer, ids, index, skip_special_tokens=skip_special_tokens)

    def spell(self, ids: Sequence[int]) -> str:
        """The text that ids were written for, special tokens left out. Further ids change nothing but half a character at its end."""
        if self._bytes and has_broken_run(ids, self._bytes):
            check_vocabulary(ids, self.tokenizer, 0)
            return spelled(self.tokenizer, ids, self._bytes)
        return self.text_of(ids, 0, skip_special_tokens=True)

    @functools.cached_property
    def _bytes(self) -> Mapping[int, int]:
        return bytes_of(self.tokenizer)

    @functools.cached_property
    def spelling(self) -> Spelling:
        """The bytes of the tokens, of a byte-level tokenizer."""
        return Spelling.of(self.tokenizer.get_vocab(with_added_tokens=False))

    def ids(self, part: str) -> list[int]:
        """Tokens of a part of a text that is clean already; nothing stands around them."""
        row = encodings_of(self.tokenizer, [part])[0].ids
        return list(row[len(self.head) : len(row) - len(self.tail)])

    def longest(self, long_text: LongText) -> int:
        """Tokens that a text may have, special ones included."""
        return self.num_special + max_tokens(self._room) if long_text == "window" else self.max_length

    def check_length(self, tokens: int, index: int, limit: int) -> None:
        """Raises InvalidInput (`text_too_long`) for more than `limit`."""
        if tokens > limit:
            raise InvalidInput("text_too_long", index=index, length=tokens, unit="tokens", limit=limit)

    @property
    def _room(self) -> int:
        """Tokens of a text that stand beside the special ones."""
        return self.max_length - self.num_special

    def prepare(self, text: str, index: int, longest: int, *, is_end: bool = False) -> tuple[str, str]:
        """The prepared text, and the whole cleaned text when only its beginning (or end) was prepared, else nothing."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput("invalid_unicode", index=index, position=error.start) from None
        clean = self.text.clean(text)
        if is_blank(clean):
            raise InvalidInput("empty_text", index=index)
        limit = max(_MIN_PREFIX_CHARACTERS, (longest + _PREFIX_MARGIN_TOKENS) * _PREFIX_CHARACTERS_PER_TOKEN)
        if len(clean) <= limit:
            return self.text.segment(clean), ""
        return self.text.segment(clean[-limit:] if is_end else clean[:limit]), clean

    def check_some(self, row: list[int], index: int) -> list[int]:
        """The row itself. Raises InvalidInput (`empty_text`) for one without a token of its text."""
        if row == self._nothing:
            raise InvalidInput("empty_text", index=index)
        return row

    def _cut(self, values: Sequence[_T], head: Sequence[_T], tail: Sequence[_T]) -> list[_T]:
        """What stands for the tokens of a row that is too long, without what is too much: at its end, or at the start of the text."""
        if self._cuts_start:
            return [*head, *values[len(values) - self.max_length + len(head) :]]
        return [*values[: self.max_length - len(tail)], *tail]

    def fit(self, rows: list[list[int]], long_text: LongText, longest: int, max_windows: int | None, *, first: int = 0) -> Encoded:
        """Rows as the model takes them; `first` is the index that refusals name for the first of them."""
        fitted: list[list[int]] = []
        cut: list[int] = []
        windows: dict[int, tuple[Window, ...]] = {}
        for index, row in enumerate(rows):
            if len(row) <= self.max_length:
                fitted.append(self.check_some(row, first + index))
            elif long_text == "truncate":
                cut.append(index)
                fitted.append(self._cut(row, self.head, self.tail))
            elif long_text == "refuse" or len(row) > longest:
                raise InvalidInput("text_too_long", index=first + index, length=len(row), unit="tokens", limit=longest)
            else:
                windows[index] = cut_windows(len(row) - self.num_special, self._room, place=len(self.head))
                fitted += framed(row, windows[index], len(self.tail))
        check_windows(windows, max_windows)
        return Encoded(fitted, tuple(cut), windows)
