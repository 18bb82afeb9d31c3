"""Values that are spelled token by token: words of the question, or values that the version has learned for a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hanlin.tasks.spelling import MAX_PIECE, Spelling

_NEVER = 10**6
_SPACE = b" \t\r\n"
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Sources:
    """What a row's values may be spelled from.

    Args:
        question: as the model reads it.
        known: values by the word of their column.
    """

    def __init__(self, question: str, known: Mapping[str, Sequence[str]]) -> None:
        self._text = question.encode()
        self._known = {word: [value.encode() for value in values] for word, values in known.items()}
        self._places = [place for place in range(len(self._text)) if self._begins(place)]
        self.longest = max([len(self._text), *(len(value) for values in self._known.values() for value in values)])
        self.shortest = min((self._to_end(place) for place in self._places), default=0)

    def has_known(self, word: str) -> bool:
        """Whether a column has learned values."""
        return bool(self._known.get(word))

    def shortest_known(self, word: str) -> int:
        """Bytes of the shortest learned value of a column, 0 for none."""
        return min(map(len, self._known.get(word, ())), default=0)

    def left(self, spelled: bytes, word: str, *, is_text: bool) -> int:
        """The fewest bytes that make `spelled` a value; 0: it is one."""
        ways = [len(value) - len(spelled) for value in self._known.get(word, ()) if value.startswith(spelled)]
        if is_text:
            ways += [self._to_end(place + len(spelled), least=int(not spelled)) for place in self._found(spelled)]
        return min(ways)

    def follow(self, spelled: bytes, word: str, spelling: Spelling, *, is_text: bool) -> dict[int, bytes]:
        """Tokens that may come next, with what is spelled then. The first may bring the space before a word."""
        found: dict[int, bytes] = {}
        rests = {value[len(spelled) :] for value in self._known.get(word, ()) if value.startswith(spelled)}
        if is_text:
            rests |= {self._text[place + len(spelled) : place + len(spelled) + MAX_PIECE] for place in self._found(spelled)}
        for rest in rests:
            for piece, number in spelling.starts(rest):
                found[number] = spelled + piece
            if not spelled:
                for piece, number in spelling.starts(b" " + rest):
                    if len(piece) > 1:
                        found[number] = piece[1:]
        return found

    def _found(self, spelled: bytes) -> list[int]:
        return [place for place in self._places if self._text.startswith(spelled, place)]

    def _begins(self, place: int) -> bool:
        """Whether a word or a sign begins here."""
        here = self._text[place]
        if here & 0xC0 == 0x80 or here in _SPACE:  # within a sign, or nothing
            return False
        return here not in _LETTERS or place == 0 or self._text[place - 1] not in _LETTERS

    def _to_end(self, place: int, *, least: int = 1) -> int:
        """Bytes from here to where a word or a sign ends; 0 at such a place, but for `least`."""
        for end in range(place + least, len(self._text) + 1):
            before = self._text[end - 1]
            after = self._text[end] if end < len(self._text) else ord(" ")
            if before not in _SPACE and after & 0xC0 != 0x80 and not (before in _LETTERS and after in _LETTERS):
                return end - place
        return _NEVER
