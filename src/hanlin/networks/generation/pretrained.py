"""Networks of transformers that write, as `StepModel`s: anything with a language-model head and its usual cache."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from hanlin.networks.generation.protocol import pad_rows

_POSITIONS = ("n_positions", "max_position_embeddings")  # where a config counts the positions of its decoder


class CausalWriting:
    """See `Writing`. Padding stands on the left and is told by the mask; positions count real tokens."""

    def __init__(self, model: nn.Module, ids: Tensor, mask: Tensor) -> None:
        from transformers import DynamicCache

        self._model = model
        self._mask = mask
        self._takes = set(inspect.signature(model.forward).parameters) & {"position_ids", "logits_to_keep"}
        self._cache = DynamicCache(config=cast("Any", model.config))
        self.scores = self._run(ids, (mask.cumsum(1) - 1).clamp(min=0))

    def step(self, ids: Tensor) -> Tensor:
        """See `Writing.step`."""
        self._mask = torch.cat([self._mask, torch.ones_like(ids)[:, None]], 1)
        return self._run(ids[:, None], self._mask.sum(1, keepdim=True) - 1)

    def reorder(self, index: Tensor) -> None:
        """See `Writing.reorder`."""
        self._cache.reorder_cache(index)
        self._mask = self._mask[index]

    def _run(self, ids: Tensor, places: Tensor) -> Tensor:
        more = {"position_ids": places, "logits_to_keep": 1}
        found = self._model(
            input_ids=ids, attention_mask=self._mask, past_key_values=self._cache, use_cache=True,
            **{name: more[name] for name in self._takes},
        )  # fmt: skip
        scores: Tensor = found.logits[:, -1]
        return scores


class Seq2SeqWriting:
    """See `Writing`. The encoder has read the rows once; all targets are equally long."""

    def __init__(self, model: nn.Module, ids: Tensor, mask: Tensor) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        self._model = model
        self._mask = mask
        config = cast("Any", model.config)
        self._hidden: Tensor = cast("Any", model).get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))

    def step(self, ids: Tensor) -> Tensor:
        """See `Writing.step`."""
        from transformers.modeling_outputs import BaseModelOutput

        found = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._hidden), attention_mask=self._mask, decoder_input_ids=ids[:, None],
            past_key_values=self._cache, use_cache=True,
        )  # fmt: skip
        scores: Tensor = found.logits[:, -1]
        return scores

    def reorder(self, index: Tensor) -> None:
        """See `Writing.reorder`."""
        self._cache.reorder_cache(index)
        self._mask, self._hidden = self._mask[index], self._hidden[index]


class PretrainedCausal:
    """A decoder that continues its rows."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._config = cast("Any", model.config)
        self.stop_ids = stop_ids(self._config)
        self.num_tokens: int = self._config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[CausalWriting, Tensor]:
        """See `StepModel.begin`."""
        ids, mask = map(torch.tensor, pad_rows(rows, self._config.pad_token_id or 0, is_left=True))
        writing = CausalWriting(self._model, ids, mask)
        return writing, writing.scores

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return list(row)

    def room(self, row: Sequence[int]) -> int | None:
        """See `StepModel.room`."""
        positions = num_positions(self._config)
        return None if positions is None else positions - len(row)

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self._config)
        for start in range(0, rows.shape[1], piece):
            ids = rows[:, start : start + piece]
            mask = torch.ones(len(rows), start + ids.shape[1], dtype=torch.long)
            found = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True)
            yield found.logits


class PretrainedSeq2Seq:
    """An encoder–decoder that writes a target for each row."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._config = cast("Any", model.config)
        self.stop_ids = stop_ids(self._config)
        self.num_tokens: int = self._config.vocab_size
        self._start: int = self._config.decoder_start_token_id

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[Seq2SeqWriting, Tensor]:
        """See `StepModel.begin`."""
        ids, mask = map(torch.tensor, pad_rows(rows, self._config.pad_token_id or 0, is_left=False))
        writing = Seq2SeqWriting(self._model, ids, mask)
        return writing, writing.step(torch.full((len(rows),), self._start))

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return [self._start]

    def room(self, row: Sequence[int]) -> int | None:
        """See `StepModel.room`."""
        positions = num_positions(self._config)
        return None if positions is None else positions - 1

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        raise RuntimeError("a network that writes targets is not read")


def stop_ids(config: object) -> tuple[int, ...]:
    """What ends a target, by a config of transformers: one id, several or none."""
    found = getattr(config, "eos_token_id", None)
    return tuple(found) if isinstance(found, list) else () if found is None else (int(found),)


def num_positions(config: object) -> int | None:
    """How many tokens a decoder can count, by a config of transformers; None where distances are all it knows (T5)."""
    if getattr(config, "model_type", "") in ("t5", "mt5"):
        return None  # n_positions is a trace of how it was trained
    return next((found for name in _POSITIONS if isinstance(found := getattr(config, name, None), int)), None)
