"""One encoder under many adapters at once: every row of a batch gets the low-rank matrices and the head of its own.

Their weights lie in stacks, one place an adapter. A batch names the place of each row; a layer gathers those rows of its stacks and adds
the rows' own products (`bmm`), so the encoder's large matrices are read once for all. Ranks and numbers of labels that differ are filled up
with zeros, which add nothing. Where all rows are of one adapter nothing is gathered.

Adapters come and go on another thread than the one that computes: a stack is replaced as a whole, or written where nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.encoder_parts import has_pooler, load_encoder, new_headed, without_pooler
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder
from hanlin.networks.loading import TORCH_DTYPES, Attention, Dtype
from hanlin.networks.lora import base_folder, read_adapter
from hanlin.networks.mixed_layers import BatchPlaces, MixedHead, Rows
from hanlin.networks.mixed_matrices import MixedMatrices, matrices_of
from hanlin.types import shorten


@dataclass(frozen=True, slots=True)
class Place:
    """An adapter that can be answered by.

    Attributes:
        number: names it in a batch.
        kind: adapters of one kind may share a batch.
        width: labels, or numbers of a vector.
        has_matrices: whether it adds to the encoder's layers.
    """

    number: int
    kind: int
    head: Head
    width: int
    has_matrices: bool


class MixedModel:
    """A base and its adapters. `run` on any threads, `add` and `remove` on one at a time.

    Args:
        folder: an artifact folder of an adapter: its base is loaded.
    """

    def __init__(self, folder: Path, *, dtype: Dtype = "fp32", attention: Attention = "sdpa") -> None:
        self._base = base_folder(folder)
        self._dtype = TORCH_DTYPES[dtype]
        self._batch = BatchPlaces()
        self.encoder, self._lacking = load_encoder(self._base, dtype=dtype, attention=attention)
        self._bare = without_pooler(self.encoder)  # the same layers, for heads that read tokens
        self._prefix = str(self.encoder.base_model_prefix)
        self._matrices = MixedMatrices(self.encoder, self._batch, self._dtype)
        self._heads: dict[str, dict[str, MixedHead]] = {}  # by output
        self._readers: dict[Head, nn.Module] = {}
        self._places: dict[int, Place] = {}

    def add(self, folder: Path) -> Place:
        """Take an adapter in. Raises InvalidInput (`weights_do_not_fit`, `adapter_not_shared`); others are not touched."""
        settings, head, tensors = AdapterSettings.load(folder), Head.load(folder), read_adapter(folder)
        if head.output not in ("logits", "token_logits", "embeddings") or head.dense:
            raise InvalidInput("adapter_not_shared", name=head.output)
        matrices = matrices_of(tensors, self._prefix)
        own = {name: tensor for name, tensor in tensors.items() if ".lora_A." not in name and ".lora_B." not in name}
        self._matrices.check(matrices)
        reader_heads = self._reader_of(head, folder)
        values = _head_values(reader_heads, own)
        number = next(number for number in range(len(self._places) + 1) if number not in self._places)
        self._matrices.put(number, matrices, settings.scaling)
        width = int(self.encoder.config.hidden_size)
        for name, (weight, bias) in values.items():
            reader_heads[name].put(number, weight.to(self._dtype), bias if bias is None else bias.to(self._dtype))
            width = len(weight)
        kind = [*self._readers].index(head) if head.output == "embeddings" else -1 - ("logits", "token_logits").index(head.output)
        place = Place(number, kind + 2, head, width, bool(matrices))
        self._places[number] = place
        return place

    def remove(self, number: int) -> None:
        """Let an adapter go; no batch may name it any more."""
        del self._places[number]

    def run(self, numbers: Sequence[int], arrays: Sequence[Tensor], *, with_tokens: bool = False) -> tuple[Tensor, ...]:
        """One step over right-padded rows, the adapter of each named by its place; all with the same `Head`.

        Returns:
            As the readers of `networks/heads.py`: labels beyond an adapter's own are zeros. With `with_tokens` the tokens' vectors, too.
        """
        places = [self._places[number] for number in numbers]
        first = numbers[0]
        index = None if all(number == first for number in numbers) else torch.tensor(numbers)
        self._batch.rows = Rows(index, first, any(place.has_matrices for place in places))
        reader = self._readers[places[0].head]
        if with_tokens:
            assert isinstance(reader, PretrainedEmbedder)
            return reader.both(*arrays)
        return (reader(*arrays),)

    def _reader_of(self, head: Head, folder: Path) -> dict[str, MixedHead]:
        """The layers behind the encoder for such heads, by the names that an adapter gives their weights."""
        key = head.output
        if key not in self._heads:
            self._heads[key] = {} if key == "embeddings" else self._new_reader(head, folder)
        if head not in self._readers:
            if key == "embeddings":
                self._readers[head] = PretrainedEmbedder(self._bare, head).eval()
            else:
                self._readers[head] = next(reader for known, reader in self._readers.items() if known.output == key)
        return self._heads[key]

    def _new_reader(self, head: Head, folder: Path) -> dict[str, MixedHead]:
        model = new_headed(folder, head)
        setattr(model, self._prefix, self.encoder if has_pooler(getattr(model, self._prefix)) else self._bare)
        heads: dict[str, MixedHead] = {}
        for name, layer in list(model.named_modules()):
            is_inside = name == self._prefix or name.startswith(f"{self._prefix}.")
            is_lacking = any(f"{self._prefix}.{lacking}".startswith(f"{name}.") for lacking in self._lacking)
            if not [*layer.parameters(recurse=False)] or (is_inside and not is_lacking):
                continue
            if not isinstance(layer, nn.Linear | nn.LayerNorm):
                raise InvalidInput("adapter_not_shared", name=shorten(name))
            heads[name] = MixedHead(layer, self._batch)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, heads[name])
        self._readers[head] = PretrainedClassifier(model).eval()
        return heads


def _head_values(heads: Mapping[str, MixedHead], own: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Weight and bias for each layer behind the encoder, the last one last. Raises InvalidInput (`weights_do_not_fit`)."""
    wrong = sorted(name for name in own if name.rpartition(".")[0] not in heads)
    missing = sorted(f"{name}.weight" for name in heads if f"{name}.weight" not in own)
    if wrong or missing or not all(bool(tensor.isfinite().all()) for tensor in own.values()):
        raise InvalidInput("weights_do_not_fit", names=", ".join([*wrong, *missing][:5])[:200] or "NaN")
    for name, head in heads.items():
        weight = own[f"{name}.weight"]
        if weight.dim() != (1 if head.is_norm else 2) or (not head.is_norm and weight.shape[1] != head.width):
            raise InvalidInput("weights_do_not_fit", names=shorten(f"{name}.weight"))
    return {name: (own[f"{name}.weight"], own.get(f"{name}.bias")) for name in heads}
