"""The wide road: logits straight from which runs of tokens a text holds, a linear model beside the encoder. Knows no encoder.

Our own networks hold it among their weights; a pretrained classifier keeps it in a file beside them, `wide.safetensors`, so that the
weights stay what transformers reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.config import check_wide
from hanlin.networks.embedding import hash_ngrams, ngram_codes

WIDE_FILE = "wide.safetensors"


@dataclass(frozen=True, slots=True)
class WideShape:
    """What a pretrained classifier's `config.json` says of the road beside it, in the words of our own networks' settings."""

    sizes: tuple[int, ...]
    buckets: int

    def __post_init__(self) -> None:
        check_wide(self.sizes, self.buckets)

    @classmethod
    def read(cls, config: Mapping[str, object]) -> WideShape | None:
        """The shape in a `config.json`; None when it names none. Raises InvalidInput (`invalid_network_config`)."""
        sizes, buckets = config.get("wide_sizes"), config.get("wide_buckets")
        if sizes is None and buckets is None:
            return None
        if not (isinstance(sizes, list) and sizes and len(sizes) <= 5 and all(type(size) is int for size in sizes)):
            raise InvalidInput("invalid_network_config", name="wide_sizes", value=str(sizes)[:60])
        if type(buckets) is not int:
            raise InvalidInput("invalid_network_config", name="wide_buckets", value=str(buckets)[:60])
        return cls(tuple(sizes), buckets)


class WideRoad(nn.Module):
    """Sum of the runs' weights, divided by the square root of the text's tokens, plus a bias.

    Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016), for the two roads; how the weights are found stands
    in `training/wide.py`.

    Args:
        sizes: lengths of the runs in tokens; 1 has a row for each token, longer ones share hashed rows.
        buckets: rows of each hashed table.
    """

    def __init__(self, *, vocab_size: int, num_labels: int, sizes: Sequence[int], buckets: int) -> None:
        super().__init__()
        self.sizes, self.buckets = tuple(sizes), buckets
        self.tables = nn.ModuleList(nn.Embedding(vocab_size if size == 1 else buckets, num_labels) for size in self.sizes)
        self.bias = nn.Parameter(torch.zeros(num_labels))
        for size in self.sizes:
            if size > 1:
                self.register_buffer(f"codes{size}", ngram_codes(vocab_size, size, buckets), persistent=False)
        for table in self.tables.parameters():
            nn.init.zeros_(table)

    def runs(self, input_ids: Tensor) -> list[Tensor]:
        """For each size the row of its table at every position, (batch, length) int64 each."""
        return [input_ids if size == 1 else hash_ngrams(input_ids, self.get_buffer(f"codes{size}"), self.buckets) for size in self.sizes]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        weights = torch.stack([table(run) for table, run in zip(self.tables, self.runs(input_ids), strict=True)]).sum(0)
        mask = attention_mask.to(weights.dtype)
        return (weights * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1).sqrt() + self.bias


def save_wide(road: WideRoad, folder: Path) -> None:
    """Write `wide.safetensors`; its shape belongs into `config.json`."""
    state = {name: tensor.detach().float().contiguous() for name, tensor in road.state_dict().items()}
    save_file(state, folder / WIDE_FILE, metadata={"format": "pt"})


def load_wide(folder: Path, shape: WideShape, *, vocab_size: int, num_labels: int) -> WideRoad:
    """The road beside the weights in `folder`, fp32. Raises InvalidInput (`weights_do_not_fit`)."""
    road = WideRoad(vocab_size=vocab_size, num_labels=num_labels, sizes=shape.sizes, buckets=shape.buckets)
    try:
        road.load_state_dict(load_file(folder / WIDE_FILE))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=WIDE_FILE) from error
    return road.eval()
