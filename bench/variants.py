"""Every variant of one trained version, measured on this machine; prints a Markdown section and a JSON line for docs/benchmarks.md.

    .venv/bin/python bench/variants.py [--quick] [--model minilm|lstm] [--variants onnxruntime-int8,…]
    .venv/bin/python bench/variants.py --artifact ARTIFACT --dataset DATASET [--target throughput] [--budget 0.5] [--threads 2]

Without folders it trains what the demo trains (kept in build/bench for the next time; --quick: one epoch, three rounds).
ARTIFACT: folder of a trained version (config.json, model.safetensors, tokenizer.json, hanlin.json).
DATASET: folder of a dataset version (train, validation and test Parquet files), as `hanlin dataset add` stores it.
Nothing is written into ARTIFACT. Ratios are against torch-fp32 eager: same rows, same batches, same threads, measured in turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from hanlin.compression.judge import Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import TARGETS, CompressionReport, VariantEvidence
from hanlin.compression.search import search
from hanlin.datasets import ReadOptions, bundled, ingest, read_labels, read_split
from hanlin.engines import measured_unasked
from hanlin.messages.said import Plain, Said
from hanlin.models.importing import import_folder
from hanlin.settings import Settings
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import preset
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

BUILD = Path(__file__).parents[1] / "build"


class Printed:
    def report(self, step: int, total: int, metrics: object) -> None:
        """Nothing: messages say enough."""

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """A line on stderr."""
        print(Said(code, params).text("en"), file=sys.stderr, flush=True)

    def check_cancelled(self) -> None:
        """Never cancelled."""


def demo_version(model: str, *, is_quick: bool) -> tuple[Path, Path]:
    """(artifact, dataset): MiniLM fine-tuned on the English reviews, or an LSTM trained on the Chinese ones."""
    dataset, artifact = BUILD / "bench" / f"rows-{model}", BUILD / "bench" / f"{model}{'-quick' if is_quick else ''}"
    packages = BUILD / "packages"
    is_english = model == "minilm"
    if not dataset.is_dir():
        source = bundled.reviews_en(packages) if is_english else bundled.reviews_zh(packages)
        options = ReadOptions.from_json({"split": "80/20"} if is_english else {})
        ingest(bundled.source_files(source), task=TASKS.get("text-classification"), options=options, out=dataset)
    if not artifact.is_dir():
        base = BUILD / "bench" / "minilm-base"
        if is_english and not base.is_dir():
            import_folder(bundled.minilm(packages), base, task="text-classification")
        config = preset("base" if is_english else "lstm")
        rows = {name: read_split(dataset, name) for name in ("train", "validation")}
        with tempfile.TemporaryDirectory() as scratch:
            data = TrainData(rows["train"], rows["validation"], tuple(read_labels(dataset)))
            train(
                replace(config, epochs=1) if is_quick else config, data, out=artifact, progress=Silent(),
                checkpoints=FolderCheckpoints(Path(scratch)), base=base if is_english else None,
            )  # fmt: skip
    return artifact, dataset


def table(report: CompressionReport) -> str:
    machine = report.machine
    lines = [
        f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads, {', '.join(machine.flags)}; rows: {report.rows}; "
        f"search {report.seconds:.0f} s; target {report.target}, budget {report.budget:g} points; chosen **{report.chosen}**",
        "",
        "| variant | status | validation | lost | test (95 %) | p50 ms | p99 ms | rows/s | memory MB | file MB | max score difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line(row, report.of(report.reference)) for row in report.variants)])


def line(row: VariantEvidence, reference: VariantEvidence) -> str:
    if row.validation_metric is None or row.latency_p50_ms is None or row.throughput_rows_s is None:
        return f"| {row.variant} | {row.status}: {row.reason} |" + " |" * 9
    quicker = (reference.latency_p50_ms or 0) / row.latency_p50_ms
    faster = row.throughput_rows_s / (reference.throughput_rows_s or 1)
    low, high = row.test_interval or (0, 0)
    cells = [
        row.variant,
        f"{row.status}: {row.reason}" if row.reason else row.status,
        f"{row.validation_metric:.2%}",
        f"{row.drop_points or 0:.2f}",
        f"{row.test_metric or 0:.2%} ({low:.1%}–{high:.1%})",
        f"{row.latency_p50_ms:.2f} ({quicker:.1f}x)",
        f"{row.latency_p99_ms or 0:.2f}",
        f"{row.throughput_rows_s:.0f} ({faster:.1f}x)",
        f"{(row.memory_bytes or 0) / 2**20:.0f}",
        f"{(row.size_bytes or 0) / 2**20:.1f}",
        f"{row.max_score_difference or 0:.1e}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--model", choices=("minilm", "lstm"), default="minilm")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--target", choices=TARGETS, default="throughput")
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variants", default="", help="comma-separated, the reference is added; else those measured unasked")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000, help="most rows of validation and of test")
    parser.add_argument("--max-batch-tokens", type=int, default=Settings().max_batch_tokens)
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds = 3
    if asked.artifact is None or asked.dataset is None:
        asked.artifact, asked.dataset = demo_version(asked.model, is_quick=asked.quick)
    spec, encoder = ModelSpec.load(asked.artifact), TextEncoder.load(asked.artifact)

    def encoded(name: str) -> EncodedSplit:
        rows = read_split(asked.dataset, name)
        gold = np.array([spec.labels.index(label) for label in rows.labels[: asked.rows]])
        return EncodedSplit(encoder.encode(rows.texts[: asked.rows], truncate=True), gold)

    train, validation = read_split(asked.dataset, "train").texts, encoded("validation")
    calibration, more = (encoder.encode(rows, truncate=True) for rows in (train[:300], train[300 : max(300, 1300 - len(validation.ids))]))
    names = [name for name in asked.variants.split(",") if name] or measured_unasked()
    with tempfile.TemporaryDirectory() as out:
        report = search(
            asked.artifact, spec=spec, validation=validation, test=encoded("test"), calibration=calibration,
            bounds=Bounds(asked.budget), target=asked.target, variants=names, threads=asked.threads, progress=Printed(),
            out=Path(out), rounds=asked.rounds, more=EncodedSplit(more), max_batch_tokens=asked.max_batch_tokens,
        )  # fmt: skip
    print(f"### Variants of {asked.artifact.name}\n\n{table(report)}\n")
    print(json.dumps({"bench": "variants", "model": asked.artifact.name} | report.to_json()))


if __name__ == "__main__":
    main()
