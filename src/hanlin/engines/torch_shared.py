"""The `torch` engine's bases for many adapters: `networks/mixed.py` as a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hanlin.engines.base import Floats, Ids, check_tokens, step_failed
from hanlin.engines.sharing import Seat
from hanlin.networks.head import TOKENS

if TYPE_CHECKING:
    from hanlin.networks.mixed import MixedModel


class TorchShared:
    """A base in eval mode; every step runs under inference mode."""

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = True

    def __init__(self, model: MixedModel, variant: str) -> None:
        self._model: MixedModel | None = model
        self._variant = variant
        self._outputs: dict[int, str] = {}

    def take(self, folder: Path) -> Seat:
        """See `SharedSession.take`."""
        place = self._open().add(folder)
        self._outputs[place.number] = place.head.output
        return Seat(place.number, place.kind, place.head.output, place.width, place.head.has_types)

    def leave(self, number: int) -> None:
        """See `SharedSession.leave`."""
        self._open().remove(number)

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """A base alone answers nothing."""
        raise step_failed(self._variant, TypeError("a base without an adapter"))

    def run_rows(
        self, numbers: Sequence[int], input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `SharedSession.run_rows`."""
        import torch

        model, output = self._open(), self._outputs[numbers[0]]
        if with_tokens:
            check_tokens(self._variant, has_tokens=output == "embeddings")
        try:
            with torch.inference_mode():
                arrays = (input_ids, attention_mask) if token_type_ids is None else (input_ids, attention_mask, token_type_ids)
                found = model.run(numbers, [torch.from_numpy(array) for array in arrays], with_tokens=with_tokens)
                names = (output, TOKENS)
                return {name: np.asarray(values.float().numpy(), dtype=np.float32) for name, values in zip(names, found, strict=False)}
        except (RuntimeError, IndexError, ValueError) as error:
            raise step_failed(self._variant, error) from error

    def close(self) -> None:
        """Drop the base and all adapters."""
        self._model = None

    def _open(self) -> MixedModel:
        assert self._model is not None, "closed session"
        return self._model
