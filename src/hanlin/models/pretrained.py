"""Pretrained encoders with a new classification head, through transformers. Offline, safetensors only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from hanlin.errors import InvalidInput
from hanlin.networks.config import read_config
from hanlin.networks.loading import Attention, PretrainedClassifier, quiet_transformers
from hanlin.types import shorten

# Encoders whose transformers classes read ids and mask alone, have a sequence-classification head and run no code from the folder.
MODEL_TYPES = ("albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
_LAYER = re.compile(r"\.layers?\.(\d+)\.")


def build_from_base(
    folder: Path, labels: Sequence[str], *, attention: Attention = "eager", dropout: float | None = None
) -> PretrainedClassifier:
    """The encoder in `folder` with a classification head for `labels`; a head that fits them is kept, else a new one is drawn.

    Args:
        dropout: of the head, when given; the encoder keeps its own.

    Raises:
        InvalidInput: `unsupported_architecture`, `weights_do_not_fit`.
    """
    from transformers import AutoModelForSequenceClassification

    model_type = str(read_config(folder).get("model_type"))
    if model_type not in MODEL_TYPES:
        raise InvalidInput("unsupported_architecture", architecture=shorten(model_type), choices=", ".join(MODEL_TYPES))
    options: dict[str, object] = {} if dropout is None else {"classifier_dropout": dropout}
    with quiet_transformers():  # it would warn that the head is new, which is what we want
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, attn_implementation=attention, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                num_labels=len(labels), id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)},
                ignore_mismatched_sizes=True, dtype="float32", **options,
            )  # fmt: skip
        except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
            raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="model.safetensors") from error
    return PretrainedClassifier(model)


def rate_scales(module: nn.Module, *, layer_decay: float, head_rate: float) -> dict[str, float]:
    """Factor on the learning rate per parameter: `head_rate` for the head, falling by `layer_decay` from the top layer down.

    Source: Howard and Ruder, Universal Language Model Fine-tuning (2018), section 3.2, for slower lower layers.
    """
    names = [name for name, _ in module.named_parameters()]
    depths = [int(found.group(1)) for name in names if (found := _LAYER.search(name))]
    top = max(depths, default=0)
    scales: dict[str, float] = {}
    for name in names:
        if found := _LAYER.search(name):
            scales[name] = layer_decay ** (top - int(found.group(1)))
        elif ".embeddings." in name:
            scales[name] = layer_decay ** (top + 1)
        else:
            scales[name] = head_rate
    return scales
