"""What a target must look like, told as text (`generation.Constraint`), made into forms of single rows for one model's tokenizer.

llguidance does the work: it follows what was written byte by byte and says which tokens may come. It knows no backtracking, its work a
token is bounded, and keywords of JSON Schema that it cannot keep to are refused before anything is written. Knows no network: every
engine that takes masks can use it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hanlin.engines.base import import_extra
from hanlin.engines.call_forms import call_grammar
from hanlin.engines.constraint_bounds import MAX_LARK_FUEL, check_constraint
from hanlin.engines.constraint_form import ConstraintForm, refused
from hanlin.engines.constraint_threads import MAX_LOST, FormThreads
from hanlin.engines.json_schemas import plainer
from hanlin.engines.unique_items import Spelling, UniqueForm
from hanlin.engines.unique_reading import Spots, without_unique
from hanlin.generation import Constraint
from hanlin.networks.generation.form import Form
from hanlin.types import JsonObject

# Where items must differ, each is written in one way, so that those that would be repeated are soon known.
_ONE_WAY: JsonObject = {
    "whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": False, "coerce_one_of": False,
}  # fmt: skip
_MAX_KEPT = 64  # compiled texts
_UNKNOWN = "Unable to determine if regex is empty"  # 10,000 steps, which no limit raises, were too few for a pattern and a length together
_LIMITS = {
    "initial_lexer_fuel": 1_000_000,  # about 20 ms
    "step_lexer_fuel": 200_000,  # about 15 ms a token
    "step_max_items": 20_000,  # most rules followed a token; 50,000 took 0.6 s
    "max_items_in_row": 20_000,  # bounded by the one before; 2,000 are too few for schemas of a few thousand choices
    "max_lexer_states": 50_000,  # of 1 to 2 kB each
    "max_grammar_size": 100_000,
    "verbose_errors": False,  # which would repeat the grammar
}
# Between two parts of a document: nothing, a space, or a new line with its indentation; else a model may write spaces for ever.
_JSON: JsonObject = {"whitespace_pattern": r"(\n {0,20}| )", "whitespace_flexible": True, "lenient": False, "coerce_one_of": False}


@dataclass(frozen=True, slots=True)
class Wording:
    """A constraint in llguidance's words, for an engine that has it followed by a llguidance of its own.

    Attributes:
        text: of a schema, with how JSON is written beside it (`x-guidance`).
    """

    kind: Literal["json_schema", "regex", "lark"]
    text: str


@dataclass(frozen=True, slots=True)
class _Made:
    """What forms of one text begin with. Attributes: spots: where the items of lists must differ; None: nowhere."""

    matcher: Any
    wording: Wording
    spots: Spots | None


class Constraints:
    """Compiles the constraints of one model's calls, on a thread of its own, and keeps those that come again.

    Args:
        tokenizer: the artifact's `tokenizer.json`.
        num_tokens: of the network's vocabulary, which may be larger than the tokenizer's.
        stop_ids: what ends a target.
    """

    def __init__(self, tokenizer: Path, *, num_tokens: int, stop_ids: Sequence[int]) -> None:
        self._path, self._num_tokens, self._stop_ids = tokenizer, num_tokens, list(stop_ids)
        self._tokenizer: Any = None
        self._spelling: Spelling | None = None
        self._kept: OrderedDict[Constraint, _Made] = OrderedDict()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="masks")
        self._threads = FormThreads(lambda: refused("it takes too long to be made"))

    def form(self, constraint: Constraint) -> Future[Form]:
        """The form of one row, soon.

        Raises:
            InvalidInput: by the future: `constraint_refused` with the reason; `missing_extra`.
        """
        made = self._kept.get(constraint) if self._threads.num_lost >= MAX_LOST else None
        if made is None or (made.spots is not None and self._spelling is None):
            return self._threads.submit(partial(self._form, constraint))
        found: Future[Form] = Future()
        found.set_result(self._of(made))
        return found

    def wording(self, constraint: Constraint) -> Future[Wording]:
        """The constraint as llguidance takes it, once it has shown that there is a form, soon.

        Raises:
            InvalidInput: by the future, as `form`; also where items of lists must differ, which llguidance alone does not keep to.
        """
        return self._threads.submit(partial(self._wording, constraint))

    def close(self) -> None:
        """End the threads; forms that were made stay good."""
        self._threads.close()
        self._ahead.shutdown(wait=False)

    def _form(self, constraint: Constraint) -> Form:
        return self._of(self._make(constraint))

    def _wording(self, constraint: Constraint) -> Wording:
        made = self._make(constraint)
        if made.spots is not None:
            raise refused("lists whose items must differ (uniqueItems) are kept to by the other engines alone")
        return made.wording

    def _make(self, constraint: Constraint) -> _Made:
        library = import_extra("llguidance", extra="server", feature="answers of a given form")
        if self._tokenizer is None:
            self._tokenizer = self._load(library)
        if (made := self._kept.pop(constraint, None)) is None:
            made = _compile(library, self._tokenizer, constraint)
        self._kept[constraint] = made
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return made

    def _of(self, made: _Made) -> Form:
        if made.spots is None:
            return ConstraintForm(made.matcher.deep_copy(), self._tokenizer.eos_tokens, self._ahead)
        if self._spelling is None:
            self._spelling = Spelling(self._tokenizer, self._num_tokens)
        inner = ConstraintForm(made.matcher.deep_copy(), self._tokenizer.eos_tokens)
        return UniqueForm(inner, made.matcher.deep_copy(), made.spots, self._spelling)

    def _load(self, library: Any) -> Any:
        try:
            text = self._path.read_text(encoding="utf-8")
            return library.LLTokenizer(text, n_vocab=self._num_tokens, eos_token=self._stop_ids or None)
        except (OSError, ValueError) as error:
            raise refused("the model's tokenizer does not spell its tokens in bytes", details=str(error)) from error


def _compile(library: Any, tokenizer: Any, constraint: Constraint, *, is_bounded: bool = False) -> _Made:
    try:
        own = {"initial_lexer_fuel": MAX_LARK_FUEL} if constraint.kind == "lark" else {}
        (wording, spots), limits = _worded(constraint, is_bounded), library.LLParserLimits(**_LIMITS | own)
        matcher = library.LLMatcher(tokenizer, _grammar(library, wording), log_level=0, limits=limits)
    except ValueError as error:
        raise refused("it cannot be read", details=str(error)) from error
    except (RecursionError, OverflowError) as error:
        raise refused("it is nested too deeply, or its numbers are too large", details=str(error)) from error
    if not matcher.is_error():
        matcher.compute_bitmask()  # forms of which there is none, or that take too much work, show here
    if matcher.is_error():
        if constraint.kind == "json_schema" and not is_bounded and _UNKNOWN in matcher.get_error():
            return _compile(library, tokenizer, constraint, is_bounded=True)
        raise refused(matcher.get_error())
    if warnings := matcher.get_grammar_warnings():
        raise refused(warnings[0])
    return _Made(matcher, wording, spots)


def _worded(constraint: Constraint, is_bounded: bool) -> tuple[Wording, Spots | None]:
    try:
        if constraint.kind == "tool_calls":
            return Wording("lark", _whole(call_grammar(constraint.text, _JSON))), None
        text = plainer(constraint.text, is_bounded=is_bounded) if constraint.kind == "json_schema" else constraint.text
        check_constraint(constraint.kind, text)
    except ValueError as error:
        raise refused(str(error)) from error
    if constraint.kind in ("regex", "lark"):
        return Wording(constraint.kind, _whole(text)), None
    schema: JsonObject = {"type": "object"} if constraint.kind == "json_object" else json.loads(text)
    spots = Spots(schema) if '"uniqueItems"' in text else None
    schema, spelling = (schema, _JSON) if spots is None else (without_unique(spots.root), _ONE_WAY)
    return Wording("json_schema", _whole(json.dumps({"x-guidance": spelling, **schema}, ensure_ascii=False))), spots


def _grammar(library: Any, wording: Wording) -> str:
    make = library.LLMatcher
    made = {"json_schema": make.grammar_from_json_schema, "regex": make.grammar_from_regex, "lark": make.grammar_from_lark}
    return str(made[wording.kind](wording.text))


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("it holds half of a surrogate pair") from error
    return text
