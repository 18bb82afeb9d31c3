"""A pretrained encoder alone, and a head without its encoder: what a shared base and its adapters are put together from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from hanlin.errors import InvalidInput
from hanlin.networks.head import Head
from hanlin.networks.loading import TORCH_DTYPES, Attention, Dtype, quiet_transformers, with_attention
from hanlin.networks.transformers_library import import_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_encoder(folder: Path, *, dtype: Dtype = "fp32", attention: Attention = "sdpa") -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The encoder whose config.json and model.safetensors lie in `folder`, and the names of its weights that the file lacks.

    Raises:
        InvalidInput: `weights_do_not_fit`.
    """
    transformers = import_transformers()
    try:
        with quiet_transformers():
            model, info = with_attention(
                transformers.AutoModel, folder, attention, dtype=TORCH_DTYPES[dtype], local_files_only=True, trust_remote_code=False,
                use_safetensors=True, output_loading_info=True,
            )  # fmt: skip
    except Exception as error:  # as in `loading.load_pretrained`
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="config.json, model.safetensors") from error
    lacking = tuple(sorted(map(str, info["missing_keys"])))
    if any(not name.startswith("pooler.") for name in lacking):
        raise InvalidInput("weights_do_not_fit", names=", ".join(lacking[:5])[:200])
    model.requires_grad_(requires_grad=False)
    return model.eval(), lacking


def new_headed(folder: Path, head: Head) -> nn.Module:
    """The network of an artifact's config.json without any weight: on the meta device, where it takes no memory."""
    transformers = import_transformers()
    kinds = {"logits": transformers.AutoModelForSequenceClassification, "token_logits": transformers.AutoModelForTokenClassification}
    with quiet_transformers(), torch.device("meta"):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model: nn.Module = kinds[head.output].from_config(config)
    return model.eval()


def has_pooler(encoder: nn.Module) -> bool:
    """Whether a network has its encoder with what makes one vector of the first token."""
    return getattr(encoder, "pooler", None) is not None


def without_pooler(encoder: nn.Module) -> nn.Module:
    """The same encoder, layer by layer the same objects, without its pooler."""
    if not has_pooler(encoder):
        return encoder
    bare = copy.copy(encoder)
    bare._modules = {**encoder._modules, "pooler": None}
    return bare
