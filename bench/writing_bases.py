"""Does a pretrained encoder help a network that writes, where pairs are few? A small BERT reads the texts of the training rows first.

usage: python bench/writing_bases.py {synopsis|en-zh|zh-en} [--texts N] [--epochs N] [--pairs N] [--test N] [--seeds N] [--set …=VALUE …]

Corpora as `bench/writing.py` has them (gold, groups held out). The encoder is pretrained on both sides of N training rows, of which the
first few are the pairs. From these learn, with the same options and seeds: that encoder with a decoder of random weights; the same
with a random encoder and the same tokenizer; our network from nothing with its own tokenizer. The best weights are chosen on validation
rows; the first test rows are read once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import mean, pstdev

import torch

from corpus_training import Told, add_options, corpus_splits, options_of
from hanlin.datasets import Split, read_split
from hanlin.tasks import TASKS
from hanlin.tasks.written_texts import target_of
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject
from pretraining import without
from writing import CASES, few

SIZES: JsonObject = {"layers": 3, "hidden_size": 128, "vocab_size": 8000}
PRETRAIN: JsonObject = {"max_length": 256, "train_length": 128, "rate": 2e-3, "batch_tokens": 4096, "precision": "fp32", "threads": 1}
FINE: JsonObject = {
    "epochs": 10, "batch_size": 32, "max_length": 256, "train_length": 128, "max_target_length": 32, "decoder_layers": 3,
    "precision": "fp32", "threads": 1,
}  # fmt: skip
ON_BASE: JsonObject = {"head_rate": 3.0}


def learn(config: TrainConfig, data: TrainData, work: Path, name: str, base: Path | None = None) -> TrainReport:
    """A training of its own in `work / name`."""
    progress = Told() if config.task == "fill-mask" else Silent()
    checkpoints = FolderCheckpoints(Path(tempfile.mkdtemp(dir=work)))
    return train(config, data, out=work / name, progress=progress, checkpoints=checkpoints, base=base)


def pretrained(rows: Split, work: Path, epochs: int) -> Path:
    """The encoder, from the texts of both sides."""
    texts = [text for source, gold in zip(rows.texts, rows.labels, strict=True) for text in (source, target_of(gold))]
    held = max(20, len(texts) // 50)
    data = TrainData(*(Split(part, [""] * len(part)) for part in (texts[held:], texts[:held])), ())
    config = TrainConfig.from_json({**SIZES, **PRETRAIN, "epochs": epochs}, model="transformer", task="fill-mask")
    report = learn(config, data, work, "pretrained")
    masked = report.history[-1].validation
    print(json.dumps({"texts": len(texts), "seconds": round(report.seconds), "masked": masked}), flush=True)
    return work / "pretrained"


def main() -> None:
    """One pretraining and what it is worth, a JSON line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--texts", type=int, default=20_000, help="training rows whose texts are read first")
    parser.add_argument("--epochs", type=int, default=2, help="of pretraining")
    parser.add_argument("--pairs", type=int, default=2_000, help="training rows that are learned from")
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="folder where an earlier run left its rows")
    add_options(parser)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    corpus, kind, columns = CASES[asked.case]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        if asked.rows:
            rows, validation, test = (read_split(asked.rows, name) for name in ("train", "validation", "test"))
        else:
            rows, validation, test = corpus_splits(corpus, kind, work, columns=columns)
        data, test = TrainData(few(rows, asked.pairs), few(validation, 300), ()), few(test, asked.test)
        base = pretrained(few(rows, asked.texts), work, asked.epochs)
        starts = {"pretrained": base, "same network, random": without(base, work / "random"), "from nothing": None}
        for name, start in starts.items():
            began_s, found = time.process_time(), []
            for seed in range(asked.seeds):
                options = {**FINE, **(ON_BASE if start else SIZES), "seed": seed, **options_of(asked)}
                config = TrainConfig.from_json(options, model="base" if start else "transformer", task=kind)
                learn(config, data, work, f"{name}-{seed}", start)
                found.append(evaluate(work / f"{name}-{seed}", test).metrics)
            figures = {figure: [one.get(figure) for one in found] for figure in TASKS.get(kind).figures}
            told = {figure: [round(mean(values), 4), round(pstdev(values), 4)] for figure, values in figures.items()}
            print(json.dumps({"start": name, "pairs": asked.pairs, "cpu_s": round(time.process_time() - began_s)} | told), flush=True)


if __name__ == "__main__":
    main()
