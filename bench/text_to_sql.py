"""Questions over a library's tables on templates that training never saw, in English and Chinese (synthetic).

usage: python bench/text_to_sql.py [--only en|zh] [--set option=value …]

Rows and splits are those of `hanlin dataset sample library-queries-…` and `hanlin dataset add`: the questions of one template stay
together. The test rows are read once. `execution` runs both queries on the corpus's own database; `execution_accuracy` is the task's
figure, on made-up databases; `valid` is the share of queries that SQLite runs.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path

from hanlin.datasets import Split, ingest, read_split
from hanlin.datasets.corpora import CORPORA, library
from hanlin.datasets.corpora.base import Source
from hanlin.datasets.corpora.writing import write
from hanlin.datasets.values import ReadOptions, SourceFile
from hanlin.tasks import TASKS
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE

TASK = "text-to-sql"


def splits(language: str, work: Path) -> tuple[Split, Split, Split]:
    """The rows of the corpus as `hanlin dataset add` divides them."""
    file = write(CORPORA.get(f"library-queries-{language}"), Source(CACHE), work).path
    ingest([SourceFile(file.name, file)], task=TASKS.get(TASK), options=ReadOptions(), out=work / "rows")
    found = (read_split(work / "rows", name) for name in ("train", "validation", "test"))
    return next(found), next(found), next(found)


def runs(database: sqlite3.Connection, sql: str) -> Counter[tuple[object, ...]] | None:
    """The rows that a query finds; None for one that SQLite refuses."""
    try:
        return Counter(database.execute(sql).fetchall())
    except sqlite3.Error:
        return None


def reading(language: str, options: JsonObject, *, show: bool) -> JsonObject:
    """Train and read the test rows once."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows, validation, test = splits(language, work)
        config = TrainConfig.from_json(options, model="transformer", task=TASK)
        began_s = time.perf_counter()
        report = train(
            config, TrainData(rows, validation, ()), base=None, out=work / "out", progress=Silent(),
            checkpoints=FolderCheckpoints(work / "checkpoints"),
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        found = evaluate(work / "out", test)
        database = sqlite3.connect(":memory:")
        database.executescript(library.script(language))
        mine = [str(answer["sql"]) for answer in found.answers]  # type: ignore[index,call-overload]
        gold = [str(json.loads(item)["sql"]) for item in test.labels]
        pairs = [(runs(database, one), runs(database, other)) for one, other in zip(mine, gold, strict=True)]
        if show:
            for text, one, other in zip(test.texts, mine, gold, strict=True):
                if one != other:
                    print(f"{text}\n  {one}\n  {other}")
        return {
            "corpus": f"library-queries-{language}", "rows": {"train": len(rows), "validation": len(validation), "test": len(test)},
            "validation": report.best, "exact_match": round(found.metrics.get("exact_match"), 4),
            "execution_accuracy": round(found.metrics.get("execution_accuracy"), 4), "interval": list(found.metrics.interval),
            "execution": round(sum(one == other for one, other in pairs) / len(pairs), 4),
            "valid": sum(one is not None for one, _ in pairs) / len(pairs), "seconds": round(seconds),
        }  # fmt: skip


def main() -> None:
    """Prints one JSON object a language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("en", "zh"))
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the training, its value as JSON")
    parser.add_argument("--show", action="store_true", help="also the test questions whose query differs")
    chosen = parser.parse_args()
    options = {name: json.loads(value) for name, _, value in (item.partition("=") for item in chosen.set)}
    for language in [chosen.only] if chosen.only else ["en", "zh"]:
        print(json.dumps(reading(language, options, show=chosen.show), ensure_ascii=False))


if __name__ == "__main__":
    main()
