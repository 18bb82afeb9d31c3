"""Which weights of a base are its new head, which lie how deep: of every network that we allow, under each head."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import transformers
from tests.models.families import tiny_sizes
from torch import nn

from hanlin.models.allowed import MODEL_TYPES
from hanlin.models.pretrained import embedder_of
from hanlin.networks.config import NetworkConfig
from hanlin.networks.filler import MASKED_TYPES, PretrainedFiller
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import build_generator
from hanlin.networks.rates import rate_scales
from hanlin.training.config import TrainConfig
from hanlin.training.lessons.token_classification import Tagger
from hanlin.training.optimizers import Masters

LABELS = ("O", "B-X", "I-X")
DECAY, HEAD, RATE = 0.5, 10.0, 1e-4
# The parts that stand above the encoder; a classifier of rows has more of them than one of tokens.
ABOVE = {
    "deberta": ("pooler", "classifier"), "deberta-v2": ("pooler", "classifier"), "distilbert": ("pre_classifier", "classifier"),
    "eurobert": ("dense", "classifier"), "modernbert": ("head", "classifier"),
}  # fmt: skip
ABOVE_TOKENS = {"modernbert": ("head", "classifier")}
ABOVE_MASKS = {
    "albert": ("predictions",), "bert": ("cls",), "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector"),
    "electra": ("generator_predictions", "generator_lm_head"),
}  # fmt: skip
SHARED = ("albert",)  # one layer that is run often


def config_of(model_type: str, **more: object) -> Any:
    return transformers.AutoConfig.for_model(model_type, **tiny_sizes(model_type, 30), **more)


def module_of(model_type: str, form: str) -> nn.Module:
    if form == "vectors":
        head = Head("embeddings", "mean", is_normalized=True)
        return embedder_of(transformers.AutoModel.from_config(config_of(model_type)), head)
    if form == "masks":
        return PretrainedFiller(transformers.AutoModelForMaskedLM.from_config(config_of(model_type)))
    if form == "tags":
        network = transformers.AutoModelForTokenClassification.from_config(config_of(model_type, num_labels=len(LABELS)))
        return Tagger(PretrainedClassifier(network), LABELS, has_crf=True)
    config = config_of(model_type, num_labels=1 if form == "pairs" else 3)
    return PretrainedClassifier(transformers.AutoModelForSequenceClassification.from_config(config))


def above(model_type: str, form: str) -> tuple[str, ...]:
    if form == "masks":
        return tuple(f"model.{part}" for part in ABOVE_MASKS.get(model_type, ("lm_head",)))
    if form == "tags":
        return (*(f"network.model.{part}" for part in ABOVE_TOKENS.get(model_type, ("classifier",))), "crf")
    return tuple(f"model.{part}" for part in ABOVE.get(model_type, ("classifier",))) if form != "vectors" else ()


def wanted(name: str, model_type: str, form: str) -> float:
    if any(name.startswith(f"{part}.") for part in above(model_type, form)) and "lm_head.decoder.weight" not in name:
        return HEAD
    if (found := re.search(r"\.(?:layer|layers|albert_layer_groups)\.(\d)\.", name)) is not None:
        return 1.0 if model_type in SHARED else DECAY ** (1 - int(found.group(1)))
    if any(part in name for part in ("embed", "relative_attention_bias", "lm_head.decoder")):  # the table, which the head shares
        return DECAY if model_type in SHARED else DECAY**2
    return 1.0  # a pooler, or a norm above all layers


CASES = [(model_type, form) for model_type in MODEL_TYPES for form in ("labels", "pairs", "tags", "vectors")]
CASES += [(model_type, "masks") for model_type in MASKED_TYPES]


@pytest.mark.parametrize(("model_type", "form"), CASES)
def test_every_weight_learns_at_the_rate_of_its_place(model_type: str, form: str) -> None:
    module = module_of(model_type, form)
    scales = rate_scales(module, layer_decay=DECAY, head_rate=HEAD)
    names = dict(module.named_parameters())
    assert scales == {name: wanted(name, model_type, form) for name in names}
    assert (HEAD in scales.values()) == (form != "vectors"), "vectors have no new head"
    masters = Masters(module, TrainConfig("base", rate=RATE), torch.float32, scales)
    rates = {id(weight): group["lr"] for group in masters.optimizer.param_groups for weight in group["params"]}
    learning = {name: id(parameter) for name, parameter in names.items() if parameter.requires_grad}  # RoFormer's places never do
    assert {name: rates[place] for name, place in learning.items()} == pytest.approx({name: RATE * scales[name] for name in learning})


def writer_of(kind: str) -> nn.Module:
    common = {"vocab_size": 30, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1}
    sides = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
             "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 40, "decoder_start_token_id": 2}  # fmt: skip
    sizes: dict[str, dict[str, Any]] = {
        "bart": sides,
        "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
        "gpt2": {"n_positions": 40, "n_embd": 16, "n_layer": 2, "n_head": 2},
        "llama": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    }  # fmt: skip
    if kind in sizes:
        both = kind in ("bart", "t5")
        make = transformers.AutoModelForSeq2SeqLM if both else transformers.AutoModelForCausalLM
        module: nn.Module = make.from_config(transformers.AutoConfig.for_model(kind, **common, **sizes[kind]))
        return module
    own = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_decoder_layers": 2, "num_attention_heads": 2,
           "intermediate_size": 32, "max_position_embeddings": 40, "eos_token_id": 2, "positions": "learned"}  # fmt: skip
    return build_generator(NetworkConfig(kind, 30, **own))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "bottom", "stacks"),
    [
        ("bart", "model.shared.weight", ["model.encoder.layers", "model.decoder.layers"]),
        ("t5", "shared.weight", ["encoder.block", "decoder.block"]),
        ("gpt2", "transformer.wte.weight", ["transformer.h"]),
        ("llama", "model.embed_tokens.weight", ["model.layers"]),
        ("hanlin-decoder", "decoder.tokens.weight", ["decoder.blocks"]),
        ("hanlin-seq2seq", "encoder.tokens.weight", ["encoder.blocks", "decoder.blocks"]),
    ],
)
def test_each_side_of_a_writer_falls_from_its_top(kind: str, bottom: str, stacks: list[str]) -> None:
    scales = rate_scales(writer_of(kind), layer_decay=DECAY, head_rate=1.0)
    assert scales[bottom] == DECAY**2
    for stack in stacks:
        for number, scale in enumerate((DECAY, 1.0)):
            assert {value for name, value in scales.items() if name.startswith(f"{stack}.{number}.")} == {scale}, stack
