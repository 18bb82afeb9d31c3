"""Pretrained encoders with a new classification head, through transformers. Offline, safetensors only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from torch import nn

from hanlin.errors import InvalidInput
from hanlin.models.allowed import MODEL_TYPES
from hanlin.models.heads import PROBLEM_TYPES
from hanlin.networks.config import read_config
from hanlin.networks.dropout import set_dropout
from hanlin.networks.filler import MASKED_TYPES, PretrainedFiller, PretrainedPairFiller
from hanlin.networks.head import CLASSIFIER, KEY, Head, Output
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder
from hanlin.networks.loading import Attention, quiet_transformers, with_attention
from hanlin.networks.projection import Projection, read_projection
from hanlin.tasks.spec import Problem
from hanlin.types import shorten

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def build_from_base(
    folder: Path, labels: Sequence[str], *, attention: Attention = "eager", dropout: float | None = None, problem: Problem = "single-label",
    has_types: bool = False, output: Output = "logits",
) -> PretrainedClassifier:  # fmt: skip
    """The encoder in `folder` with a classification head for `labels`; a head that fits them is kept, else a new one is drawn.

    Args:
        output: whether the head answers once a text or once a token.
        dropout: of head and hidden states, when given. Attention then drops nothing: that costs time and brings no accuracy on short texts.
        problem: what its labels will mean, which its config.json tells other readers.
        has_types: whether it will be given token types.
        output: `logits` of the text, or `token_logits`.

    Raises:
        InvalidInput: `unsupported_architecture`, `weights_do_not_fit`.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

    model_type = str(read_config(folder).get("model_type"))
    if model_type not in MODEL_TYPES:
        raise InvalidInput("unsupported_architecture", architecture=shorten(model_type), choices=", ".join(MODEL_TYPES))
    with quiet_transformers():  # it would warn that the head is new, which is what we want
        try:
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, num_labels=len(labels), id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
            )  # fmt: skip
            config.problem_type = PROBLEM_TYPES[problem]
            _set_head(config, Head(output, has_types=has_types))
            if dropout is not None:
                set_dropout(config, dropout)
            kind = AutoModelForTokenClassification if output == "token_logits" else AutoModelForSequenceClassification
            model = with_attention(
                kind, folder, attention, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                ignore_mismatched_sizes=True, dtype="float32",
            )  # fmt: skip
        except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
            raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="model.safetensors") from error
    return PretrainedClassifier(model)


def _set_head(config: PreTrainedConfig, head: Head) -> None:
    """What the new head answers, as `networks/head.py` reads it; nothing where it is the usual one."""
    if hasattr(config, KEY):
        delattr(config, KEY)  # of the vectors that it gave
    if head != CLASSIFIER:
        config.update({KEY: head.to_json()})


def has_types(folder: Path) -> bool:
    """Whether the encoder in `folder` tells two texts of a row apart by token types."""
    kinds = read_config(folder).get("type_vocab_size")
    return isinstance(kinds, int) and kinds > 1


def build_embedder(folder: Path, head: Head, *, attention: Attention = "eager", dropout: float | None = None) -> PretrainedEmbedder:
    """The encoder in `folder` with vectors as `head` pools them. Raises as `build_from_base`."""
    from transformers import AutoConfig, AutoModel

    model_type = str(read_config(folder).get("model_type"))
    if model_type not in MODEL_TYPES:
        raise InvalidInput("unsupported_architecture", architecture=shorten(model_type), choices=", ".join(MODEL_TYPES))
    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            if dropout is not None:
                set_dropout(config, dropout)
            model = with_attention(
                AutoModel, folder, attention, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                dtype="float32",
            )  # fmt: skip
        except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
            raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="model.safetensors") from error
    return embedder_of(model, head, read_projection(folder, head.dense) if head.dense else None)


def embedder_of(model: nn.Module, head: Head, projection: Projection | None = None) -> PretrainedEmbedder:
    """The bare encoder with vectors as `head` pools them; its config says so."""
    if hasattr(model, "pooler"):
        model.pooler = None  # type: ignore[assignment]  # ours stands behind it
    model.config.update({KEY: head.to_json()})  # type: ignore[union-attr,operator]  # transformers configs are untyped here
    return PretrainedEmbedder(model, head, projection)


def build_filler_from_base(folder: Path, *, dropout: float, has_pairs: bool) -> PretrainedFiller:
    """The encoder in `folder` with its masked-word head, or a new one where it has none; `has_pairs` for a next-sentence head too.

    Raises:
        InvalidInput: `unsupported_architecture`, `weights_do_not_fit`.
    """
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForPreTraining

    model_type = str(read_config(folder).get("model_type"))
    choices = ("bert",) if has_pairs else MASKED_TYPES
    if model_type not in choices:
        raise InvalidInput("unsupported_architecture", architecture=shorten(model_type), choices=", ".join(choices))
    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            set_dropout(config, dropout)
            kind = AutoModelForPreTraining if has_pairs else AutoModelForMaskedLM
            model = kind.from_pretrained(
                folder, config=config, attn_implementation="eager", local_files_only=True, trust_remote_code=False, use_safetensors=True,
                ignore_mismatched_sizes=True, dtype="float32",
            )  # fmt: skip
        except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
            raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="model.safetensors") from error
    return PretrainedPairFiller(model) if has_pairs else PretrainedFiller(model)
