"""How results of jobs are told: from result JSON to findings and tables. Makes no calls."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import cast

from hanlin.client.values import ModelVersion
from hanlin.demo.narrator import Narrator
from hanlin.messages.said import Said
from hanlin.observe.machine import processor

# Of the variants' table: size, memory, p99, test; the report has them all.
_SPARE_COLUMNS = (7, 6, 4, 2)


def machine_line(narrator: Narrator) -> str:
    """Processor, cores, memory and the instruction sets that decide which variant is fast."""
    found = processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    features = " ".join(found.flags) or platform.machine()
    return narrator.word("machine", cpu=found.name, cores=found.cores, memory=f"{memory:.1f}", features=features)


def show_dataset(narrator: Narrator, result: Mapping[str, object]) -> None:
    """Counts of an ingestion."""
    if result.get("reused"):
        narrator.found("reused", version=result["version"])
    report = _object(result, "report")
    conflicts = _object(report, "conflicts")["total"]
    counts = {"read": report["rows_read"], "kept": report["rows_kept"], "duplicates": report["duplicates"], "conflicts": conflicts}
    counts["conflict_rows"] = report["conflict_rows"]
    narrator.found("found_dataset", **counts, **_object(report, "rows"))
    narrator.found("found_digest", version=result["version"], digest=str(result["digest"])[:12])


def show_training(narrator: Narrator, result: Mapping[str, object]) -> None:
    """Test metrics of a trained version."""
    if result.get("reused"):
        narrator.found("reused", version=result["version"])
    metrics = _object(result, "metrics")
    low, high = cast("Sequence[float]", metrics["interval"])
    narrator.found(
        "found_train", metric="accuracy", value=metrics["accuracy"], low=low, high=high, f1=metrics["macro_f1"], ece=metrics["ece"]
    )
    narrator.found("found_version", model=result["model"], version=result["version"])


def show_compression(narrator: Narrator, result: Mapping[str, object], version: ModelVersion) -> None:
    """The table of variants, the chosen one against the reference, and its certificate."""
    if result.get("reused"):
        narrator.found("reused", version=result["version"])
    report = _object(result, "report")
    rows = cast("Sequence[Mapping[str, object]]", report["variants"])
    chosen, reference = str(report["chosen"]), str(report["reference"])
    columns = [narrator.word(f"col_{name}") for name in ("variant", "accuracy", "test", "p50", "p99", "rows", "memory", "size", "status")]
    narrator.table(
        narrator.word("table_variants"), columns, [_cells(narrator, row) for row in rows],
        strong=next((index for index, row in enumerate(rows) if row["variant"] == chosen), None), spare=_SPARE_COLUMNS,
    )  # fmt: skip
    for row in rows:
        if said := Said.from_json(row.get("said")):
            narrator.say(
                narrator.word("variant_problem", variant=row["variant"], status=_status(narrator, row), reason=said.text(narrator.language))
            )
    by_name = {str(row["variant"]): row for row in rows}
    if chosen in by_name and reference in by_name:
        _show_choice(narrator, by_name[chosen], by_name[reference])
    for certificate in version.certificates:
        if certificate.variant == chosen:
            found = certificate.report
            narrator.found(
                "found_certificate", rows=found["rows"], agreement=found["label_agreement"], difference=found["max_score_difference"],
                tolerance=_object(found, "tolerance")["max_score_difference"],
            )  # fmt: skip


def _show_choice(narrator: Narrator, best: Mapping[str, object], base: Mapping[str, object]) -> None:
    """The chosen variant against the trained model, or that the latter stays."""
    if best is base:
        return narrator.found("found_kept", variant=base["variant"])
    change = round(-_number(best, "validation", "drop_points"), 2) + 0.0  # adding 0 takes the minus from -0.0
    return narrator.found(
        "found_chosen", variant=best["variant"], change=change, reference=base["variant"],
        speed=_number(best, "throughput_rows_s") / max(_number(base, "throughput_rows_s"), 1e-9),
        latency=_number(best, "latency_ms", "p50") / max(_number(base, "latency_ms", "p50"), 1e-9),
        size=_number(best, "size_bytes") / max(_number(base, "size_bytes"), 1.0),
    )  # fmt: skip


def _status(narrator: Narrator, row: Mapping[str, object]) -> str:
    """What became of a variant, in words."""
    return narrator.word(f"status_{row['status']}".replace(" ", "_"))


def _cells(narrator: Narrator, row: Mapping[str, object]) -> list[str]:
    def shown(form: str, *path: str, scale: float = 1.0) -> str:
        found: object = row
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return format(found * scale, form) if isinstance(found, int | float) else "–"

    return [
        str(row["variant"]), shown(".2%", "validation", "metric"), shown(".2%", "test", "metric"), shown(".2f", "latency_ms", "p50"),
        shown(".2f", "latency_ms", "p99"), shown(",.0f", "throughput_rows_s"), shown(".0f", "memory_bytes", scale=1e-6),
        shown(".1f", "size_bytes", scale=1e-6), _status(narrator, row),
    ]  # fmt: skip


def _object(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value[key])


def _number(value: Mapping[str, object], *path: str) -> float:
    for key in path[:-1]:
        value = _object(value, key)
    found = value.get(path[-1])
    return float(found) if isinstance(found, int | float) else 0.0
