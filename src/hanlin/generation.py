"""What a network is asked to write and what it wrote: values that tasks, networks, engines and serving speak alike. Knows none of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, Protocol, cast, get_args

from hanlin.errors import HanlinError, InvalidInput
from hanlin.types import JsonObject, JsonValue, shorten

FinishReason = Literal["stop", "length", "cancelled"]
FINISH_REASONS: tuple[FinishReason, ...] = ("stop", "length", "cancelled")
MAX_NEW_TOKENS = 32_768
MAX_BEAMS = 32
MAX_LIKELIEST = 20
MAX_SCORES = 2**25  # of rows that are read, held at once, 128 MiB: those of a long row over a large vocabulary would be gigabytes
_OF_CALLS = frozenset({"grammar", "constraint", "logit_bias", "adapter"})  # no part of a version's own settings
ConstraintKind = Literal["json_schema", "json_object", "regex", "lark", "tool_calls"]
CONSTRAINT_KINDS: tuple[ConstraintKind, ...] = get_args(ConstraintKind)
MAX_CONSTRAINT = 200_000  # characters
MAX_BIASED = 1024
_FIXED = {"max_new_tokens", "min_new_tokens", "num_beams", "top_k", "seed", "no_repeat_ngram", "likeliest"}  # whole numbers


class Grammar(Protocol):
    """Which forms a target may take. One object serves many rows at once, so it holds no state of any."""

    def allowed(self, prefix: Sequence[int], left: int) -> Collection[int] | None:
        """Ids that may follow.

        Args:
            prefix: what has been written of the target.
            left: tokens that may still be written, 1 or more, the one that ends it among them: a grammar that takes only ways that can
                end in time never leaves a form unfinished.

        Returns:
            None: any. Nothing: the form is complete and the target ends; a form that may end or go on allows a stop id among others.
        """
        ...


@dataclass(frozen=True, slots=True)
class Constraint:
    """The form that a target must have, as text; engines make of it what their own grammar machinery takes.

    Attributes:
        text: a JSON schema, a regular expression that the whole target matches, or a Lark grammar with the rule `start`; of
            `json_object`, any JSON object, empty; of `tool_calls` as `tasks/tool_choice.py` tells it.
    """

    kind: ConstraintKind
    text: str = ""

    def __post_init__(self) -> None:
        _check(self.kind in CONSTRAINT_KINDS, "constraint", self.kind)
        _check(len(self.text) <= MAX_CONSTRAINT, "constraint", f"{len(self.text)} characters")


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How one row is written. Rows of one batch differ in all but `num_beams`.

    Attributes:
        max_new_tokens: most tokens of the target, the one that ends it among them.
        min_new_tokens: before so many nothing ends it.
        num_beams: 1 takes one token after the other; more: the best of so many targets side by side.
        length_penalty: beams only: scores are divided by length to this power; above 0 longer targets gain.
        early_stopping: beams only: stop at the first `num_beams` targets that ended, however good those still open might become.
        temperature: 0 takes the most likely token; above, tokens are drawn, the higher the freer.
        top_k: draw from so many most likely tokens; 0 for all.
        top_p: draw from the most likely tokens that together have this chance.
        seed: of the draws; a row's are its own, whatever it shares a batch with.
        repetition_penalty: above 1 makes tokens that have been read or written less likely (Keskar et al., CTRL, 2019).
        no_repeat_ngram: no run of so many tokens is written twice; 0 for no rule.
        stop_ids: tokens that end a target; None for those of the model.
        banned_ids: tokens that are never written.
        prefix: the first tokens of the target, such as a language; they count as written.
        presence_penalty: what a token that has been written loses of its score. Source: OpenAI's reference of its API.
        frequency_penalty: what it loses for each time that it has been written. Source: as above.
        logit_bias: ids and what is added to their scores.
        reads: nothing is written; the answer is how likely the row's own tokens are.
        tells: of a row that is written by one beam: each token's chance is told, as the network has it before any rule and temperature.
        likeliest: of a row that is read or told of: so many likeliest tokens at each place are told besides.
        constraint: what forms the target may take, as text; there is none where there is a `grammar`.
        grammar: what forms the target may take; it wins over all other rules.
        adapter: which of those that share the network writes the row, by the number of its seat; None: the network as it is.
    """

    max_new_tokens: int = 128
    min_new_tokens: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool = False
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    stop_ids: tuple[int, ...] | None = None
    banned_ids: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    reads: bool = False
    tells: bool = False
    likeliest: int = 0
    constraint: Constraint | None = None
    grammar: Grammar | None = field(default=None, compare=False)
    adapter: int | None = None

    def __post_init__(self) -> None:
        for name in _FIXED:
            _check(type(getattr(self, name)) is int, name, getattr(self, name))
        _check(1 <= self.max_new_tokens <= MAX_NEW_TOKENS, "max_new_tokens", self.max_new_tokens)
        _check(0 <= self.min_new_tokens <= self.max_new_tokens, "min_new_tokens", self.min_new_tokens)
        _check(1 <= self.num_beams <= MAX_BEAMS, "num_beams", self.num_beams)
        _check(-10 <= self.length_penalty <= 10, "length_penalty", self.length_penalty)
        _check(0 <= self.temperature <= 100, "temperature", self.temperature)
        _check(self.num_beams == 1 or not self.temperature, "temperature", self.temperature)
        _check(self.top_k >= 0, "top_k", self.top_k)
        _check(0 < self.top_p <= 1, "top_p", self.top_p)
        _check(0 <= self.seed < 2**63, "seed", self.seed)
        _check(0 < self.repetition_penalty <= 100, "repetition_penalty", self.repetition_penalty)
        _check(0 <= self.no_repeat_ngram <= 100, "no_repeat_ngram", self.no_repeat_ngram)
        _check(-2 <= self.presence_penalty <= 2, "presence_penalty", self.presence_penalty)
        _check(-2 <= self.frequency_penalty <= 2, "frequency_penalty", self.frequency_penalty)
        _check(len(self.logit_bias) <= MAX_BIASED, "logit_bias", f"{len(self.logit_bias)} tokens")
        _check(all(token >= 0 and -100 <= bias <= 100 for token, bias in self.logit_bias), "logit_bias", self.logit_bias)
        _check(0 <= self.likeliest <= MAX_LIKELIEST, "likeliest", self.likeliest)
        _check(self.constraint is None or self.grammar is None, "constraint", "a grammar beside it")
        _check(not self.reads or self.num_beams == 1, "reads", self.reads)
        _check(not self.tells or self.num_beams == 1, "tells", self.tells)
        for name in ("stop_ids", "banned_ids", "prefix"):
            ids = getattr(self, name)
            _check(ids is None or (len(ids) <= 10_000 and all(type(one) is int and one >= 0 for one in ids)), name, ids)

    def to_json(self) -> JsonObject:
        """The stored form: what differs from the defaults; what is of single calls is not stored."""
        default = GenerationSettings()
        names = [
            each.name for each in fields(self) if each.name not in _OF_CALLS and getattr(self, each.name) != getattr(default, each.name)
        ]
        values = {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, value: JsonValue) -> GenerationSettings:
        """What `to_json` wrote. Raises InvalidInput (`invalid_generation_settings`)."""
        _check(isinstance(value, dict), "generation", type(value).__name__)
        known = {each.name: each for each in fields(cls) if each.name not in _OF_CALLS}
        for name, one in cast("Mapping[str, JsonValue]", value).items():
            _check(name in known, name, one)
            _check(isinstance(one, _kinds(str(known[name].type))) and (type(one) is bool) == (known[name].type == "bool"), name, one)
        given = {name: tuple(one) if isinstance(one, list) else one for name, one in cast("JsonObject", value).items()}
        return cls(**given)  # type: ignore[arg-type]  # checked by type above and by value in __post_init__


@dataclass(frozen=True, slots=True)
class Seen:
    """A token of a row as the network saw it coming from those before it.

    Attributes:
        log: natural logarithm of its chance.
        is_first: whether no other token was likelier.
        likeliest: the likeliest tokens at its place, best first, each with the logarithm of its chance.
    """

    log: float
    is_first: bool
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written for one row, or how one was read.

    Attributes:
        ids: without the token that ended it.
        finish: why it ends: a stop id, its length, or nobody wanted it any more.
        score: sum of the logarithms of the tokens' chances; of beams divided by length to the power of the penalty.
        seen: of a row that was read, each token from its second on; of one that tells, each token that was written.
        num_cached: tokens of the row that were not read again, because an earlier one began alike.
    """

    ids: tuple[int, ...]
    finish: FinishReason
    score: float = 0.0
    seen: tuple[Seen, ...] = ()
    num_cached: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """What one turn of an engine wrote for a row. Of each row that was admitted and not dropped, exactly one, the last, has a finish.

    Attributes:
        number: the row's.
        ids: further tokens, without the one that ends the row; may be none.
        finish: why the row ends; None: it goes on.
        seen: of a row that tells, each of `ids`.
        score: sum of the logarithms of the chances of `ids`.
        num_cached: of the last: as `Generated` has it.
        error: the row alone has failed; `finish` is `cancelled` then.
    """

    number: int
    ids: tuple[int, ...] = ()
    finish: FinishReason | None = None
    seen: tuple[Seen, ...] = ()
    score: float = 0.0
    num_cached: int = 0
    error: HanlinError | None = None


def longer(written: Generated, delta: Delta) -> Generated:
    """What was written, and what a turn wrote behind it."""
    return replace(
        written, ids=written.ids + delta.ids, finish=delta.finish or written.finish, score=written.score + delta.score,
        seen=written.seen + delta.seen, num_cached=delta.num_cached,
    )  # fmt: skip


def _kinds(declared: str) -> tuple[type, ...]:
    return {"int": (int,), "float": (int, float), "bool": (bool,)}.get(declared, (list,))


def _check(is_right: bool, name: str, value: object) -> None:
    if not is_right:
        raise InvalidInput("invalid_generation_settings", name=shorten(name), value=shorten(str(value)))
