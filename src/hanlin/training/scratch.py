"""The start of a run: tokenizer and spec; from random weights the network and what its token table starts from."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.models.vectors import Vectors, read_vectors
from hanlin.networks.config import POOLINGS, NetworkConfig
from hanlin.networks.loading import Reader, build
from hanlin.tasks.labelled import SCORE
from hanlin.tasks.spec import ModelSpec, PairForm, Problem
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.lesson import Setting
from hanlin.training.raw_text import learn_vectors, read_texts

NGRAMS = (2, 3)


def write_tokenizer(config: TrainConfig, data: TrainData, folder: Path, more: Iterable[str] = (), pairs: Iterable[str] = ()) -> None:
    """Train a tokenizer on the training rows, on the texts beside them, and on `more` prepared texts, and write `tokenizer.json`."""
    seconds = [pair for pair in pairs if pair]
    texts = (config.text.prepare(text) for text in chain(data.train.texts, seconds))
    found = train_tokenizer(chain(texts, more), config.tokenizer, config.vocab_size, min_count=config.min_count, has_pairs=bool(seconds))  # type: ignore[arg-type]  # checked by TrainConfig
    save_tokenizer(found, folder)


def write_spec(
    config: TrainConfig, data: TrainData, folder: Path, *, base: Path | None, problem: Problem = "single-label", pairs: PairForm = "none",
    scale: tuple[float, ...] = (),
) -> ModelSpec:  # fmt: skip
    """Write `hanlin.json`. A base brings its padding id and text settings, and its length is an upper bound."""
    labels = (SCORE,) if problem == "regression" else data.labels
    if config.is_scratch or base is None:
        spec = ModelSpec(task=config.task, labels=labels, max_length=config.max_length, pad_id=0, text=config.text)
    else:
        known = ModelSpec.load(base)
        spec = ModelSpec(
            task=config.task, labels=labels, max_length=min(config.max_length, known.max_length), pad_id=known.pad_id, text=known.text,
            languages=known.languages, vectors=known.vectors,
        )  # fmt: skip
    spec = replace(spec, problem=problem, pairs=pairs, scale=scale)
    spec.save(folder)
    return spec


def new_network(
    config: TrainConfig,
    labels: tuple[str, ...],
    folder: Path,
    vectors: Vectors | None = None,
    *,
    output: str = "logits",
    num_types: int = 0,
) -> Reader:
    """The network for the tokenizer in `folder`, random weights from torch's generator.

    With `vectors` the token table starts from them and takes their width; tokens they do not have start at random.
    """
    vocabulary = load_tokenizer(folder / "tokenizer.json").get_vocab(with_added_tokens=True)
    vocab_size = max(vocabulary.values()) + 1
    has_ngrams = config.ngrams and config.model != "transformer"
    network = NetworkConfig(
        model_type=f"hanlin-{config.model}", vocab_size=vocab_size, labels=labels,
        embedding_size=vectors.size if vectors else config.embedding_size,
        hidden_size=config.hidden_size, num_hidden_layers=config.layers, num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden_size, max_position_embeddings=config.max_length if config.model == "transformer" else 0,
        positions=config.positions, ngram_buckets=config.ngram_buckets if has_ngrams else 0, ngram_sizes=NGRAMS if has_ngrams else (),
        dropout=config.dropout, embedding_dropout=config.embedding_dropout, ngram_dropout=config.ngram_dropout,
        output=output, num_types=num_types, bidirectional=config.bidirectional, pooling=_pooling(config),
    )  # fmt: skip
    module = build(network)
    if vectors:
        vectors.fill(module.embedding.tokens.weight, vocabulary)
    return module


def _pooling(config: TrainConfig) -> str:
    """Of a classifier; what tags reads no features of the whole text."""
    return config.pooling if config.pooling in POOLINGS else POOLINGS[0]


def lay_out_tokenizer(setting: Setting, pairs: Sequence[str] = ()) -> None:
    """`tokenizer.json` in the artifact: the checkpoint's, the base's, or one trained on the rows."""
    config, target = setting.config, setting.out / "tokenizer.json"
    if setting.found is not None:
        shutil.copyfile(setting.found / "tokenizer.json", target)
    elif config.is_scratch:
        more = read_texts(setting.raw_text, config) if setting.raw_text else ()
        write_tokenizer(config, setting.data, setting.out, more, pairs)
    else:
        assert setting.base is not None, "fine-tuning needs a base"
        shutil.copyfile(setting.base / "tokenizer.json", target)


def start_vectors(setting: Setting) -> Vectors | None:
    """What the token table starts from, where the run was given a file of vectors or raw text to learn them from."""
    if setting.vectors is not None:
        vocabulary = load_tokenizer(setting.out / "tokenizer.json").get_vocab(with_added_tokens=True)
        return read_vectors(setting.vectors, set(vocabulary))
    if setting.raw_text is None or setting.found is not None:  # a checkpoint holds what was learnt
        return None
    return learn_vectors(setting.raw_text, setting.config, setting.out, setting.progress)
