"""What the tour found, as a page and as figures: docs/tour.md and bench/tour.json."""

from __future__ import annotations

import json
import platform as machine
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tour_stops import STOPS, Stop

BENCH = Path(__file__).parent
PAGE, FIGURES = BENCH.parent / "docs" / "tour.md", BENCH / "tour.json"


def write(found: Sequence[dict[str, Any]], about: str, whole_seconds: int | None) -> None:
    """What was found now, and earlier at stops that were not visited now, in the order of `STOPS`.

    Args:
        whole_seconds: by the clock, of a run that visited every stop; None: of none.
    """
    known = json.loads(FIGURES.read_text(encoding="utf-8"))["stops"] if FIGURES.exists() else []
    by_name = {line["stop"]: line for line in (*known, *found)}
    lines = [by_name[stop.name] for stop in STOPS if stop.name in by_name]
    figures = {"machine": about, "whole_seconds": whole_seconds, "stops": lines}
    FIGURES.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(lines, about, whole_seconds), encoding="utf-8")


def page(found: Sequence[dict[str, Any]], about: str, whole_seconds: int | None) -> str:
    """docs/tour.md."""
    head = (BENCH / "tour_intro.md").read_text(encoding="utf-8")
    lines = [
        f"| {line['task']}{', ' + line['kind'] if line['kind'] else ''} | `{line['corpus']}` ({', '.join(line['languages'])}) | "
        f"{'gold' if line['nature'] == 'gold' else '**' + line['nature'] + '**'} | {line['rows']:,} | {line['model']}"
        f"{', ' + ', '.join(f'{name} {value}' for name, value in line['options'].items()) if line['options'] else ''}"
        f"{', split ' + line['split'] if line.get('split') else ''} | {line['figure']} | "
        f"{line['baseline']}{' (same rows)' if line.get('baseline_on') == 'rows' else ''} | "
        f"{line['ours']} | {line['p50_ms']} ms | {line['seconds']} s | "
        f"{line['cpu_seconds']} s |"
        for line in found
    ]
    table = [
        "| task | data | answers | rows | model, budget | figure | baseline | ours | served p50 | trained in | processor |",
        "|---|---|---|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    spent = sum(line["cpu_seconds"] for line in found)
    clock = f"in {whole_seconds // 60} min {whole_seconds % 60} s by the clock" if whole_seconds else "not in one run"
    told = f"{len(found)} stops, {clock}; {spent // 60} min of processor time. {standing(found)}"
    visited = {line["stop"]: line for line in found}
    if old := [f"`{stop.name}`" for stop in STOPS if stop.name in visited and not _is_of(stop, visited[stop.name])]:
        told += f" Read with an earlier budget than the stop has now: {', '.join(old)}."
    if left := [f"`{stop.name}`" for stop in STOPS if stop.name not in visited]:
        told += f" Not visited yet: {', '.join(left)}."
    return f"{head}\n{about} {told}\n\n" + "\n".join(table + lines) + "\n"


def _is_of(stop: Stop, line: dict[str, Any]) -> bool:
    """Whether a line has the budget that its stop has now. Its rows may be fewer: it took all there were."""
    is_same = (line["model"], line["options"], line.get("split", "")) == (stop.model, stop.options, stop.split)
    return is_same and (stop.rows is None or line["rows"] <= stop.rows)


def standing(found: Sequence[dict[str, Any]]) -> str:
    """How many stops are above their baseline, by the figures that the table has."""
    beside = [line["ours"] - line["baseline"] for line in found if line["baseline"] is not None]
    above, below = sum(each > 0 for each in beside), sum(each < 0 for each in beside)
    return f"Of {len(beside)} stops with a baseline {above} are above it, {below} below, {len(beside) - above - below} level."


def chip() -> str:
    """The processor's name."""
    found = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return found[0] if found else machine.processor()
