"""Every kind of training, killed with `kill -9` at random steps and taken up again, against the same training left alone.

usage: python bench/training_kills.py [--only TASK …] [--kills 10] [--rows 300]

Real rows, few of them: what is compared is not how good a model gets but whether the torn run is the whole one: weights bit for bit, curve,
answers to validation rows. One JSON object a training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from hanlin.datasets import Split, bundled, ingest, read_labels, read_split
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.datasets.corpora.writing import write
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.values import SourceFile
from hanlin.models.importing import import_folder
from hanlin.tasks import TASKS
from hanlin.training import train as train_module
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE

SMALL: JsonObject = {"epochs": 2, "precision": "fp32", "threads": 1, "evaluations": 2, "batch_size": 16}
TINY: JsonObject = {**SMALL, "hidden_size": 32, "layers": 1}
QUERIES: JsonObject = {**TINY, "decoder_layers": 1, "heads": 2, "vocab_size": 400, "train_length": 64}
WRITER: JsonObject = {**QUERIES, "max_target_length": 24}
MASKED: JsonObject = {**TINY, "heads": 2, "vocab_size": 400, "train_length": 64}
LANGUAGE: JsonObject = {**TINY, "vocab_size": 400, "train_length": 64, "packing": True}


class Kind(NamedTuple):
    """One kind of training: its task, rows, network and options."""

    task: str
    corpus: str
    model: str
    options: JsonObject


KINDS = (
    Kind("text-classification", "reviews-zh", "rnn", TINY),
    Kind("text-classification", "reviews-zh", "gru", TINY),
    Kind("text-classification", "reviews-en", "transformer", TINY),
    Kind("text-classification", "package-tags", "lstm", TINY),
    Kind("text-classification", "package-similarity", "lstm", TINY),
    Kind("text-classification", "reviews-en", "base", SMALL),
    Kind("sentiment", "review-aspects-en", "lstm", TINY),
    Kind("token-classification", "newspaper-entities", "lstm", TINY),
    Kind("semantic-role-labelling", "brown-roles", "gru", TINY),
    Kind("semantic-parsing", "home-intents-en", "lstm", TINY),
    Kind("text-to-sql", "library-queries-zh", "transformer", QUERIES),
    Kind("translation", "help-translation", "transformer", WRITER),
    Kind("summarization", "package-synopsis", "transformer", WRITER),
    Kind("text-generation", "brown-genres", "transformer", LANGUAGE),
    Kind("text-generation", "brown-genres", "gru", LANGUAGE),
    Kind("fill-mask", "brown-genres", "transformer", MASKED),
    Kind("fill-mask", "brown-genres", "transformer", {**MASKED, "objective": "mlm+nsp"}),
    Kind("embedding", "question-answers-en", "base", SMALL),
    Kind("reranking", "question-answers-en", "base", SMALL),
    Kind("question-answering", "help-questions-en", "base", SMALL),
)  # fmt: skip


class KillAt(Silent):
    """`kill -9` to this very process after a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def few(split: Split, count: int) -> Split:
    """Rows spread over a split."""
    every = max(1, len(split) // count)
    return Split(list(split.texts)[::every][:count], list(split.labels)[::every][:count])


def data_of(kind: Kind, rows: int, work: Path) -> TrainData:
    """Some rows of the corpus as `hanlin dataset add` divides them."""
    file = write(CORPORA.get(kind.corpus), Source(CACHE), work, rows=4 * rows).path
    ingest([SourceFile(file.name, file)], task=TASKS.get(kind.task), options=ReadOptions(), out=work / "rows")
    train_rows, validation = (few(read_split(work / "rows", name), count) for name, count in (("train", rows), ("validation", rows // 4)))
    return TrainData(train_rows, validation, read_labels(work / "rows"))


def in_child(action: Callable[[], object]) -> int:
    """Wait status of a forked process that does it."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


def compared(kind: Kind, *, rows: int, kills: int) -> JsonObject:
    """Both runs of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = data_of(kind, rows, work)
        base = None
        if kind.model == "base":
            base = work / "base"
            import_folder(bundled.minilm(CACHE), base, task="embedding")
        config = TrainConfig.from_json(kind.options, model=kind.model, task=kind.task)

        def run(name: str, progress: Silent) -> object:
            checkpoints = FolderCheckpoints(work / name / "checkpoints")
            return train(config, data, base=base, out=work / name / "out", progress=progress, checkpoints=checkpoints)

        whole = run("whole", Silent())
        steps = whole.steps  # type: ignore[attr-defined]
        chosen = sorted(random.Random(kind.corpus).sample(range(1, steps), min(kills, steps - 1)))
        died = [in_child(lambda: run("torn", KillAt(step))) == signal.SIGKILL for step in chosen]  # noqa: B023  # runs at once
        torn = run("torn", Silent())
        digests = [hashlib.sha256((work / name / "out/model.safetensors").read_bytes()).hexdigest() for name in ("whole", "torn")]
        answers = [evaluate(work / name / "out", data.validation).answers for name in ("whole", "torn")]
        return {
            "task": kind.task, "corpus": kind.corpus, "model": kind.model, "rows": len(data.train.texts), "steps": steps,
            "kills": sum(died), "best": whole.best, "same_weights": digests[0] == digests[1],  # type: ignore[attr-defined]
            "same_curve": whole.history == torn.history, "same_answers": answers[0] == answers[1],  # type: ignore[attr-defined]
        }  # fmt: skip


def main() -> None:
    """Prints one JSON object a training; ends with 1 when a torn run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted({kind.task for kind in KINDS}))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rows", type=int, default=300)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    train_module.CHECKPOINT_SECONDS = 0.0  # a checkpoint after every step
    is_same = True
    for kind in KINDS:
        if chosen.only and kind.task not in chosen.only:
            continue
        began_s = time.perf_counter()
        found = compared(kind, rows=chosen.rows, kills=chosen.kills)
        is_same &= all(bool(found[name]) for name in ("same_weights", "same_curve", "same_answers"))
        print(json.dumps(found | {"seconds": round(time.perf_counter() - began_s)}), flush=True)
    sys.exit(not is_same)


if __name__ == "__main__":
    main()
