"""The `torch` engine's sessions of networks that write: whole batches, and rows that come and go (`networks/generation`).

The reference of every other engine that writes, and the one that serves networks trained from scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.engines.base import Floats, Ids, step_failed
from hanlin.engines.constraint_form import refused
from hanlin.engines.constraints import Constraints
from hanlin.errors import HanlinError, InvalidInput, as_exception
from hanlin.generation import Constraint, Delta, Generated, GenerationSettings
from hanlin.networks.generation.form import PATIENCE_S, Form
from hanlin.observe.memory import read_memory

if TYPE_CHECKING:
    from hanlin.networks.generation.continuous import ContinuousBatch
    from hanlin.networks.generation.protocol import StepModel

TOKENIZER_FILE = "tokenizer.json"
MAX_ROWS = 32  # on two cores, more of them write hardly more tokens a second together, and each waits longer for its own
_MEMORY_SHARE = 4  # states of rows may take a quarter of the memory that is free when the model was loaded …
_MEMORY_BYTES = 4 * 2**30  # … and where that is unknown, or very much, no more than this
_PADDING = 2  # … half of which is for padding to the longest row
_KEPT_SHARE = 4  # prompts that are remembered may hold a quarter of what rows may …
_KEPT_TOKENS = 32_768  # … and no more tokens than this: finding one among them takes a moment
_PATIENCE_ALONE_S = 30.0  # where nothing else can be done meanwhile; forms are bounded to about 2 s


class TorchWriter:
    """A network that writes, in eval mode. See `StreamingSession`.

    Args:
        folder: of the artifact, whose tokenizer constraints need; None: none is kept to.
    """

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    max_rows = MAX_ROWS

    def __init__(self, steps: StepModel, variant: str, *, folder: Path | None = None) -> None:
        self._steps: StepModel | None = steps
        self._variant = variant
        self._constraints: Constraints | None = None
        if folder is not None and (folder / TOKENIZER_FILE).is_file():
            self._constraints = Constraints(folder / TOKENIZER_FILE, num_tokens=steps.num_tokens, stop_ids=steps.stop_ids)
        self.room_tokens = self._measured_room(steps)
        self._batch: ContinuousBatch | None = None

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `WritingSession`: it has no arrays to answer with."""
        raise step_failed(self._variant, TypeError("a network that writes"))

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """See `WritingSession.generate`. Raises InvalidInput (`constraint_refused`) as well."""
        from hanlin.networks.generation.run import generate

        assert self._steps is not None, "closed session"
        forms = {number: self._form(each.constraint) for number, each in enumerate(settings) if each.constraint is not None}
        try:
            made = {number: form.result(_PATIENCE_ALONE_S) for number, form in forms.items()}
        except TimeoutError as error:
            raise refused("it takes too long to be made") from error
        try:
            return generate(self._steps, rows, settings, is_wanted=is_wanted, forms=made)
        except (RuntimeError, IndexError, ValueError) as error:
            raise step_failed(self._variant, error) from error

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`. A form that takes long is made meanwhile; if it is none its row ends with that error."""
        if settings.reads or settings.num_beams > 1:
            raise InvalidInput("generation_not_served", variant=self._variant)
        form = None
        if settings.constraint is not None:
            form = self._form(settings.constraint)
            with suppress(TimeoutError):
                form.result(PATIENCE_S)
        self._rows().admit(number, row, settings, form)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        self._rows().drop(number)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        batch = self._rows()
        try:
            return batch.turn()
        except BaseException as error:
            batch.clear()
            if isinstance(error, HanlinError):
                raise
            raise step_failed(self._variant, as_exception(error)) from error

    def close(self) -> None:
        """Drop the module."""
        self._steps = self._batch = None
        if self._constraints is not None:
            self._constraints.close()

    def _form(self, constraint: Constraint) -> Future[Form]:
        if self._constraints is None:
            raise refused("the model has no tokenizer.json")
        return self._constraints.form(constraint)

    def _rows(self) -> ContinuousBatch:
        from hanlin.networks.generation.continuous import ContinuousBatch

        assert self._steps is not None, "closed session"
        if self._batch is None:
            room = self.room_tokens
            kept = _KEPT_TOKENS if room is None else min(_KEPT_TOKENS, room // _KEPT_SHARE)
            padded = None if room is None else _PADDING * room
            self._batch = ContinuousBatch(self._steps, room_tokens=padded, kept_tokens=kept, failed=self._failed)
        return self._batch

    def _failed(self, error: Exception) -> HanlinError:
        return step_failed(self._variant, error)

    def _measured_room(self, steps: StepModel) -> int | None:
        """From what a token takes and the memory that is free now."""
        from hanlin.networks.generation.continuous import token_bytes

        try:
            size_bytes = token_bytes(steps)
        except (RuntimeError, IndexError, ValueError) as error:
            raise step_failed(self._variant, error) from error
        available = read_memory().available_bytes
        memory_bytes = _MEMORY_BYTES if available is None else min(_MEMORY_BYTES, available // _MEMORY_SHARE)
        return max(1, memory_bytes // _PADDING // size_bytes) if size_bytes else None
