"""Test accuracy of what `hanlin train` makes with its presets, mean of seeds 0 to 2, beside a yardstick.

usage: python bench/training_accuracy.py [--quick] [--only lstm|minilm|e5]      (--quick: seed 0 only)

e5 is the multilingual e5-small, its vocabulary cut to the training texts, fine-tuned with E5_OPTIONS, a linear road beside it; one seed,
for it takes half an hour.

Rows are split by hash (tests/datasets hold the rule); the test rows are read once per trained model. Yardstick: TF-IDF of
character 1- to 3-grams and logistic regression (scikit-learn), trained on the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from hanlin.datasets import Split
from hanlin.datasets.bundled import minilm
from hanlin.models.importing import import_folder
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE, LABELS, e5_base, splits

WHAT = {
    "lstm": ("reviews-zh", "LSTM from scratch, Chinese reviews"),
    "minilm": ("reviews-en", "MiniLM fine-tuned, English reviews"),
    "e5": ("reviews-zh", "e5-small fine-tuned, Chinese reviews"),
}
E5_OPTIONS: JsonObject = {
    "epochs": 3, "label_smoothing": 0.05, "layer_decay": 0.9, "head_rate": 5.0, "average": 0.99, "train_length": 192, "max_length": 512,
    "evaluations": 2, "wide": True,
}  # fmt: skip


def yardstick(rows: Split, test: Split) -> float:
    """Accuracy of TF-IDF and logistic regression."""
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    model = LogisticRegression(C=10, max_iter=1000).fit(features.fit_transform(rows.texts), rows.labels)
    return float(model.score(features.transform(test.texts), test.labels))


def one(model: str, seed: int, data: TrainData, test: Split, base: Path | None) -> tuple[float, float]:
    """Test accuracy and training seconds of one seed."""
    with tempfile.TemporaryDirectory() as work:
        out, began = Path(work) / "out", time.perf_counter()
        config = TrainConfig.from_json({"seed": seed, **(E5_OPTIONS if model == "e5" else {})}, model="base" if base else model)
        train(config, data, base=base, out=out, progress=Silent(), checkpoints=FolderCheckpoints(Path(work) / "checkpoints"))
        seconds = time.perf_counter() - began
        accuracy = evaluate(out, test).metrics.accuracy
    print(f"  {model} seed {seed}: {accuracy:.4f} in {seconds:.0f} s", flush=True)
    return accuracy, seconds


def _base(model: str, rows: Split, work: Path) -> Path | None:
    """The weights to fine-tune, imported; None for a network from scratch."""
    if model == "lstm":
        return None
    source = minilm(CACHE) if model == "minilm" else e5_base(rows.texts, work)
    import_folder(source, work / model, task="text-classification")
    return work / model


def main() -> None:
    """Prints a Markdown section and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=sorted(WHAT))
    options = parser.parse_args()
    lines, found = [], {}
    with tempfile.TemporaryDirectory() as work:
        for model in [options.only] if options.only else WHAT:
            name, what = WHAT[model]
            rows, validation, test = splits(name)
            data, base = TrainData(rows, validation, LABELS), _base(model, rows, Path(work))
            runs = [one(model, seed, data, test, base) for seed in range(1 if options.quick or model == "e5" else 3)]
            accuracies, seconds = [run[0] for run in runs], statistics.mean(run[1] for run in runs)
            linear = yardstick(rows, test)
            each = " ".join(f"{accuracy:.1%}" for accuracy in accuracies)
            mean, counts = statistics.mean(accuracies), f"{len(rows.texts):,} / {len(test.texts):,}"
            lines.append(f"| {what} | {counts} | **{mean:.2%}** | {each} | {seconds:.0f} s | {linear:.1%} |")
            found[model] = {"accuracy": accuracies, "seconds": seconds, "yardstick": linear}
    print(f"\n## Accuracy\n\n{len(os.sched_getaffinity(0))} cores.\n")
    print("| model | rows train / test | mean test accuracy | seeds | training | TF-IDF + logistic regression |\n|---|---|---|---|---|---|")
    print("\n".join(lines) + "\n")
    print(json.dumps({"bench": "training_accuracy", **found}))


if __name__ == "__main__":
    main()
