"""Sentence templates as Home Assistant writes them, and sentences drawn from them with the place of every slot.

    [optional]   (one|of|several)   [one|or|none]   (parts;in;any order)   {list:slot}   <rule>   \\( itself

Source: the template syntax of `hassil`, read here because a slot's place in the sentence is wanted, and one draw instead of all sentences.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

_CLOSING = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Group:
    """Parts of a template: one after the other, one of them, or in any order."""

    kind: Literal["sequence", "choice", "shuffle"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Blank:
    """A place that a value of `list` fills; `slot` is what the meaning calls it."""

    list: str
    slot: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A template by name."""

    name: str


Part = str | Group | Blank | Rule


class Filled(NamedTuple):
    """A slot in a sentence: its place, and its value in the meaning."""

    start: int
    end: int
    slot: str
    value: str | int | float


class Value(NamedTuple):
    """What stands in the sentence (a template), and what it means."""

    said: str
    meant: str | int | float | None  # None: as it was said


@dataclass(slots=True)
class Sentence:
    """A sentence being drawn: never two spaces in a row, none at its start."""

    text: str = ""
    slots: list[Filled] = field(default_factory=list)

    def add(self, piece: str) -> None:
        """More text."""
        for character in piece:
            if not (character == " " and (not self.text or self.text[-1] == " ")):
                self.text += character

    def finish(self) -> Sentence:
        """Without the space at its end."""
        self.text = self.text.rstrip()
        return self


def parse(template: str) -> Part:
    """The template in its parts. Raises ValueError where brackets do not match."""
    part, at = _group(template, 0, "")
    if at != len(template):
        raise ValueError(f"unmatched bracket at {at} of {template!r}")
    return part


def _group(text: str, at: int, closing: str) -> tuple[Part, int]:
    """The part that begins at `at` and ends before `closing`, and where that is."""
    branches: list[list[Part]] = [[]]
    mark = "|"
    while at < len(text) and text[at] != closing:
        character = text[at]
        if character == "|" or (character == ";" and closing):
            mark = character
            branches.append([])
            at += 1
        elif character in _CLOSING:
            inner, at = _group(text, at + 1, _CLOSING[character])
            if at == len(text):
                raise ValueError(f"{character} without its end in {text!r}")
            branches[-1].append(Group("choice", (inner, "")) if character == "[" else inner)
            at += 1
        elif character in "{<":
            end = text.index("}" if character == "{" else ">", at)
            branches[-1].append(_named(text[at + 1 : end], is_blank=character == "{"))
            at = end + 1
        elif character in ")]":
            break
        else:
            at += character == "\\"
            branches[-1].append(text[at])
            at += 1
    sequences = tuple(Group("sequence", tuple(branch)) for branch in branches)
    if len(sequences) == 1:
        return sequences[0], at
    return Group("choice" if mark == "|" else "shuffle", sequences), at


def _named(name: str, *, is_blank: bool) -> Part:
    if not is_blank:
        return Rule(name)
    known, _, slot = name.partition(":")
    return Blank(known, slot or known)


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, and what fills a blank: a function of the list's name and the dice."""

    rules: Mapping[str, Part]
    fill: Callable[[str, random.Random], Value]

    def draw(self, part: Part, dice: random.Random) -> Sentence:
        """One sentence of a template."""
        sentence = Sentence()
        self._draw(part, dice, sentence)
        return sentence.finish()

    def _draw(self, part: Part, dice: random.Random, sentence: Sentence) -> None:
        if isinstance(part, str):
            sentence.add(part)
        elif isinstance(part, Rule):
            self._draw(self.rules[part.name], dice, sentence)
        elif isinstance(part, Blank):
            self._fill(part, dice, sentence)
        elif part.kind == "choice":
            self._draw(dice.choice(part.parts), dice, sentence)
        else:
            parts = list(part.parts)
            if part.kind == "shuffle":
                dice.shuffle(parts)
            for number, inner in enumerate(parts):
                if number and part.kind == "shuffle" and sentence.text and ord(sentence.text[-1]) < 0x2E80:
                    sentence.add(" ")  # parts in another order than written need their own space
                self._draw(inner, dice, sentence)

    def _fill(self, blank: Blank, dice: random.Random, sentence: Sentence) -> None:
        value = self.fill(blank.list, dice)
        said = self.draw(parse(value.said), dice).text
        start = len(sentence.text)
        sentence.add(said)
        meant = said if value.meant is None else value.meant
        sentence.slots.append(Filled(start, len(sentence.text), blank.slot, meant))
