"""Calls as prompts: the row that a model of texts and talks reads for another task, its text cut or in pieces where there is no room.

What a call says is never read as a special token. Of each row some room is kept for the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.tasks.chat import Message, render
from hanlin.tasks.chat_tokens import encoded_so_far
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.prompt_form import INTENTS, PromptForm, filled
from hanlin.tasks.sentences import chunks
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import encodings_of
from hanlin.tasks.windows import Window, check_windows
from hanlin.types import LongText

_KEPT = 4  # a part of the row, at most, is for the answer


@dataclass(frozen=True, slots=True)
class Prompter:
    """The prompts of one version.

    Attributes:
        room: tokens that a prompt may have.
    """

    form: PromptForm
    encoder: TextEncoder
    spec: ModelSpec
    room: int

    @classmethod
    def of(cls, encoder: TextEncoder, spec: ModelSpec, settings: GenerationSettings) -> Prompter:
        """For answers that are written by these settings."""
        assert spec.prompt is not None, "of a version that is asked so"
        longest = spec.max_length
        return cls(spec.prompt, encoder, spec, longest - min(settings.max_new_tokens, longest // _KEPT))

    def row(self, fields: Mapping[str, str], index: int) -> list[int]:
        """The prompt; of one that is too long the beginning, which is too long as well. Raises as `render`."""
        said, head = talk_of(self.form, fields), self.encoder.head
        if self.spec.chat is None:
            return [*head, *encoded_so_far(self.encoder.tokenizer, [_plain(said)], self.room)[0]]
        talk = render(self.spec.chat, _heard(said, self.spec), is_asking=True, index=index)
        return [*head, *encoded_so_far(self.encoder.tokenizer, talk.parts, self.room, is_free=talk.is_free)[0]]

    def whole(self, fields: Mapping[str, str], index: int) -> list[int]:
        """The prompt. Raises InvalidInput (`text_too_long`)."""
        row = self.row(fields, index)
        self.encoder.check_length(len(row), index, self.room)
        return row

    def pieces(
        self, text: str, index: int, policy: LongText, more: Mapping[str, str]
    ) -> tuple[list[list[int]], list[str], tuple[Window, ...]]:  # fmt: skip
        """The prompts about a text: one, or one a piece of whole sentences; what each says of the text; the pieces, in tokens.

        Args:
            more: further fields.

        Raises:
            InvalidInput: `text_too_long`.
        """
        row = self.row({"text": text, **more}, index)
        if len(row) <= self.room or policy == "refuse":
            self.encoder.check_length(len(row), index, self.room)
            return [row], [text], ()
        most = max(1, self.room - len(self.row({"text": "", **more}, index)) - 2)  # tokens at a seam may be others
        if policy == "truncate":
            first = self._first(text, most)
            return [self.whole({"text": first, **more}, index)], [first], ()
        parts = chunks(text, self._sizes, most)
        ends = np.cumsum([0, *self._sizes(parts)]).tolist()
        windows = tuple(Window(start, end, start, end) for start, end in pairwise(ends)) if len(parts) > 1 else ()
        return [self.whole({"text": part, **more}, index) for part in parts], parts, windows

    def _sizes(self, texts: Sequence[str]) -> list[int]:
        return [len(found.ids) for found in encodings_of(self.encoder.tokenizer, [*texts])]

    def _first(self, text: str, most: int) -> str:
        found = encodings_of(self.encoder.tokenizer, [text])[0]
        return text[: found.offsets[most - 1][1]] if len(found.ids) > most else text


def talk_of(form: PromptForm, fields: Mapping[str, str]) -> list[Message]:
    """The talk that asks for an answer."""
    known = {name: fields[name] for name in fields if name == INTENTS}
    said = [Message("system", filled(form.system, known))] if form.system else []
    for example in form.examples:
        said += [Message("user", filled(form.ask, {**known, **example.fields})), Message("assistant", example.answer)]
    return [*said, Message("user", filled(form.ask, fields))]


@dataclass(frozen=True, slots=True)
class Prompted:
    """Texts as prompts.

    Attributes:
        parts: of the text that each row asks about.
        cut: indices of the texts that lost their end.
        windows: those of each text that is in pieces, by its index.
    """

    rows: list[list[int]]
    parts: list[str]
    cut: tuple[int, ...]
    windows: Mapping[int, tuple[Window, ...]]


def prompted(prompter: Prompter, texts: Sequence[str], policy: LongText, max_windows: int | None = None, **more: str) -> Prompted:
    """Prompts about all texts. Raises as `Prompter.pieces`; `too_many_windows`."""
    found = [prompter.pieces(text, index, policy, more) for index, text in enumerate(texts)]
    windows = {index: own for index, (_, _, own) in enumerate(found) if own}
    check_windows(windows, max_windows)
    cut = tuple(index for index, (_, parts, _) in enumerate(found) if policy == "truncate" and parts != [texts[index]])
    return Prompted([row for rows, _, _ in found for row in rows], [part for _, parts, _ in found for part in parts], cut, windows)


def check_beams(settings: GenerationSettings) -> GenerationSettings:
    """Raises InvalidInput (`invalid_parameter`) for beams beside a form."""
    if settings.constraint is not None and settings.num_beams != 1:
        raise InvalidInput("invalid_parameter", name="num_beams", expected="1 beside the form of the answer", found=str(settings.num_beams))
    return settings


def _heard(said: list[Message], spec: ModelSpec) -> list[Message]:
    """For a form without a system, its words stand before the user's first."""
    if spec.chat is None or spec.chat.hears_system or said[0].role != "system":
        return said
    return [Message("user", f"{said[0].content}\n\n{said[1].content}"), *said[2:]]


def _plain(said: Sequence[Message]) -> tuple[str, bool]:
    """For a model that knows no talks: what was said, one behind the other."""
    words = "\n\n".join(f"{one.content}\n" if one.role == "assistant" else one.content for one in said)
    return f"{words}\n", True
