"""Where sentences end, so that a document can be written piece by piece. Rules only: no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hanlin.passages import SENTENCE_END


def sentences(text: str) -> list[str]:
    """The sentences of `text` with their marks, without the space between them; never none for a text that is not blank."""
    found: list[str] = []
    start = 0
    for match in SENTENCE_END.finditer(text):
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


def chunks(text: str, size_of: Callable[[Sequence[str]], Sequence[int]], limit: int) -> list[str]:
    """`text` in pieces of whole sentences, as few as fit; a sentence that is too long by itself is cut at spaces, else between characters.

    Args:
        size_of: tokens of each of some texts.
        limit: most tokens of a piece.
    """
    parts = [piece for sentence in sentences(text) for piece in _fitting(sentence, size_of, limit)]
    found: list[str] = []
    for part in parts:
        joined = _joined(found[-1], part) if found else part
        if found and size_of([joined])[0] <= limit:
            found[-1] = joined
        else:
            found.append(part)
    return found


def _joined(first: str, second: str) -> str:
    """Two sentences in a row; a space stands between them where their script has spaces."""
    return f"{first} {second}" if first[-1].isascii() else first + second


def _fitting(sentence: str, size_of: Callable[[Sequence[str]], Sequence[int]], limit: int) -> list[str]:
    if len(sentence) < 2 or size_of([sentence])[0] <= limit:
        return [sentence]
    middle = sentence.rfind(" ", 1, len(sentence) // 2 + 1)
    if middle < len(sentence) // 4:
        middle = len(sentence) // 2
    halves = sentence[:middle].strip(), sentence[middle:].strip()
    return [piece for half in halves if half for piece in _fitting(half, size_of, limit)]
