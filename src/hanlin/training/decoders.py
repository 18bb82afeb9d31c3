"""What a network that writes starts from: a base that writes already, or an encoder that gets a decoder of random weights."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from hanlin.errors import InvalidInput
from hanlin.networks.config import read_config
from hanlin.networks.encoder_form import ENCODER_TYPES
from hanlin.networks.encoder_start import start_from_encoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import frame_of, load_tokenizer
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import writer_of


def brings_no_decoder(base: Path | None) -> bool:
    """Whether the base is an encoder alone."""
    return base is not None and read_config(base).get("model_type") in ENCODER_TYPES


def writer_on(base: Path, config: TrainConfig, out: Path, *, num_more: int = 0) -> nn.Module:
    """The network that a base becomes, for the tokenizer in `out`.

    Args:
        num_more: tokens behind those of the tokenizer.

    Raises:
        InvalidInput: `invalid_training_option`, `weights_do_not_fit`, `encoder_cannot_start`, `base_without_frame`.
    """
    is_new = brings_no_decoder(base)
    config.check_decoder(is_new=is_new)
    if not is_new:
        return writer_of(base, config)
    begin, end = frame_ids(out)
    size = max(load_tokenizer(out / "tokenizer.json").get_vocab(with_added_tokens=True).values()) + 1 + num_more
    return start_from_encoder(
        base,
        layers=config.decoder_layers,
        positions=target_positions(config),
        dropout=config.dropout,
        pad=ModelSpec.load(base).pad_id,
        begin=begin,
        end=end,
        num_tokens=size,
    )


def target_positions(config: TrainConfig) -> int:
    """Tokens that a new decoder can count: twice what it learns, or as many as its source may have."""
    return max(config.max_length, 2 * config.max_target_length)


def frame_ids(folder: Path) -> tuple[int, int]:
    """What the tokenizer in `folder` puts before and behind a text: a target begins and ends with them. Raises InvalidInput."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    before, after = frame_of(tokenizer, tokenizer.num_special_tokens_to_add(False))
    if not before or not after:
        raise InvalidInput("base_without_frame")
    return before[0], after[-1]
