"""What each option of a training may be: ranges, choices, types. Knows no `TrainConfig`."""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import MAX_RANK
from hanlin.networks.config import POOLINGS
from hanlin.tasks.base import TASKS
from hanlin.types import JsonValue, shorten

RECURRENT_MODELS = ("rnn", "lstm", "gru")
SCRATCH_MODELS = (*RECURRENT_MODELS, "transformer")
MAX_PROMPT = 200  # characters
MAX_DIMS = 16
RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 1000), "batch_tokens": (16, 2**20), "batch_size": (1, 4096), "rate": (1e-8, 10), "warmup": (0, 1),
    "lora_rank": (1, MAX_RANK), "lora_alpha": (0.001, 1e4), "lora_dropout": (0, 0.9), "accumulation": (1, 1024),
    "weight_decay": (0, 1), "momentum": (0, 0.999), "clip": (0, 1e6), "label_smoothing": (0, 0.5), "patience": (0, 1000),
    "evaluations": (1, 100), "average": (0, 0.99999), "max_length": (4, 131_072), "train_length": (4, 131_072),
    "vocab_size": (3, 1_000_000), "min_count": (1, 1_000_000), "embedding_size": (2, 4096), "hidden_size": (2, 4096), "layers": (1, 48),
    "heads": (1, 64), "dropout": (0, 0.95), "embedding_dropout": (0, 0.95), "ngram_buckets": (16, 2**22), "ngram_dropout": (0, 0.95),
    "layer_decay": (0.1, 1), "head_rate": (0.01, 1000), "temperature": (0.001, 10),
    "margin": (0, 2), "negatives": (0, 100),
    "decoder_layers": (1, 48), "max_target_length": (2, 32_768), "mask_share": (0.01, 0.5), "seed": (0, 2**63 - 1), "threads": (0, 256),
    "processes": (1, 64),
}  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "model": (*SCRATCH_MODELS, "base"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "linear", "cosine", "onecycle"),
    "class_weights": ("none", "balanced"),
    "adapter": ("none", "lora", "head"),
    "curriculum": ("none", "length"),
    "precision": ("auto", "fp32", "bf16"),
    "tokenizer": ("character", "word", "bpe", "wordpiece", "byte-bpe"),
    "positions": ("sinusoidal", "learned", "rotary"),
    "tags": ("bio", "bioes"),
    "loss": ("auto", "contrastive", "triplet", "cosent", "mse", "bce", "listwise"),
    "pooling": ("", "mean", "cls", *POOLINGS),
    "objective": ("mlm", "mlm+nsp"),
}


def poolings(model: str, task: str) -> tuple[str, ...]:
    """How such a run may make one vector of a text's tokens: features of our own classifiers, or vectors that a search compares."""
    has_features = model in SCRATCH_MODELS and TASKS.get(task).head == "labels"
    return ("", *POOLINGS) if has_features else ("", "mean", "cls")


def watched(task: str) -> tuple[str, ...]:
    """The figures of the validation examples that a run may watch. Raises InvalidInput (`unknown_plugin`)."""
    return (*TASKS.get(task).figures, "loss")


def typed(name: str, value: JsonValue, default: object) -> object:
    """The value of an option, of the type of its default. Raises InvalidInput (`invalid_training_option`)."""
    if isinstance(default, tuple):
        kind = float if name == "matryoshka_weights" else int
        if isinstance(value, list | tuple):  # as `to_json` keeps it
            return tuple(typed(name, item, kind()) for item in value)
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
    elif isinstance(default, str):
        if isinstance(value, str):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(default, float):
            return float(value)
        if isinstance(value, int):
            return value
    raise wrong(
        name,
        value,
        {bool: "true or false", str: "a word", int: "a whole number", float: "a number", tuple: "a list of numbers"}[type(default)],
    )


def wrong(name: str, value: object, right: str) -> InvalidInput:
    """The error of an option that is not `right`."""
    return InvalidInput("invalid_training_option", name=shorten(name), value=shorten(str(value)), right=right)
