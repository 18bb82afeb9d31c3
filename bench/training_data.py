"""The demo's reviews, split as the platform splits them, for the training benches."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hanlin.datasets import ReadOptions, Split, ingest, read_split
from hanlin.datasets.bundled import e5_small_files, reviews_en, reviews_zh, source_files
from hanlin.models.e5 import convert_e5
from hanlin.models.prune_vocabulary import prune_vocabulary
from hanlin.tasks import TASKS

CACHE = Path(os.environ.get("HANLIN_HOME", Path(__file__).parents[1] / "build")) / "packages"
LABELS = ("negative", "positive")


def splits(name: str) -> tuple[Split, Split, Split]:
    """Train, validation and test rows of `reviews-zh` (80/10/10 by hash) or `reviews-en` (80/20 by hash, validation out of the 80)."""
    source = reviews_zh(CACHE) if name == "reviews-zh" else reviews_en(CACHE)
    options = ReadOptions.from_json({} if name == "reviews-zh" else {"split": "80/20"})
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "dataset"
        ingest(source_files(source), task=TASKS.get("text-classification"), options=options, out=out)
        train, validation, test = (read_split(out, part) for part in ("train", "validation", "test"))
    return train, validation, test


def e5_base(texts: Sequence[str], work: Path) -> Path:
    """A folder of e5-small with only the tokens that `texts` use."""
    convert_e5(*e5_small_files(CACHE), work / "e5-whole")
    prune_vocabulary(work / "e5-whole", work / "e5-pruned", texts)
    return work / "e5-pruned"
