"""The text of tokens that come one after the other: what is told once is never taken back, and no half character is told.

How much a further token costs does not grow with the text: only the last tokens are spelled again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Spell = Callable[[Sequence[int]], str]

CONTEXT = 8  # tokens before an answer by which its first letters are told: a space there is the tokenizer's affair
_KEPT = 16  # tokens that are spelled again for those that follow
_MOST = 2 * _KEPT
_HALF = "\ufffd"
_MAX_HALF = 3  # of four bytes of a character that are missing; one byte may be spelled as one sign


class Detokenizer:
    """Of one row. For a tokenizer whose decoder joins tokens from left to right, as all of `tokenizers` do, all that `push` and `end` tell
    is what the row's tokens are spelled as together.

    Args:
        spell: the text of ids.
        before: tokens that stand before the first.
    """

    def __init__(self, spell: Spell, before: Sequence[int]) -> None:
        self._spell = spell
        self._held = list(before[-CONTEXT:])
        self._told = len(spell(self._held))  # characters of what is held

    def push(self, ids: Sequence[int]) -> str:
        """What further tokens add to the text; nothing while a character is not complete."""
        self._held += ids
        whole = self._spell(self._held)
        sure = len(whole)
        while sure > 0 and len(whole) - sure < _MAX_HALF and whole[sure - 1] == _HALF:
            sure -= 1
        found = self._tell(whole, sure)
        self._forget(len(whole) - self._told)
        return found

    def look(self, token: int) -> str:
        """What this one would add if it came next, half characters and all."""
        return self._spell([*self._held, token])[self._told :]

    def end(self) -> str:
        """The rest: what was no whole character will not become one."""
        whole = self._spell(self._held)
        return self._tell(whole, len(whole))

    def _tell(self, whole: str, end: int) -> str:
        found = whole[self._told : end]
        self._told = max(self._told, end)
        return found

    def _forget(self, waiting: int) -> None:
        """Drop early tokens; `waiting` characters at the end are not told yet. Special ones have no text to be told by."""
        if len(self._held) <= _MOST:
            return
        late = self._held[-_KEPT:]
        if (size := len(self._spell(late))) > waiting:
            self._held, self._told = late, size - waiting
        elif not waiting and not self._spell(self._held[_KEPT:]):
            self._held = self._held[:_KEPT]


def text_after(spell: Spell, before: Sequence[int], ids: Sequence[int]) -> str:
    """What the tokens `ids` say behind those `before`."""
    context = tuple(before[-CONTEXT:])
    return spell((*context, *ids))[len(spell(context)) :]
