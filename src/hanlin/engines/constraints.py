"""What a target must look like, told as text (`generation.Constraint`), made into forms of single rows for one model's tokenizer.

llguidance does the work: it follows what was written byte by byte and says which tokens may come. It knows no backtracking, its work a
token is bounded, and keywords of JSON Schema that it cannot keep to are refused before anything is written. Knows no network: every
engine that takes masks can use it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hanlin.engines.base import import_extra
from hanlin.engines.call_forms import call_grammar
from hanlin.engines.constraint_bounds import MAX_LARK_FUEL, check_constraint
from hanlin.engines.json_schemas import plainer
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint
from hanlin.networks.generation.form import Bits, Form
from hanlin.types import JsonObject

_STACK_BYTES = 128 * 2**20  # rules that name rules are followed by recursion: 3,000 of them overran the usual 8 MiB, and ended the process
_MAX_KEPT = 64  # compiled texts
_LIMITS = {
    "initial_lexer_fuel": 1_000_000,  # about 20 ms
    "step_lexer_fuel": 200_000,  # about 15 ms a token
    "step_max_items": 20_000,  # most rules followed a token; 50,000 took 0.6 s
    "max_lexer_states": 50_000,  # of 1 to 2 kB each
    "max_grammar_size": 100_000,
    "verbose_errors": False,  # which would repeat the grammar
}
# Between two parts of a document: nothing, a space, or a new line with its indentation; else a model may write spaces for ever.
_JSON: JsonObject = {"whitespace_pattern": r"(\n {0,20}| )", "whitespace_flexible": True, "lenient": False, "coerce_one_of": False}
_MAX_REASON = 120  # characters: some reasons repeat what they are about


class ConstraintForm:
    """See `Form`. One row's; what it is asked may go back (beams), and mostly goes on."""

    def __init__(self, matcher: Any, ends: Sequence[int]) -> None:
        self._matcher = matcher
        self._ends = np.array(ends, dtype=np.int64)
        self._taken: list[int] = []

    def allowed(self, written: Sequence[int]) -> Bits:
        """See `Form.allowed`."""
        self._go_to(written)
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8).copy()
        np.bitwise_and.at(bits, self._ends >> 3, ~(1 << (self._ends & 7)).astype(np.uint8))
        self._check()
        return bits

    def may_end(self, written: Sequence[int]) -> bool:
        """See `Form.may_end`."""
        self._go_to(written)
        return bool(self._matcher.is_accepting())

    def must_end(self, written: Sequence[int]) -> bool:
        """See `Form.must_end`."""
        self._go_to(written)
        return bool(self._matcher.is_stopped())

    def _go_to(self, written: Sequence[int]) -> None:
        common = len(self._taken)
        if self._taken != list(written[:common]):
            common = next(place for place, pair in enumerate(zip(self._taken, [*written, -1], strict=False)) if pair[0] != pair[1])
            self._matcher.rollback(len(self._taken) - common)
        if more := list(written[common:]):
            self._matcher.consume_tokens(more)
        self._taken = list(written)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise refused(self._matcher.get_error())


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
        self._kept: OrderedDict[Constraint, Any] = OrderedDict()
        self._thread: ThreadPoolExecutor | None = None

    def form(self, constraint: Constraint) -> Future[Form]:
        """The form of one row, soon.

        Raises:
            InvalidInput: by the future: `constraint_refused` with the reason; `missing_extra`.
        """
        if self._thread is None:
            self._thread = _thread_with_stack()
        return self._thread.submit(self._form, constraint)

    def close(self) -> None:
        """End the thread; forms that were made stay good."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _form(self, constraint: Constraint) -> Form:
        library = import_extra("llguidance", extra="server", feature="answers of a given form")
        if self._tokenizer is None:
            self._tokenizer = self._load(library)
        if (matcher := self._kept.pop(constraint, None)) is None:
            matcher = _compile(library, self._tokenizer, constraint)
        self._kept[constraint] = matcher
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return ConstraintForm(matcher.deep_copy(), self._tokenizer.eos_tokens)

    def _load(self, library: Any) -> Any:
        try:
            text = self._path.read_text(encoding="utf-8")
            return library.LLTokenizer(text, n_vocab=self._num_tokens, eos_token=self._stop_ids or None)
        except (OSError, ValueError) as error:
            raise refused("the model's tokenizer does not spell its tokens in bytes", details=str(error)) from error


def _thread_with_stack() -> ThreadPoolExecutor:
    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = ThreadPoolExecutor(1, thread_name_prefix="constraints")
        thread.submit(int).result()  # it is there from now on
    finally:
        threading.stack_size(before)
    return thread


def _compile(library: Any, tokenizer: Any, constraint: Constraint) -> Any:
    try:
        own = {"initial_lexer_fuel": MAX_LARK_FUEL} if constraint.kind == "lark" else {}
        grammar, limits = _grammar(library, constraint), library.LLParserLimits(**_LIMITS | own)
        matcher = library.LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    except ValueError as error:
        raise refused("it cannot be read", details=str(error)) from error
    if not matcher.is_error():
        matcher.compute_bitmask()  # forms of which there is none, or that take too much work, show here
    if matcher.is_error():
        raise refused(matcher.get_error())
    if warnings := matcher.get_grammar_warnings():
        raise refused(warnings[0])
    return matcher


def _grammar(library: Any, constraint: Constraint) -> str:
    make = library.LLMatcher
    try:
        if constraint.kind == "tool_calls":
            return str(make.grammar_from_lark(_whole(call_grammar(constraint.text, _JSON))))
        text = plainer(constraint.text) if constraint.kind == "json_schema" else constraint.text
        check_constraint(constraint.kind, text)
    except ValueError as error:
        raise refused(str(error)) from error
    if constraint.kind == "regex":
        return str(make.grammar_from_regex(_whole(text)))
    if constraint.kind == "lark":
        return str(make.grammar_from_lark(_whole(text)))
    if constraint.kind == "json_object":
        text = '{"type": "object"}'
    return str(make.grammar_from_json_schema(_whole(text), overrides=_JSON))


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("it holds half of a surrogate pair") from error
    return text


def refused(reason: str, *, details: str = "") -> InvalidInput:
    """The error of a form that cannot be kept to; of the reason one line is shown."""
    lines = reason.strip().split("\n")
    line = next((line for line in lines if line.startswith("error: ")), lines[0])
    return InvalidInput("constraint_refused", reason=line.removeprefix("error: ")[:_MAX_REASON], details=details or reason)
