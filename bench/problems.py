"""Short readings of the problems a classifier may have, on real corpora: several labels, scores, pairs, aspects. Small budgets.

usage: python bench/problems.py [NAME …] [--epochs N] [--most ROWS]

Rows are read by `dataset add`'s own road (90/10 by group), the network is our LSTM from scratch; the baselines stand in bench/corpora.json
(the same test rows, where no rows are left out). Packages come from HANLIN_HOME/packages or, the first time, from their registries.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from hanlin.datasets import read_labels, read_split
from hanlin.datasets.corpora import CORPORA, Source
from hanlin.datasets.ingest import ingest
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.values import SourceFile
from hanlin.tasks import TASKS
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

CACHE = Path(os.environ.get("HANLIN_HOME", Path(__file__).parents[1] / "build")) / "packages"
NAMES = ("package-tags", "package-similarity", "package-pairs", "answer-pairs-zh", "review-aspects-en", "review-aspects-zh", "reviews-en")
SHOWN = ("accuracy", "macro_f1", "micro_f1", "map", "auc", "spearman", "pearson", "interval")


def measure(name: str, folder: Path, *, epochs: int, most: int) -> dict[str, object]:
    """Rows, and the figures of the test rows."""
    corpus = CORPORA.get(name)
    rows = [dict(row) for row in corpus.rows(Source(CACHE))][:most]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    options = ReadOptions(split="90/10")
    ingest([SourceFile("rows.jsonl", path)], task=TASKS.get(corpus.task), options=options, out=folder / "data")
    data = TrainData(read_split(folder / "data", "train"), read_split(folder / "data", "validation"), read_labels(folder / "data"))
    config = TrainConfig.from_json({"epochs": epochs, "precision": "fp32"}, model="lstm", task=corpus.task)
    began_s = time.perf_counter()
    train(config, data, out=folder / "model", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))
    seconds = time.perf_counter() - began_s
    test = read_split(folder / "data", "test")
    found = evaluate(folder / "model", test).metrics.to_json()
    return {"train": len(data.train), "test": len(test), "seconds": round(seconds), **{key: found[key] for key in SHOWN if key in found}}


def main() -> None:
    """Print a line of JSON a corpus."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--most", type=int, default=12_000)
    asked = parser.parse_args()
    for name in asked.names:
        with tempfile.TemporaryDirectory(prefix="hanlin-problems-") as folder:
            print(json.dumps({"corpus": name, **measure(name, Path(folder), epochs=asked.epochs, most=asked.most)}), flush=True)


if __name__ == "__main__":
    main()
