"""Two texts as one row of token ids: a query beside texts, a text beside another, a question before its context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hanlin.errors import InvalidInput
from hanlin.tasks.encoded import Encoded, Marks, in_a_row
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.tokenizer import encodings_of, ids_of
from hanlin.tasks.windows import Window, cut_windows, framed, max_tokens, windows_by_stride
from hanlin.types import LongText

if TYPE_CHECKING:
    from tokenizers import Encoding

_LEAST_ROOM_SHARE = 4  # a query before windows leaves them at least this part of the row


class PairEncoder:
    """Rows of two texts, as the encoder of texts cleans and limits them. Safe on any thread."""

    def __init__(self, texts: TextEncoder) -> None:
        self._texts = texts

    def encode_pairs(self, first: str, seconds: Sequence[str], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """Rows of `first` together with each of `seconds`, and the token types that tell them apart.

        Args:
            long_text: `truncate` cuts the second text (and the first beyond half of the row), `window` repeats the first before each
                window of the second; a first text that leaves less than a quarter of the row is refused then.

        Raises:
            InvalidInput: as `plan`, with the index of the second text; `invalid_query` for a first text of which nothing remains.
        """
        longest = self._texts.longest(long_text)
        begin, least = self._prepare_first(first)
        ends = [self._texts.prepare(text, index, longest)[0] for index, text in enumerate(seconds)]
        parts = self._pairs_of([(begin, end) for end in ends], range(len(ends)), long_text, least=least)
        return in_a_row([*parts], max_windows)

    def encode_each(self, firsts: Sequence[str], seconds: Sequence[str], long_text: LongText, *, max_windows: int | None = None) -> Encoded:
        """Rows of each text with the one beside it, or alone where that is empty; otherwise as `encode_pairs`.

        Raises:
            InvalidInput: as `plan`.
        """
        longest = self._texts.longest(long_text)
        together = [index for index, second in enumerate(seconds) if second]
        ready = [
            (self._texts.prepare(firsts[index], index, longest)[0], self._texts.prepare(seconds[index], index, longest)[0])
            for index in together
        ]
        parts = dict(zip(together, self._pairs_of(ready, together, long_text), strict=True))
        for index, text in enumerate(firsts):
            if index not in parts:
                row = ids_of(self._texts.tokenizer, [self._texts.prepare(text, index, longest)[0]])[0]
                parts[index] = self._texts.fit([row], long_text, longest, None, first=index)
        return in_a_row([parts[index] for index in range(len(firsts))], max_windows)

    def _pairs_of(
        self, pairs: Sequence[tuple[str, str]], places: Sequence[int], long_text: LongText, *, least: int = 0
    ) -> Iterator[Encoded]:
        """Each pair by itself; `places` are the indices that refusals name, `least` the tokens of a pair with an empty second text."""
        for index, pair, whole in zip(places, pairs, encodings_of(self._texts.tokenizer, list(pairs)), strict=True):
            if len(whole.ids) <= least:
                raise InvalidInput("empty_text", index=index)
            if len(whole.ids) <= self._texts.max_length:
                yield Encoded([whole.ids], types=[whole.type_ids])
            elif long_text == "window":
                windows, tail = self._pair_windows(whole, index)
                yield Encoded(framed(whole.ids, windows, tail), windows={0: windows}, types=framed(whole.type_ids, windows, tail))
            else:
                if long_text == "refuse":
                    self._texts.check_length(len(whole.ids), index, self._texts.max_length)
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
            begin = self._texts.prepare(question, index, self._texts.max_length)[0]
            traced = self._texts.traced(context, index, "window")
            whole = encodings_of(self._texts.tokenizer, [(begin, traced.text)])[0]
            spans = [
                traced.original(*place) if side == 1 and place[0] < place[1] else None
                for place, side in zip(whole.offsets, whole.sequence_ids, strict=True)
            ]
            marks.append(Marks(context, spans, whole.word_ids))
            if len(whole.ids) <= self._texts.max_length:
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
            begin, _ = self._texts.prepare(first, 0, self._texts.max_length)
            tokens = self._texts.check_some(ids_of(self._texts.tokenizer, [begin])[0], 0)
        except InvalidInput as error:
            raise InvalidInput("invalid_query", problem=error.code, details=error.message) from error
        return begin, len(tokens) - self._texts.num_special + self._texts.tokenizer.num_special_tokens_to_add(True)

    def _pair_windows(self, whole: Encoding, index: int) -> tuple[tuple[Window, ...], int]:
        """Windows over the second text of a pair that is too long, and the number of special tokens behind it."""
        seconds = [place for place, sequence in enumerate(whole.sequence_ids) if sequence == 1]
        place, tail = seconds[0], len(whole.ids) - seconds[-1] - 1
        room = self._texts.max_length - place - tail
        if room * _LEAST_ROOM_SHARE < self._texts.max_length:
            raise InvalidInput("text_too_long", index=index, length=len(whole.ids), unit="tokens", limit=self._texts.max_length)
        self._texts.check_length(len(whole.ids), index, place + max_tokens(room) + tail)
        return cut_windows(len(seconds), room, place=place), tail

    def _cut_pair(self, begin: str, end: str, index: int) -> Encoding:
        """The pair with its longer text cut at a character, as long as it is too long: the frame of special tokens stays whole."""
        room = self._texts.max_length - self._texts.tokenizer.num_special_tokens_to_add(True)
        one, other = (self._texts.tokenizer.encode(text, add_special_tokens=False) for text in (begin, end))
        first = min(len(one.ids), max(room // 2, room - len(other.ids)))
        for spare in range(8):  # a cut text may tokenise into a few tokens more
            kept_one, kept_other = max(1, first - spare), max(1, room - first - spare)
            found = encodings_of(self._texts.tokenizer, [(_beginning(begin, one, kept_one), _beginning(end, other, kept_other))])[0]
            if len(found.ids) <= self._texts.max_length:
                return found
        raise InvalidInput("text_too_long", index=index, length=len(found.ids), unit="tokens", limit=self._texts.max_length)


def _beginning(text: str, encoding: Encoding, tokens: int) -> str:
    return text if tokens >= len(encoding.ids) else text[: encoding.offsets[tokens - 1][1]]
