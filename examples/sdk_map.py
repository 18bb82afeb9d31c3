"""A million texts by the SDK: a file that may be broken off and goes on, and a table with answers beside it. Type-checked with the project.

usage: python examples/sdk_map.py ENDPOINT FILE

FILE holds a text a line. Prints label, score and text; what a first run has answered is not asked again (FILE.answers).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.client import Classify, Embed, Hanlin
from hanlin.errors import HanlinError

if TYPE_CHECKING:
    import polars as pl


def lines(path: Path) -> Iterator[str]:
    """The texts, one in memory at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def label_file(hanlin: Hanlin, endpoint: str, path: Path) -> int:
    """Labels every line and says what was refused. Returns the number of refusals."""
    refused = 0
    answers = hanlin.map(
        endpoint, lines(path), Classify(truncate=True), on_error="return", checkpoint=path.with_suffix(".answers"), progress=True
    )
    for text, answer in zip(lines(path), answers, strict=True):
        if isinstance(answer, HanlinError):
            refused += 1
            print(answer, file=sys.stderr)
        else:
            print(f"{answer.label}\t{answer.score:.3f}\t{text}")
    return refused


def label_table(hanlin: Hanlin, endpoint: str, table: pl.DataFrame) -> pl.DataFrame:
    """The table with columns `label` and `score`; as well for pandas and pyarrow."""
    return hanlin.map_table(endpoint, table, "text")


def embed_all(hanlin: Hanlin, endpoint: str, texts: list[str]) -> list[list[float]]:
    """A vector of 64 numbers for each text."""
    return list(hanlin.map(endpoint, texts, Embed(dimensions=64), group_size=32))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/sdk_map.py ENDPOINT FILE")
    with Hanlin() as connection:
        sys.exit(min(1, label_file(connection, sys.argv[1], Path(sys.argv[2]))))
