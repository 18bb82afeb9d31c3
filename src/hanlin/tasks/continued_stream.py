"""One answer as it is being written: further tokens in, further text out. Joined, the pieces are the text of the whole answer.

What may be the beginning of a word that ends the answer, or half a character, waits until it is known what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hanlin.errors import EngineFailed
from hanlin.generation import FinishReason, Seen
from hanlin.tasks.base import Piece
from hanlin.tasks.detokenizing import Detokenizer, Spell
from hanlin.tasks.stop_words import first_stop, size_held_back
from hanlin.types import JsonObject, JsonValue


class ToldToken(NamedTuple):
    """A token of an answer. Its text is what it completes: half a character says nothing, the token with the rest says all of it.

    Attributes:
        start, end: of its text in the answer, in characters.
    """

    id: int
    text: str
    log: float
    is_special: bool
    start: int
    end: int
    likeliest: tuple[tuple[int, str, float], ...] = ()

    def to_json(self) -> JsonObject:
        """As Hugging Face's text-generation-inference has it."""
        return {"id": self.id, "text": self.text, "logprob": self.log, "special": self.is_special}

    def top(self) -> list[JsonValue]:
        """The likeliest at its place, in the same form."""
        return [{"id": token, "text": text, "logprob": log, "special": False} for token, text, log in self.likeliest]


@dataclass(slots=True)
class ContinuedStream:
    """See `RowStream`.

    Args:
        stops: words that end the answer.
        special: names of tokens without text.
        has_details: whether each token is told of.
        seed: of the draws, told at the end with the details.
        beside: what every piece tells too, such as the form of its calls of tools.

    Attributes:
        num_tokens: that were written, those of the word that ended it among them.
        finish: why it ended; None: it goes on.
        stop: the word that ended it.
    """

    spell: Spell
    before: Sequence[int]
    stops: Sequence[str] = ()
    special: Mapping[int, str] = field(default_factory=dict)
    has_details: bool = False
    seed: int = 0
    beside: JsonObject = field(default_factory=dict)
    num_tokens: int = 0
    finish: FinishReason | None = None
    stop: str = ""
    _letters: Detokenizer = field(init=False)
    _waiting: str = ""  # text that is not told yet
    _size: int = 0  # characters that are told
    _tokens: list[ToldToken] = field(default_factory=list)  # that are not told yet

    def __post_init__(self) -> None:
        self._letters = Detokenizer(self.spell, self.before)

    def push(self, ids: Sequence[int], seen: Sequence[Seen], finish: FinishReason | None) -> Piece:
        """See `RowStream.push`. Raises EngineFailed (`model_output_invalid`) where the chances are missing that the call asked for."""
        assert self.finish is None, "an answer ends once"
        if self.has_details and len(seen) != len(ids):
            raise EngineFailed("model_output_invalid", details=f"{len(ids)} tokens and {len(seen)} chances")
        if self.has_details or self.stops:  # the very token counts that completes a word
            for place, token in enumerate(ids):
                self._add((token,), seen[place] if self.has_details else None)
                if self.finish is not None:
                    break
        else:
            self._add(ids, None)
        if self.finish is None and finish is not None:
            self._end(finish)
        return self._piece()

    def _add(self, ids: Sequence[int], seen: Seen | None) -> None:
        likeliest = () if seen is None else tuple((token, self._look(token), log) for token, log in seen.likeliest)
        text = self._letters.push(ids)
        start = self._size + len(self._waiting)
        self._waiting += text
        self.num_tokens += len(ids)
        if seen is not None:
            name = self.special.get(ids[0])
            self._tokens.append(
                ToldToken(ids[0], text if name is None else name, seen.log, name is not None, start, start + len(text), likeliest)
            )  # fmt: skip
        self._look_for_stop()

    def _look(self, token: int) -> str:
        return self.special.get(token) or self._letters.look(token)

    def _look_for_stop(self) -> None:
        if not self.stops or (found := first_stop(self._waiting, self.stops)) is None:
            return
        self._waiting = self._waiting[: found.place]
        self.stop, self.finish = found.word, "stop"
        end = self._size + found.place
        kept = [token for token in self._tokens if token.start < end]
        self._tokens = [token if token.end <= end else token._replace(text=token.text[: end - token.start], end=end) for token in kept]

    def _end(self, finish: FinishReason) -> None:
        self._waiting += self._letters.end()
        self._look_for_stop()
        self.finish = self.finish or finish

    def _piece(self) -> Piece:
        is_ended = self.finish is not None
        told = len(self._waiting) - (0 if is_ended else size_held_back(self._waiting, self.stops))
        value: JsonObject = {"text": self._waiting[:told], **self.beside}
        self._waiting, self._size = self._waiting[told:], self._size + told
        if self.has_details:
            # a token without text where the told ends may belong to a word that ends the answer: half of its first character
            before = self._size if self.stops else self._size + 1
            done = [token for token in self._tokens if is_ended or (token.end <= self._size and token.start < before)]
            self._tokens = self._tokens[len(done) :]
            value["tokens"] = [token.to_json() for token in done]
            if any(token.likeliest for token in done):
                value["top_tokens"] = [token.top() for token in done]
        if is_ended:
            value |= {"finish_reason": "length" if self.finish == "length" else "stop", "num_tokens": self.num_tokens}
            value |= {"stop_sequence": self.stop} if self.stop else {}
            value |= {"seed": self.seed} if self.has_details else {}
        return Piece(value if is_ended or value["text"] or value.get("tokens") else None, is_ended=bool(self.stop))
