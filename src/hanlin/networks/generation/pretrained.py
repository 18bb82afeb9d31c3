"""Networks of transformers that write, as `StepModel`s: anything with a language-model head and its usual cache."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from hanlin.networks.generation.protocol import pad_rows
from hanlin.networks.kv_cache import DecoderCache, stack_rows

_BY_DISTANCE = ("t5", "mt5")  # their decoders know how far tokens stand from each other, not where
_POSITIONS = ("n_positions", "max_position_embeddings")  # where a config counts the positions of its decoder


class CausalWriting:
    """See `Writing`. Padding stands on the left and is told by the mask; positions count real tokens."""

    def __init__(self, model: nn.Module, cache: DecoderCache) -> None:
        self._model, self._cache = model, cache
        self._takes = set(inspect.signature(model.forward).parameters) & {"position_ids", "logits_to_keep"}

    @classmethod
    def begin(cls, model: nn.Module, ids: Tensor, mask: Tensor) -> tuple[CausalWriting, Tensor]:
        """Read rows, (rows, tokens) both; and the scores of what comes next."""
        writing = cls(model, DecoderCache.empty(cast("Any", model.config).num_hidden_layers, len(ids)))
        return writing, writing._run(ids, mask)

    def feed(self, ids: Tensor) -> Tensor:
        """See `Writing.feed`."""
        return self._run(ids, torch.ones_like(ids))

    def pick(self, index: Tensor) -> CausalWriting:
        """See `Writing.pick`."""
        return CausalWriting(self._model, self._cache.pick(index))

    def join(self, other: CausalWriting) -> CausalWriting:
        """See `Writing.join`."""
        return CausalWriting(self._model, self._cache.join(other._cache))

    def first(self, count: int) -> CausalWriting:
        """See `Writing.first`."""
        return CausalWriting(self._model, self._cache.first(count))

    @property
    def size_bytes(self) -> int:
        """See `Writing.size_bytes`."""
        return self._cache.size_bytes

    def _run(self, ids: Tensor, mask: Tensor) -> Tensor:
        from hanlin.networks.generation.pretrained_cache import cache_of

        self._cache.mask = torch.cat([self._cache.mask, mask], 1)
        places = (self._cache.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        more = {"position_ids": places, "logits_to_keep": 1}
        found = self._model(
            input_ids=ids, attention_mask=self._cache.mask, past_key_values=cache_of(self._cache.blocks), use_cache=True,
            **{name: more[name] for name in self._takes},
        )  # fmt: skip
        scores: Tensor = found.logits[:, -1]
        return scores


class Seq2SeqWriting:
    """See `Writing`. The encoder has read the rows once.

    Args:
        cache: of the target, and keys and values of the source once its first token was read.
        hidden, mask: what the encoder made of the rows, (rows, source tokens, size), and which of it counts.
        has_mask: whether targets may be unlike in length, by padding on the left: where a decoder knows distances alone.
    """

    def __init__(self, model: nn.Module, cache: DecoderCache, hidden: Tensor, mask: Tensor, *, has_mask: bool) -> None:
        self._model, self._cache, self._hidden, self._mask, self._has_mask = model, cache, hidden, mask, has_mask

    @classmethod
    def begin(cls, model: nn.Module, ids: Tensor, mask: Tensor, *, has_mask: bool) -> Seq2SeqWriting:
        """Read rows, (rows, tokens) both."""
        hidden = cast("Any", model).get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        return cls(model, DecoderCache.empty(_num_decoder_layers(model.config), len(ids)), hidden, mask, has_mask=has_mask)

    def feed(self, ids: Tensor) -> Tensor:
        """See `Writing.feed`."""
        from transformers.modeling_outputs import BaseModelOutput

        from hanlin.networks.generation.pretrained_cache import crossed_cache, crossed_of

        self._cache.mask = torch.cat([self._cache.mask, torch.ones_like(ids)], 1)
        past = crossed_cache(self._cache)
        found = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._hidden), attention_mask=self._mask, decoder_input_ids=ids,
            past_key_values=past, use_cache=True, **({"decoder_attention_mask": self._cache.mask} if self._has_mask else {}),
        )  # fmt: skip
        self._cache.source = self._cache.source or crossed_of(past)
        scores: Tensor = found.logits[:, -1]
        return scores

    def pick(self, index: Tensor) -> Seq2SeqWriting:
        """See `Writing.pick`."""
        cache = self._cache.pick(index)
        return Seq2SeqWriting(self._model, cache, self._hidden[index], self._mask[index], has_mask=self._has_mask)

    def join(self, other: Seq2SeqWriting) -> Seq2SeqWriting:
        """See `Writing.join`."""
        assert self._has_mask, "positions of targets are counted from the beginning of the batch"
        hidden, mask = stack_rows(self._hidden, other._hidden, 1), stack_rows(self._mask, other._mask, 1)
        return Seq2SeqWriting(self._model, self._cache.join(other._cache), hidden, mask, has_mask=True)

    def first(self, count: int) -> None:
        """See `Writing.first`: its row is the target's source."""
        return

    @property
    def size_bytes(self) -> int:
        """See `Writing.size_bytes`."""
        return self._cache.size_bytes + self._hidden.nbytes


class PretrainedCausal:
    """A decoder that continues its rows."""

    joins = continues = True

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._config = cast("Any", model.config)
        self.stop_ids = stop_ids(self._config)
        self.num_tokens: int = self._config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[CausalWriting, Tensor]:
        """See `StepModel.begin`."""
        ids, mask = map(torch.tensor, pad_rows(rows, self._config.pad_token_id or 0, is_left=True))
        return CausalWriting.begin(self._model, ids, mask)

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

    continues = False

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._config = cast("Any", model.config)
        self.joins = self._config.model_type in _BY_DISTANCE
        self.stop_ids = stop_ids(self._config)
        self.num_tokens: int = self._config.vocab_size
        self._start: int = self._config.decoder_start_token_id

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[Seq2SeqWriting, Tensor]:
        """See `StepModel.begin`."""
        ids, mask = map(torch.tensor, pad_rows(rows, self._config.pad_token_id or 0, is_left=False))
        writing = Seq2SeqWriting.begin(self._model, ids, mask, has_mask=self.joins)
        return writing, writing.feed(torch.full((len(rows), 1), self._start))

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
    if getattr(config, "model_type", "") in _BY_DISTANCE:
        return None  # n_positions is a trace of how it was trained
    return next((found for name in _POSITIONS if isinstance(found := getattr(config, name, None), int)), None)


def _num_decoder_layers(config: object) -> int:
    names = ("decoder_layers", "num_decoder_layers", "num_layers")
    return next(found for name in names if isinstance(found := getattr(config, name, None), int))
