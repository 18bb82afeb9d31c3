"""An encoder–decoder that starts from a pretrained encoder: its weights, its table of tokens, and a decoder of random weights.

Source: Rothe et al., Leveraging Pre-trained Checkpoints for Sequence Generation Tasks (2020), BERT2RND. There decoders have the encoder's
sizes and share its table, too; ours have their norms before each part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from hanlin.networks.bert_encoder import BertEncoder
from hanlin.networks.config import NetworkConfig, read_config
from hanlin.networks.encoder_form import check_form
from hanlin.networks.encoder_parts import load_encoder
from hanlin.networks.seq2seq import EncoderDecoder

_COUNTS_FROM_PADDING = ("camembert", "roberta", "xlm-roberta")
# What transformers calls the parts of a block, and of DistilBERT's.
_BERT = {
    "attention.query": "attention.self.query", "attention.key": "attention.self.key", "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm", "expand": "intermediate.dense",
    "contract": "output.dense", "feedforward_norm": "output.LayerNorm",
}  # fmt: skip
_DISTILBERT = {
    "attention.query": "attention.q_lin", "attention.key": "attention.k_lin", "attention.value": "attention.v_lin",
    "attention.output": "attention.out_lin", "attention_norm": "sa_layer_norm", "expand": "ffn.lin1", "contract": "ffn.lin2",
    "feedforward_norm": "output_layer_norm",
}  # fmt: skip


def start_from_encoder(
    folder: Path, *, layers: int, positions: int, dropout: float, pad: int, begin: int, end: int, num_tokens: int
) -> EncoderDecoder:  # fmt: skip
    """The network that reads as the encoder in `folder` does, in eval mode. Random weights come from torch's generator.

    Args:
        layers: of the decoder.
        positions: of the decoder, which counts its own.
        pad: id that fills short rows; the encoder's config need not name it.
        begin, end: ids that frame a target.
        num_tokens: rows of the table of tokens; the encoder's beyond them are left out, and what it lacks is drawn like its own.

    Raises:
        InvalidInput: `weights_do_not_fit`; `encoder_cannot_start` for an encoder of another form.
    """
    check_form(read_config(folder))
    encoder, _ = load_encoder(folder, attention="eager")
    config: Any = encoder.config
    is_distilled = config.model_type == "distilbert"
    table = _positions(encoder, config)
    network = NetworkConfig(
        "hanlin-seq2seq", num_tokens, embedding_size=config.hidden_size, hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers, num_decoder_layers=layers, num_attention_heads=config.num_attention_heads,
        intermediate_size=config.hidden_dim if is_distilled else config.intermediate_size, max_position_embeddings=positions,
        dropout=dropout, embedding_dropout=dropout, pad_token_id=pad, bos_token_id=begin, eos_token_id=end,
        encoder="bert", encoder_positions=len(table), layer_norm_eps=encoder.embeddings.LayerNorm.eps,
    )  # fmt: skip
    module = EncoderDecoder(network)
    reader = cast("BertEncoder", module.encoder)
    with torch.no_grad():
        for mine, theirs in _pairs(reader, encoder, is_distilled=is_distilled):
            mine.load_state_dict(theirs.state_dict())
        _fill_tokens(reader.tokens.weight, encoder.embeddings.word_embeddings.weight)
        reader.positions.copy_(table)
    return module.eval()


def _pairs(reader: BertEncoder, encoder: Any, *, is_distilled: bool) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Parts of ours and of transformers' that have the same weights."""
    yield reader.embedding_norm, encoder.embeddings.LayerNorm
    layers = encoder.transformer.layer if is_distilled else encoder.encoder.layer
    for block, layer in zip(reader.blocks, layers, strict=True):
        for mine, theirs in (_DISTILBERT if is_distilled else _BERT).items():
            yield block.get_submodule(mine), layer.get_submodule(theirs)


def _positions(encoder: Any, config: Any) -> Tensor:
    """A vector for each place, with those that an encoder adds to every token of a single text."""
    skipped = config.pad_token_id + 1 if config.model_type in _COUNTS_FROM_PADDING else 0
    parts = encoder.embeddings
    found: Tensor = parts.position_embeddings.weight[skipped:]
    for name in ("token_type_embeddings", "task_type_embeddings"):
        if isinstance(more := getattr(parts, name, None), nn.Embedding):
            found = found + more.weight[0]
    return found


def _fill_tokens(mine: Tensor, theirs: Tensor) -> None:
    shared = min(len(mine), len(theirs))
    mine[:shared] = theirs[:shared]
    if shared < len(mine):
        mine[shared:].normal_(float(theirs.mean()), float(theirs.std()))
