"""Datasets: labelled files in, checked and split versions out; readers, validation, splits, fingerprints.

Knows files and rows; never the registry, jobs or the web.
"""

from __future__ import annotations

from hanlin.datasets.ingest import ingest
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.report import DatasetReport
from hanlin.datasets.splits import SPLITS, split_of
from hanlin.datasets.store import Split, StoredSplit, open_split, read_labels, read_split, training_rows
from hanlin.datasets.values import SourceFile

__all__ = [
    "SPLITS", "DatasetReport", "ReadOptions", "SourceFile", "Split", "StoredSplit", "ingest", "open_split", "read_labels", "read_split",
    "split_of", "training_rows",
]  # fmt: skip
