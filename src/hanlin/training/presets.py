"""What works well for each network and task when nothing else is said: options by name. Figures: docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanlin.tasks.base import TASKS
from hanlin.tasks.text import TextSettings
from hanlin.training.option_rules import CAUSAL, CLASSIFYING, PREFERENCE, RELATED, SCRATCH_MODELS, TAGGING

CLASSIFICATION, ENTITIES, QUERIES, MEANINGS = "text-classification", "token-classification", "text-to-sql", "semantic-parsing"
ADAPTER_RATE = 1e-3  # of few weights that begin at nothing; for all weights of a base it is a tenth
PREFERENCE_RATE = 1e-5  # a tenth of what answers are learned at; ten times as much for an adapter
TAGGED_TEXT = TextSettings(("control", "width", "simplify", "space"))  # capitals tell names; a span may stand in what looks like HTML

Options = dict[str, Any]  # of `TrainConfig`, whose fields have many types


def usual(model: str, task: str) -> Options:
    """The options that are not `TrainConfig`'s own defaults."""
    head = TASKS.get(task).head
    if head == "targets":
        found = _of_writing(model, task)
        return _of_queries(found) if task == QUERIES else found
    if head in ("continuations", "masks"):
        return (_of_generation if head == "continuations" else _of_pretraining)(model, task)
    found = _of_classification(model)
    if task in CLASSIFYING:
        return found | {"task": task}
    if task in TAGGING:
        return _of_tagging(found, task)
    found |= {"task": task, "metric": TASKS.get(task).main_metric, "wide": False}
    if task == MEANINGS:
        return _of_meanings(found)
    return _of_related(found) if task in RELATED else found


def usual_besides(given: Mapping[str, object]) -> Options:
    """What these options change of what is usual: the rate of an adapter, all that preference pairs want."""
    has_adapter = given.get("adapter", "none") != "none"
    if given.get("objective") == PREFERENCE:  # little by little, without noise: what the reference says is compared to the last digit
        return {"rate": PREFERENCE_RATE * (10 if has_adapter else 1), "dropout": 0.0}
    return {"rate": ADAPTER_RATE} if has_adapter else {}


def _of_related(found: Options) -> Options:
    """Embedding and reranking: a rate that leaves a good base what it knows; many rows a batch, for each is the others' negative."""
    found = found | {"label_smoothing": 0.0, "train_length": 128} | ({} if found["task"] == "reranking" else {"negatives": 0})
    if found["model"] in SCRATCH_MODELS:
        return found | {
            "embedding_size": 128, "hidden_size": 128, "layers": 2, "dropout": 0.1, "average": 0.0, "rate": 1e-3, "batch_size": 64,
        }  # fmt: skip
    return found | {"rate": 5e-5, "batch_size": 64, "batch_tokens": 8192, "epochs": 3, "max_length": 512}


def _of_tagging(like: Options, task: str) -> Options:
    found = like | {"task": task, "metric": "f1", "wide": False, "label_smoothing": 0.0}
    if like["model"] == "base":
        return found
    found |= {
        "text": TAGGED_TEXT, "epochs": 7, "batch_size": 96, "rate": 3e-3, "embedding_size": 100, "hidden_size": 160, "ngram_buckets": 2**16,
        "dropout": 0.5, "embedding_dropout": 0.35, "ngram_dropout": 0.6,
    }  # fmt: skip
    return found | ({"tags": "bioes"} if task == ENTITIES else {"tokenizer": "wordpiece"})


def _of_writing(model: str, task: str) -> Options:
    """A text for a text. The loss is watched: the figures of so few answers as can be written between epochs are less steady."""
    shared = {
        "model": model, "task": task, "metric": "loss", "ngrams": False, "wide": False, "label_smoothing": 0.1, "dropout": 0.1,
        "max_length": 256,
    }  # fmt: skip
    if model == "base":
        return shared | {
            "epochs": 4, "batch_size": 32, "batch_tokens": 4096, "rate": 3e-4, "weight_decay": 0.01, "train_length": 256,
            "text": TextSettings(), "average": 0.0,
        }  # fmt: skip
    return shared | {
        "epochs": 10, "batch_size": 128, "batch_tokens": 8192, "rate": 1e-3, "warmup": 0.1, "layers": 3, "decoder_layers": 3,
        "embedding_size": 256, "hidden_size": 256, "heads": 4, "tokenizer": "byte-bpe", "vocab_size": 8000, "train_length": 128,
        "embedding_dropout": 0.1, "average": 0.995, "text": TextSettings(("control", "space")),
    }  # fmt: skip


def _of_meanings(found: Options) -> Options:
    """Of our own networks: long enough that words of slots are learnt, which are many and rare."""
    if found["model"] == "base":
        return found | {"rate": 3e-4}
    if found["model"] == "transformer":
        return found | {"epochs": 20, "batch_size": 32}
    return found | {"epochs": 20, "batch_size": 32, "rate": 3e-3, "embedding_size": 100, "hidden_size": 160, "average": 0.99}


def _of_queries(found: Options) -> Options:
    """Few rows, short answers: a small network that is stopped from learning its rows by heart. A base gets a new decoder."""
    if found["model"] == "base":
        found = found | {"average": 0.99, "rate": 5e-4, "head_rate": 4.0}
        return found | {"epochs": 40, "decoder_layers": 2, "dropout": 0.3, "metric": TASKS.get(QUERIES).main_metric}
    return found | {
        "epochs": 40, "batch_size": 32, "hidden_size": 128, "layers": 2, "decoder_layers": 2, "dropout": 0.3, "embedding_dropout": 0.2,
        "vocab_size": 700, "rate": 2e-3, "metric": TASKS.get(QUERIES).main_metric, "average": 0.99,
    }  # fmt: skip


def _of_generation(model: str, task: str) -> Options:
    """On with a text. The loss is watched: it tells weights apart long before the likeliest token does. Texts are learned as they are."""
    found = _of_writing(model, task) | {
        "label_smoothing": 0.0, "text": TextSettings(), "max_length": 512, "train_length": 512, "objective": CAUSAL,
    }  # fmt: skip
    if model == "base":
        return found | {"batch_size": 16, "rate": 1e-4, "epochs": 3}
    if model != "transformer":
        return found | {"layers": 2, "batch_size": 32, "rate": 3e-3, "dropout": 0.2, "embedding_dropout": 0.2}
    return found | {"layers": 4, "batch_size": 64, "positions": "rotary", "rate": 2e-3}


def _of_pretraining(model: str, task: str) -> Options:
    """Raw text. Chinese is read by character and the rest by pieces of words, capitals folded: BERT's way."""
    shared = {
        "model": model, "task": task, "metric": "loss", "label_smoothing": 0.0, "ngrams": False, "wide": False, "average": 0.0,
        "dropout": 0.1, "weight_decay": 0.01, "patience": 3, "max_length": 256, "train_length": 256, "batch_tokens": 8192,
    }  # fmt: skip
    if model == "base":
        return shared | {"epochs": 3, "batch_size": 32, "rate": 1e-4, "text": TextSettings()}
    return shared | {
        "epochs": 10, "batch_size": 64, "rate": 1e-3, "layers": 4, "embedding_size": 256, "hidden_size": 256, "tokenizer": "wordpiece",
        "text": TextSettings(("control", "width", "simplify", "lower", "space"), "character"),
    }  # fmt: skip


def _of_classification(model: str) -> Options:
    if model == "base":
        return {
            "model": model, "epochs": 4, "batch_size": 32, "batch_tokens": 4096, "rate": 1e-4, "weight_decay": 0.01, "label_smoothing": 0.0,
            "max_length": 256, "train_length": 256, "text": TextSettings(), "dropout": 0.1, "average": 0.0, "ngrams": False, "wide": False,
        }  # fmt: skip
    if model == "transformer":
        return {"model": model, "layers": 2, "embedding_size": 128, "hidden_size": 128, "rate": 1e-3, "dropout": 0.2, "average": 0.995}
    return {"model": model, "rate": 1e-3, "average": 0.995, "metric": "loss"}
