"""What benches of trainings share: the rows of a corpus, options named on the command line, and a line an evaluation."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

from hanlin.datasets import Split, ingest, read_split
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.datasets.corpora.writing import write
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.values import SourceFile
from hanlin.messages.said import Plain, Said
from hanlin.tasks import TASKS
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.ports import Silent
from hanlin.types import JsonObject, JsonValue
from training_data import CACHE


class Told(Silent):
    """One line an evaluation."""

    def __init__(self) -> None:
        self.began_s = time.perf_counter()

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """See `Progress`."""
        if "validation_loss" in metrics or step in {20, 100}:
            shown = {name: round(value, 4) for name, value in metrics.items()}
            print(json.dumps({"step": step, "of": total, "seconds": round(time.perf_counter() - self.began_s)} | shown), flush=True)

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """See `Progress`."""
        print(code, params, flush=True)


def corpus_splits(corpus: str, task: str, work: Path, *, rows: int | None = None, columns: str = "") -> tuple[Split, Split, Split]:
    """Train, validation and test rows as `hanlin dataset sample` and `hanlin dataset add` make them; they stay under `work / "rows"`.

    Args:
        rows: at most so many of the corpus; None: all.
        columns: as in `hanlin dataset add --columns`.
    """
    file = write(CORPORA.get(corpus), Source(CACHE), work, rows=rows).path
    return file_splits(file, task, work, columns=columns)


def file_splits(file: Path, task: str, work: Path, *, columns: str = "") -> tuple[Split, Split, Split]:
    """The same of a file's rows."""
    ingest([SourceFile(file.name, file)], task=TASKS.get(task), options=ReadOptions(columns=columns), out=work / "rows")
    train, validation, test = (read_split(work / "rows", name) for name in ("train", "validation", "test"))
    return train, validation, test


def add_options(parser: argparse.ArgumentParser, *, with_checkpoints: bool = False) -> None:
    """The arguments `--set OPTION=VALUE`, which may come many times (see `options_of`), and `--checkpoints` (see `checkpoints_of`)."""
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the training, its value as JSON")
    if with_checkpoints:
        parser.add_argument("--checkpoints", type=Path, help="folder of this command alone that keeps them: it goes on from there")


def options_of(chosen: argparse.Namespace, argument: str = "set") -> JsonObject:
    """The options of a training that `--set` names, or another argument of its form."""
    named: dict[str, JsonValue] = {name: json.loads(value) for name, _, value in (item.partition("=") for item in vars(chosen)[argument])}
    return named


def checkpoints_of(chosen: argparse.Namespace, work: Path, name: str = "") -> FolderCheckpoints:
    """Of the training `name`: in the folder that was asked for, else in `work`, which goes with the run."""
    return FolderCheckpoints((chosen.checkpoints or work / "checkpoints") / name)
