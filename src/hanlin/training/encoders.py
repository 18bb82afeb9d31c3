"""Encoders for lessons beyond classification: tokenizer, a base or a new BERT, vocabularies cut to the texts."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.dropout import HIDDEN_RATES
from hanlin.networks.loading import load_writer
from hanlin.networks.rates import rate_scales
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.config import TrainConfig, preset
from hanlin.training.lesson import Setting
from hanlin.training.option_rules import wrong


def lay_out_tokenizer(setting: Setting, texts: Iterable[str], *, is_masked: bool = False) -> None:
    """`tokenizer.json` in the artifact: the checkpoint's, the base's, or one trained on `texts`; `is_masked`: one that can hide tokens."""
    config, target = setting.config, setting.out / "tokenizer.json"
    if setting.found is not None or setting.base is not None:
        shutil.copyfile((setting.found or setting.base or target) / "tokenizer.json", target)
        return
    prepared = (config.text.prepare(text) for text in texts)
    found = train_tokenizer(prepared, config.tokenizer, config.vocab_size, min_count=config.min_count, is_masked=is_masked)  # type: ignore[arg-type]  # checked by TrainConfig
    save_tokenizer(found, setting.out)


def check_setting(setting: Setting) -> None:
    """Refuses networks that only classification can use. Raises InvalidInput (`invalid_training_option`)."""
    config = setting.config
    if config.is_scratch and config.model != "transformer":
        raise InvalidInput("invalid_training_option", name="model", value=config.model, right="transformer, or a model to fine-tune")


def vocabulary_size(folder: Path) -> int:
    """Rows that the token table of the tokenizer in `folder` needs."""
    return max(load_tokenizer(folder / "tokenizer.json").get_vocab(with_added_tokens=True).values()) + 1


def bert_config(config: TrainConfig, vocab_size: int, **more: object) -> object:
    """The settings of a new BERT as transformers keeps them, of the sizes that `config` names."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        "bert", vocab_size=vocab_size, hidden_size=config.hidden_size, num_hidden_layers=config.layers, num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden_size, max_position_embeddings=config.max_length, hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=0.0, pad_token_id=0, type_vocab_size=2, **more,
    )  # fmt: skip


def writer_of(base: Path, config: TrainConfig) -> nn.Module:
    """A network that writes, to be fine-tuned. Raises InvalidInput (`invalid_training_option`) for a `dropout` that it has no place for."""
    module = load_writer(base, dropout=config.dropout)
    has_dropout = any(hasattr(module.config, name) for name in HIDDEN_RATES)
    if not has_dropout and config.dropout not in (0.0, preset(config.model, config.task).dropout):
        raise wrong("dropout", config.dropout, "0, for this network drops nothing")
    return module


def scales_of(module: nn.Module, config: TrainConfig) -> dict[str, float]:
    """Factor on the learning rate by parameter name, see `rate_scales`; nothing for a network that begins at random."""
    return {} if config.is_scratch else rate_scales(module, layer_decay=config.layer_decay, head_rate=config.head_rate)


def read_rows(module: nn.Module, rows: Sequence[array[int]], pad_id: int) -> npt.NDArray[np.float32]:
    """What the module answers to every row, in their order; it is in eval mode afterwards."""
    module.eval()
    found: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(rows)
    with torch.inference_mode():
        for batch in plan_evaluation([len(row) for row in rows]):
            values = module(*collate([rows[index] for index in batch], pad_id)).float().numpy()
            for index, value in zip(batch, values, strict=True):
                found[index] = value
    return np.stack(found)


def run_rows(module: nn.Module, rows: Sequence[array[int]], pad_id: int) -> Tensor:
    """The same with gradients, in one step."""
    found: Tensor = module(*collate(rows, pad_id))
    return found.float()
