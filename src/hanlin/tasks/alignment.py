"""Cleaning and segmentation that remember where every character came from, so that answers can point into the caller's own text.

`prepare` gives the very text that `TextSettings.prepare` gives (a test holds them together), slower by the bookkeeping.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hanlin.tasks import text as plain
from hanlin.tasks.text import TextSettings

# html.unescape's own pattern. Source: HTML Living Standard, character reference state.
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_HAN_RUN = re.compile(r"[^\x00-\x7f]+")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Traced:
    """A text and, for each of its characters, the span of the original text that it stands for."""

    text: str
    spans: list[Span]

    @classmethod
    def of(cls, text: str) -> Traced:
        """A text that nothing has been done to."""
        return cls(text, [(place, place + 1) for place in range(len(text))])

    def rewritten(self, pieces: Iterable[tuple[int, int, str]]) -> Traced:
        """Each (begin, end, words) puts `words` in place of the characters begin..end; the pieces are in order and do not overlap.

        Words of the same length keep their characters' spans one by one; others stand for the whole piece.
        """
        texts: list[str] = []
        spans: list[Span] = []
        done = 0
        for begin, end, words in pieces:
            texts += (self.text[done:begin], words)
            spans += self.spans[done:begin]
            if len(words) == end - begin:
                spans += self.spans[begin:end]
            else:
                at = self.spans[min(begin, len(self.spans) - 1)][0] if self.spans else 0
                spans += [(self.spans[begin][0], self.spans[end - 1][1]) if end > begin else (at, at)] * len(words)
            done = end
        return Traced("".join([*texts, self.text[done:]]), spans + self.spans[done:])

    def replaced(self, pattern: re.Pattern[str], words: Callable[[str], str]) -> Traced:
        """Like `pattern.sub`, with a function of the matched characters."""
        return self.rewritten((found.start(), found.end(), words(found.group())) for found in pattern.finditer(self.text))

    def original(self, begin: int, end: int) -> Span:
        """The original span of the characters begin..end."""
        if begin >= end:
            at = self.spans[begin][0] if begin < len(self.spans) else (self.spans[-1][1] if self.spans else 0)
            return at, at
        return self.spans[begin][0], max(span[1] for span in self.spans[begin:end])


def prepare(settings: TextSettings, text: str) -> Traced:
    """The text as the tokenizer sees it, traced."""
    traced = Traced.of(text)
    for step in settings.cleaning:
        traced = _held(traced, _CLEANING[step](traced), plain.CLEANING[step])
    if settings.segmentation == "none":
        return traced
    return _held(traced, _SEGMENTATION[settings.segmentation](traced), plain.SEGMENTATION[settings.segmentation])


def _held(before: Traced, after: Traced, step: Callable[[str], str]) -> Traced:
    """`after`, unless the step itself gives another text: then all of it stands for all of the text before."""
    wanted = step(before.text)
    if wanted == after.text:
        return after
    if len(wanted) == len(before.text):
        return Traced(wanted, before.spans)
    whole = before.original(0, len(before.text))
    return Traced(wanted, [whole] * len(wanted))


def _strip_html(traced: Traced) -> Traced:
    if "<" in traced.text:
        traced = traced.rewritten([(begin, end, " ") for begin, end in plain.hidden_blocks(traced.text)])
        traced = traced.replaced(plain.TAG, lambda _: " ")
    return traced.replaced(_REFERENCE, plain.unescape) if "&" in traced.text else traced


def _strip_control(traced: Traced) -> Traced:
    traced = traced.replaced(plain.LOOSE_JOINER, lambda _: "") if not traced.text.isprintable() else traced
    return traced.rewritten(
        (place, place + 1, plain.strip_control(f"a{character}b")[1:-1] if character not in plain.JOINERS else character)
        for place, character in enumerate(traced.text)
        if not character.isprintable()
    )


def _fold_width(traced: Traced) -> Traced:
    traced = traced.replaced(plain.WIDE, lambda run: unicodedata.normalize("NFKC", run))
    if unicodedata.is_normalized("NFC", traced.text):
        return traced
    return traced.rewritten(
        (begin, end, plain.fold_width(traced.text[begin:end])) for begin, end in _composing(traced.text) if end - begin > 1
    )


def _composing(text: str) -> Iterable[Span]:
    """Runs of characters that normalisation may join: one character and all marks and vowels that lean on it."""
    begin = 0
    for place, character in enumerate(text):
        leans = unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"
        if not leans and place:
            yield begin, place
            begin = place
    if text:
        yield begin, len(text)


def _lower(traced: Traced) -> Traced:
    lowered = traced.text.lower()
    if len(lowered) == len(traced.text):
        return Traced(lowered, traced.spans)
    return traced.rewritten((place, place + 1, character.lower()) for place, character in enumerate(traced.text))


def _fold_space(traced: Traced) -> Traced:
    traced = traced.replaced(plain.SPACE, lambda _: " ")
    begin = len(traced.text) - len(traced.text.lstrip())
    end = max(begin, len(traced.text.rstrip()))
    return Traced(traced.text[begin:end], traced.spans[begin:end])


def _split_characters(traced: Traced) -> Traced:
    pieces: list[tuple[int, int, str]] = []
    for found in plain.IDEOGRAPH.finditer(traced.text):
        pieces += [(found.start(), found.start(), " "), (found.end(), found.end(), " ")]
    return _fold_space(traced.rewritten(pieces))


def _split_words(traced: Traced) -> Traced:
    pieces: list[tuple[int, int, str]] = []
    done = 0
    for word in plain.split_words(traced.text).split(" "):
        place = traced.text.find(word, done)
        if place < 0:
            return traced
        pieces.append((done, place, " " if pieces else ""))
        done = place + len(word)
    return traced.rewritten([*pieces, (done, len(traced.text), "")])


_CLEANING: dict[str, Callable[[Traced], Traced]] = {
    "html": _strip_html,
    "control": _strip_control,
    "width": _fold_width,
    "simplify": lambda traced: traced.replaced(_HAN_RUN, plain.simplify),
    "lower": _lower,
    "space": _fold_space,
}
_SEGMENTATION: dict[str, Callable[[Traced], Traced]] = {"character": _split_characters, "words": _split_words}
