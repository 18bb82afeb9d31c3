"""One row's form, followed by llguidance: which tokens may come, asked for ahead while the network computes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.networks.generation.form import Bits

_MAX_REASON = 120  # characters: some reasons repeat what they are about
_NOTHING = "no token may stand where one must"
_REASONS = {"NoExtensionBias": "no text has it"}  # a name of llguidance's instead of a reason


class ConstraintForm:
    """See `Form`. One row's; what it is asked may go back (beams), and mostly goes on.

    Args:
        ends: tokens that end a target, which are no part of the form.
        ahead: where the next mask is made as soon as it is known that one is needed; None: it is made when it is asked for.
    """

    def __init__(self, matcher: Any, ends: Sequence[int], ahead: Executor | None = None) -> None:
        self._matcher, self._ahead = matcher, ahead
        self._ends = np.array(ends, dtype=np.int64)
        self._taken: list[int] = []
        self._coming: Future[Bits] | None = None

    def allowed(self, written: Sequence[int]) -> Bits:
        """See `Form.allowed`."""
        if self._coming is not None and self._taken == list(written):
            bits = self._coming.result()
        else:
            self._go_to(written)
            bits = self._mask()
        self._check()
        if not bits.any() and not self._matcher.is_accepting():  # a grammar may ask for the very token that ends a text
            raise refused(_NOTHING)
        return bits

    def may_end(self, written: Sequence[int]) -> bool:
        """See `Form.may_end`."""
        self._go_to(written)
        return bool(self._matcher.is_accepting())

    def must_end(self, written: Sequence[int]) -> bool:
        """See `Form.must_end`. It is asked when a token has been written: the mask of the next is begun."""
        self._go_to(written)
        if self._matcher.is_stopped():
            return True
        if self._ahead is not None and self._coming is None:
            with suppress(RuntimeError):  # closed meanwhile: the mask is made when it is asked for
                self._coming = self._ahead.submit(self._mask)
        return False

    def _mask(self) -> Bits:
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8).copy()
        np.bitwise_and.at(bits, self._ends >> 3, ~(1 << (self._ends & 7)).astype(np.uint8))
        return bits

    def _go_to(self, written: Sequence[int]) -> None:
        if self._coming is not None:
            self._coming.result()  # nobody else may use the matcher meanwhile
        if self._taken == list(written):
            return
        self._coming = None
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


def refused(reason: str, *, details: str = "") -> InvalidInput:
    """The error of a form that cannot be kept to; of the reason one line is shown."""
    lines = reason.strip().split("\n")
    line = next((line for line in lines if line.startswith("error: ")), lines[0]).removeprefix("error: ")
    return InvalidInput("constraint_refused", reason=_REASONS.get(line, line)[:_MAX_REASON], details=details or reason)
