"""Whole meanings on templates that training never saw: what is said to a home, in English and Chinese (synthetic).

usage: python bench/semantic_parsing.py [--only en|zh] [--model lstm|gru|minilm|e5] [--set option=value …]

Rows and splits are those of `hanlin dataset sample home-intents-…` and `hanlin dataset add`: the sentences of one template stay together.
The test rows are read once. `valid` is the share of answers that keep to the version's own schema of meanings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from corpus_training import Told, add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import bundled
from hanlin.models.importing import import_folder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE, e5_base

TASK = "semantic-parsing"
FIGURES = ("exact_match", "intent_accuracy", "slot_f1")


def reading(language: str, chosen: argparse.Namespace) -> JsonObject:
    """Train and read the test rows once."""
    model, options = chosen.model, options_of(chosen)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows, validation, test = corpus_splits(f"home-intents-{language}", TASK, work)
        base = None
        if model in {"minilm", "e5"}:
            base = work / "base"
            texts = [text for part in (rows, validation, test) for text in part.texts]  # whose words e5's vocabulary keeps
            import_folder(bundled.minilm(CACHE) if model == "minilm" else e5_base(texts, work), base, task="text-classification")
        config = TrainConfig.from_json(options, model="base" if base else model, task=TASK)
        began_s = time.perf_counter()
        report = train(
            config, TrainData(rows, validation, ()), base=base, out=work / "out", progress=Told(),
            checkpoints=checkpoints_of(chosen, work, language),
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        found = evaluate(work / "out", test)
        schema = ModelSpec.load(work / "out").meanings
        assert schema is not None, "specs of this task have them"
        valid = sum(map(schema.is_valid, found.answers)) / len(found.answers)
        return {
            "corpus": f"home-intents-{language}", "model": model, "rows": {"train": len(rows), "test": len(test)},
            "validation": report.best,
            **{name: round(found.metrics.get(name), 4) for name in FIGURES}, "interval": list(found.metrics.interval), "valid": valid,
            "seconds": round(seconds),
        }  # fmt: skip


def main() -> None:
    """Prints one JSON object a language, below a line an evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("en", "zh"))
    parser.add_argument("--model", choices=("lstm", "gru", "minilm", "e5"), default="lstm")
    add_options(parser, with_checkpoints=True)
    chosen = parser.parse_args()
    for language in [chosen.only] if chosen.only else ["en", "zh"]:
        print(json.dumps(reading(language, chosen), ensure_ascii=False))


if __name__ == "__main__":
    main()
