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

from corpus_training import add_options, corpus_splits, options_of
from hanlin.datasets.corpora import library
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject

TASK = "text-to-sql"


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
        rows, validation, test = corpus_splits(f"library-queries-{language}", TASK, work)
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
    add_options(parser)
    parser.add_argument("--show", action="store_true", help="also the test questions whose query differs")
    chosen = parser.parse_args()
    options = options_of(chosen)
    for language in [chosen.only] if chosen.only else ["en", "zh"]:
        print(json.dumps(reading(language, options, show=chosen.show), ensure_ascii=False))


if __name__ == "__main__":
    main()
