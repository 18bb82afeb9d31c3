"""Texts that are written: our encoder-decoder from nothing against simple baselines, on pages and packages that training never saw.

usage: python bench/writing.py {en-zh|zh-en|synopsis} [--rows N] [--test N] [--set option=value …]

    en-zh, zh-en   LibreOffice's help, paragraph by paragraph, pages held out (gold); baseline: the translation of the nearest training text
    synopsis       the long description of a Debian package → its one line, sources held out (gold); baseline: its first sentence

The test rows (the first N of the split, as it is stored) are read once.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from corpus_training import Told, add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import Split
from hanlin.tasks import TASKS
from hanlin.tasks.text_writing import TextWriting
from hanlin.tasks.written_texts import target_of
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonObject

CASES = {
    "en-zh": ("help-translation", "translation", ""),
    "zh-en": ("help-translation", "translation", "source=target, target=source"),
    "synopsis": ("package-synopsis", "summarization", ""),
}
OPTIONS: dict[str, JsonObject] = {
    "translation": {"epochs": 12, "max_length": 160, "train_length": 96, "max_target_length": 96, "vocab_size": 6000},
    "summarization": {"epochs": 3, "max_length": 256, "train_length": 160, "max_target_length": 24, "vocab_size": 8000},
}
_FIRST = re.compile(r"(?<=[.!?])\s|\n")


def few(rows: Split, count: int) -> Split:
    """The first rows; all where `count` is 0."""
    return Split(rows.texts[: count or None], rows.labels[: count or None])


def first_sentences(texts: Sequence[str]) -> list[str]:
    """Of each text, as a summary of it."""
    return [_FIRST.split(text)[0] for text in texts]


def baseline(task: TextWriting, rows: Split, test: Split) -> list[str]:
    """The first sentence of each text, or what was written for the training text that is nearest by runs of characters."""
    if task.name == "summarization":
        return first_sentences(test.texts)
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), min_df=2, sublinear_tf=True)
    known = vectorizer.fit_transform(rows.texts)
    nearest = np.asarray((vectorizer.transform(test.texts) @ known.T).argmax(axis=1)).ravel()
    return [target_of(rows.labels[index]) for index in nearest]


def reading(chosen: argparse.Namespace) -> JsonObject:
    """Train, read the test rows once, judge the baseline on the same."""
    name = chosen.case
    corpus, kind, columns = CASES[name]
    options = options_of(chosen)
    task = cast("TextWriting", TASKS.get(kind))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows, validation, test = corpus_splits(corpus, kind, work, columns=columns)
        rows, validation, test = few(rows, chosen.rows), few(validation, 500), few(test, chosen.test)
        config = TrainConfig.from_json({**OPTIONS[kind], **options}, model="transformer", task=kind)
        began_s = time.perf_counter()
        train(
            config, TrainData(rows, validation, ()), out=work / "out", progress=Told(),
            checkpoints=checkpoints_of(chosen, work),
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        found = evaluate(work / "out", test)
        gold = [target_of(item) for item in test.labels]
        simple = task.judge(baseline(task, rows, test), gold)
        figures: JsonObject = {name: round(found.metrics.get(name), 4) for name in task.figures}
        simple_figures: JsonObject = {name: round(simple.get(name), 4) for name in task.figures}
        return {
            "case": name, "rows": {"train": len(rows), "test": len(test)}, "ours": figures, "interval": list(found.metrics.interval),
            "baseline": simple_figures, "seconds": round(seconds), "config": config.to_json(),
        }  # fmt: skip


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--rows", type=int, default=0, help="training rows; 0: all")
    parser.add_argument("--test", type=int, default=300, help="test rows; 0: all")
    add_options(parser, with_checkpoints=True)
    chosen = parser.parse_args()
    print(json.dumps(reading(chosen), ensure_ascii=False))


if __name__ == "__main__":
    main()
