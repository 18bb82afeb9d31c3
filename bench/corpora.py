"""Counts every corpus and measures its simple baseline on test rows (a tenth by hash of group or text); figures go into bench/corpora.json.

usage: python bench/corpora.py [NAME …] [--quick]

docs/corpora.md is made of that file (`make docs`). Packages come from the cache or, the first time, from their registries.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from corpora_baselines import baseline_of
from hanlin.datasets.corpora import CORPORA, Source
from hanlin.datasets.corpora.base import digest
from hanlin.datasets.splits import split_of
from hanlin.errors import HanlinError

CACHE = Path(os.environ.get("HANLIN_HOME", Path(__file__).parents[1] / "build")) / "packages"
FIGURES = Path(__file__).with_suffix(".json")
QUICK = ("home-intents-en", "home-intents-zh", "library-queries-en", "library-queries-zh", "question-answers-zh", "review-aspects-en")


def measure(name: str) -> dict[str, Any]:
    """Rows, rows of test, and the figures of the baseline, where the shape of the rows has one."""
    corpus = CORPORA.get(name)
    started = time.perf_counter()
    rows = [dict(row) for row in corpus.rows(Source(CACHE, counting=_count))]
    made_s = time.perf_counter() - started
    rows.sort(key=lambda row: digest(json.dumps(row, ensure_ascii=False)))  # what is cut off is no class and no letter of names
    test = [row for row in rows if split_of(_key(row), "90/10") == "test"]
    train = [row for row in rows if split_of(_key(row), "90/10") != "test"]
    baseline = baseline_of(corpus.task, corpus.columns)
    figures = {key: round(value, 2) for key, value in baseline(train, test).items()} if baseline else {}
    about = " ".join((baseline.__doc__ or "").split()) if baseline else ""
    return {
        "rows": len(rows), "test": len(test), "seconds": round(made_s, 1), "baseline": about, "figures": figures,
        "groups": len({row["group"] for row in rows}) if "group" in corpus.columns else None,
    }  # fmt: skip


def _key(row: dict[str, Any]) -> str:
    """What decides the split: the group, else the text, else the whole row."""
    found = row.get("group") or row.get("text") or row.get("source")
    return str(found) if found else json.dumps(row, ensure_ascii=False)


def _count(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} sentences parsed", end="", file=sys.stderr)


def main() -> int:
    """The exit status: 1 when a corpus could not be made; the others are all the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true", help="a few small corpora; nothing is written down")
    options = parser.parse_args()
    names = options.names or (QUICK if options.quick else CORPORA.names())
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    failed = False
    print("| corpus | rows | test | baseline |\n|---|--:|--:|---|")
    for name in names:
        try:
            found = measure(name)
        except HanlinError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        told = ", ".join(f"{key} {value:g}" for key, value in found["figures"].items())
        print(f"| `{name}` | {found['rows']:,} | {found['test']:,} | {told} |", flush=True)
        known[name] = found
    if not options.quick:
        FIGURES.write_text(json.dumps({name: known[name] for name in sorted(known)}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
