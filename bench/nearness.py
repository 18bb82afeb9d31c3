"""How near the variants of a language model stay to its trained weights, and which of them the budgets of a compression keep.

usage: python bench/nearness.py FOLDER [--rows 40] [--variants openvino-int8,…] [--max-kl 0.05] [--min-agreement 0.9] [--budget 0.5]

FOLDER: an imported decoder, such as `bench/smollm.py --convert` leaves and `hanlin model import` takes. It reads paragraphs of this
project's pages (gold: their own next tokens), which training may have seen no more than any other text. Nothing is written into FOLDER.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from hanlin.compression.judge import MAX_KL, Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport
from hanlin.compression.search import search
from hanlin.pipelines.judging_rows import encoded_of, split_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from variants import Printed

PAGES = ("concepts", "retrieval", "tuning", "writing", "adapters", "importing", "console", "fine-tuning", "pretraining")
LEAST = 120  # characters of a paragraph


def paragraphs() -> list[str]:
    docs = Path(__file__).parents[1] / "docs"
    found = (part for page in PAGES for part in (docs / f"{page}.md").read_text(encoding="utf-8").split("\n\n"))
    return [part for part in found if len(part) >= LEAST and part[0].isalpha()]


def table(report: CompressionReport) -> str:
    lines = [
        f"budget {report.budget:g} points of {report.metric}, KL {report.max_kl}, agreement {report.min_agreement}; rows {report.rows}; "
        f"chosen **{report.chosen}**",
        "",
        "| variant | places that agree | mean KL, nats | same likeliest token | accuracy | lost, points | perplexity | MB | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report.variants:
        if row.validation_metric is None:
            lines.append(f"| {row.variant} |" + " |" * 7 + f" {row.status}: {row.reason.text('en') if row.reason else ''} |")
            continue
        lines.append(
            f"| {row.variant} | {row.label_agreement:.1%} | {row.mean_score_difference:.4f} | {row.greedy_agreement:.1%} "
            f"| {row.validation_metric:.1%} | {row.drop_points:.2f} | {row.perplexity:.1f} | {(row.size_bytes or 0) / 1e6:.0f} "
            f"| {row.status}{': ' + row.reason.text('en') if row.reason else ''} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--variants", default="torch-int8,openvino-int8,openvino-int4")
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--max-kl", type=float, default=MAX_KL)
    parser.add_argument("--min-agreement", type=float)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    spec, encoder = ModelSpec.load(asked.folder), TextEncoder.load(asked.folder)
    texts = paragraphs()
    judged, calibration = encoded_of(texts[: asked.rows], spec, encoder), encoded_of(texts[asked.rows : asked.rows + 4], spec, encoder)
    assert judged.generation is not None, "a model that reads texts"
    with tempfile.TemporaryDirectory() as out:
        report = search(
            asked.folder, spec=spec, validation=split_of(texts[: asked.rows], spec, encoder), test=EncodedSplit([[*judged.rows[0]]]),
            calibration=calibration.rows, bounds=Bounds(asked.budget, asked.max_kl, asked.min_agreement), target="memory",
            variants=asked.variants.split(","), threads=asked.threads, progress=Printed(), out=Path(out), rounds=1,
            writing=judged.generation[0],
        )  # fmt: skip
    print(f"{sum(len(row) - 1 for row in judged.rows)} tokens; {table(report)}\n")
    print(json.dumps({"bench": "nearness", "model": asked.folder.name} | report.to_json()))


if __name__ == "__main__":
    main()
