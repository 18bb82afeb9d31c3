"""The `torch` engine's bases that write for many adapters: `networks/mixed_writer.py` as a session, whose rows come and go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.engines.sharing import Seat
from hanlin.engines.torch_writer import TorchWriter
from hanlin.generation import Delta, GenerationSettings

if TYPE_CHECKING:
    from hanlin.networks.mixed_writer import MixedWriter


class TorchSharedWriter(TorchWriter):
    """A base that writes, each row by the adapter that its settings name; rows that name none are the base's own. See `SharedWriter`.

    Args:
        folder: of an artifact, whose tokenizer is that of all.
    """

    def __init__(self, model: MixedWriter, variant: str, *, folder: Path) -> None:
        super().__init__(model.steps, variant, folder=folder)
        self._model: MixedWriter | None = model
        self._gone: deque[int] = deque()
        self._in_use = threading.Lock()  # of the rows: `take` runs beside them

    def take(self, folder: Path) -> Seat:
        """See `SharedWriter.take`. Who left a base that is idle is let go here: there may be no turn for days."""
        if self._in_use.acquire(blocking=False):
            try:
                if self._batch is None or not self._batch.num_rows:
                    self._let_go()
            finally:
                self._in_use.release()
        return Seat(self._open().add(folder), 0, "", 0, has_types=False)

    def leave(self, number: int) -> None:
        """See `SharedWriter.leave`. Its place is given to another one only once no row is written there: before the next turn."""
        self._gone.append(number)
        if self._batch is None:
            self._let_go()

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`."""
        with self._in_use:
            super().admit(number, row, settings)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        with self._in_use:
            super().drop(number)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        with self._in_use:
            self._let_go()
            return super().turn()

    def close(self) -> None:
        """Drop the base and all adapters."""
        super().close()
        self._model = None

    def _let_go(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            if self._batch is not None:
                self._batch.forget(number)
            self._open().remove(number)

    def _open(self) -> MixedWriter:
        assert self._model is not None, "closed session"
        return self._model
