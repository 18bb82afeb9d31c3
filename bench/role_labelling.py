"""Semantic roles on SILVER English rows they never saw: Brown's sentences, roles by rules over a dependency parse. No figure of gold roles.

usage: python bench/role_labelling.py [--model lstm] [--rows N] [--set NAME=VALUE …]

Rows are split as in token_classification.py. Precision, recall and F1 of whole arguments over predicates that the model finds itself,
also as CoNLL-2005's scorer counts, and the F1 of predicates. Yardstick: every known verb is a predicate, the word before it ARG0,
the word behind it ARG1.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from corpus_training import Told, add_options, checkpoints_of, options_of
from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA, Source
from hanlin.tasks import TASKS
from hanlin.tasks.frames import Frame, read_frames
from hanlin.tasks.predicates import learn_finder
from hanlin.tasks.role_metrics import role_metrics
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from token_classification import splits
from training_data import CACHE

TASK = "semantic-role-labelling"


def yardstick(rows: Split, test: Split) -> float:
    """F1 of neighbours as arguments."""
    gold = [read_frames(annotation) for annotation in test.labels]
    finder = learn_finder(rows.texts, [[frame.predicate for frame in read_frames(annotation)] for annotation in rows.labels])
    return role_metrics([[_neighbours(text, place) for place in finder.find(text)] for text in test.texts], gold).get("f1")


def _neighbours(text: str, place: tuple[int, int]) -> Frame:
    before, behind = text[: place[0]].rstrip(), text[place[1] :].lstrip()
    one, other = before.rpartition(" ")[2], behind.partition(" ")[0]
    arguments = [(len(before) - len(one), len(before), "ARG0")] if one else []
    start = len(text) - len(behind)
    return Frame(place, [*arguments, (start, start + len(other), "ARG1")] if other else arguments)


def main() -> None:
    """One training and its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lstm")
    parser.add_argument("--rows", type=int)
    add_options(parser, with_checkpoints=True)
    asked = parser.parse_args()
    found: dict[str, str] = {}
    for row in CORPORA.get("brown-roles").rows(Source(CACHE)):
        example = TASKS.get(TASK).examples.read(row)
        found.setdefault(example.text, example.annotation)
    rows, validation, test = splits(list(found.items())[: asked.rows])
    labels = tuple(sorted({role for annotation in rows.labels for frame in read_frames(annotation) for _, _, role in frame.arguments}))
    validation, test = (_known(part, labels) for part in (validation, test))
    print(f"SILVER: {len(rows)} / {len(validation)} / {len(test)} rows; yardstick F1 {yardstick(rows, test):.4f}", flush=True)
    more = options_of(asked)
    config = TrainConfig.from_json({"tokenizer": "wordpiece", **more}, model=asked.model, task=TASK)
    with tempfile.TemporaryDirectory() as work:
        out, began = Path(work) / "out", time.perf_counter()
        checkpoints = checkpoints_of(asked, Path(work))
        train(config, TrainData(rows, validation, labels), out=out, progress=Told(), checkpoints=checkpoints)
        seconds = time.perf_counter() - began
        figures = evaluate(out, test).metrics.to_json()
    figures["per_class"] = [item for item in figures["per_class"] if item["support"] >= 20]  # type: ignore[index,union-attr]  # a list of objects
    print(json.dumps({"nature": "silver", "options": more, "seconds": round(seconds)} | figures), flush=True)


def _known(rows: Split, labels: tuple[str, ...]) -> Split:
    """The rows without roles that no training row has."""
    kept = [
        (text, annotation) for text, annotation in zip(rows.texts, rows.labels, strict=True)
        if all(role in labels for frame in read_frames(annotation) for _, _, role in frame.arguments)
    ]  # fmt: skip
    return Split([text for text, _ in kept], [annotation for _, annotation in kept])


if __name__ == "__main__":
    main()
