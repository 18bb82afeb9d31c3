"""How near the variants of a language model stay to its trained weights, and which of them the budgets of a compression keep.

usage: python bench/nearness.py FOLDER [--rows 40] [--variants openvino-int8,…] [--max-kl 0.05] [--min-greedy-agreement 0.9] [--budget 0.5]
                                       [--task translation … [--language en|zh] [--task-rows 8] [--task-budget 2]]

FOLDER: an imported decoder, such as `bench/smollm.py --convert` leaves and `hanlin model import` takes. It reads paragraphs of this
project's pages (gold: their own next tokens), which training may have seen no more than any other text. Nothing is written into FOLDER.
With --task it is asked for one besides, by the form and on validation rows of the corpus that `prompted_tasks.py` has for it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from corpus_training import corpus_splits
from hanlin.compression.judge import MAX_KL, Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport
from hanlin.compression.search import search
from hanlin.compression.task_exam import TaskExam
from hanlin.models.importing import import_folder
from hanlin.pipelines.judging_rows import encoded_of, split_of
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.prompt_form import PROMPT_FILE
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject
from prompted_tasks import ASKED, ASKED_CHINESE, CHINESE, CORPORA, CORPUS_ROWS, schema_of
from variants import Printed

PAGES = ("concepts", "retrieval", "tuning", "writing", "adapters", "importing", "console", "fine-tuning", "pretraining")
LEAST = 120  # characters of a paragraph


def paragraphs() -> list[str]:
    docs = Path(__file__).parents[1] / "docs"
    found = (part for page in PAGES for part in (docs / f"{page}.md").read_text(encoding="utf-8").split("\n\n"))
    return [part for part in found if len(part) >= LEAST and part[0].isalpha()]


def task_words(task: JsonObject | None) -> str:
    return f"{task['metric']} {100 * task['value']:.1f}, lost {task['drop_points']:.2f}" if task else ""


def table(report: CompressionReport) -> str:
    lines = [
        f"budget {report.budget:g} points of {report.metric}, KL {report.max_kl}, agreement {report.min_greedy_agreement}; "
        f"rows {report.rows}; chosen **{report.chosen}**",
        "",
        "| variant | places that agree | mean KL, nats | same token | accuracy | lost, points | perplexity | task | MB | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report.variants:
        if row.validation_metric is None:
            lines.append(f"| {row.variant} |" + " |" * 8 + f" {row.status}: {row.reason.text('en') if row.reason else ''} |")
            continue
        lines.append(
            f"| {row.variant} | {row.label_agreement:.1%} | {row.mean_score_difference:.4f} | {row.greedy_agreement:.1%} "
            f"| {row.validation_metric:.1%} | {row.drop_points:.2f} | {row.perplexity:.1f} | {task_words(row.task)} "
            f"| {(row.size_bytes or 0) / 1e6:.0f} | {row.status}{': ' + row.reason.text('en') if row.reason else ''} |"
        )
    return "\n".join(lines)


def exam_of(asked: argparse.Namespace, work: Path) -> TaskExam | None:
    if not asked.task:
        return None
    chinese = asked.language == "zh"
    train, rows, _ = corpus_splits((CHINESE if chinese else CORPORA)[asked.task], asked.task, work, rows=CORPUS_ROWS)
    form = (ASKED_CHINESE if chinese else ASKED)[asked.task] | ({"schema": schema_of(train)} if asked.task == "semantic-parsing" else {})
    (work / "prompt").mkdir()
    (work / "prompt" / PROMPT_FILE).write_text(json.dumps(form, ensure_ascii=False), encoding="utf-8")
    import_folder(work / "prompt", work / "asked", task=asked.task, base=asked.folder)
    texts, gold = rows.texts[: asked.task_rows], rows.labels[: asked.task_rows]
    form_of = TASKS.get(asked.task).examples
    questions = [form_of.question(text, label) for text, label in zip(texts, gold, strict=True)]
    return TaskExam.of(work / "asked", questions, gold, {"task": asked.task, "language": asked.language})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--variants", default="torch-int8,openvino-int8,openvino-int4")
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--max-kl", type=float, default=MAX_KL)
    parser.add_argument("--min-greedy-agreement", type=float)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--task", choices=[*CORPORA])
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--task-rows", type=int, default=8)
    parser.add_argument("--task-budget", type=float)
    asked = parser.parse_args()
    spec, encoder = ModelSpec.load(asked.folder), TextEncoder.load(asked.folder)
    texts = paragraphs()
    judged, calibration = encoded_of(texts[: asked.rows], spec, encoder), encoded_of(texts[asked.rows : asked.rows + 4], spec, encoder)
    assert judged.generation is not None, "a model that reads texts"
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as work:
        report = search(
            asked.folder, spec=spec, validation=split_of(texts[: asked.rows], spec, encoder), test=EncodedSplit([[*judged.rows[0]]]),
            calibration=calibration.rows, bounds=Bounds(asked.budget, asked.max_kl, asked.min_greedy_agreement, asked.task_budget),
            target="memory", exam=exam_of(asked, Path(work)), variants=asked.variants.split(","), threads=asked.threads,
            progress=Printed(), out=Path(out), rounds=1, writing=judged.generation[0],
        )  # fmt: skip
    print(f"{sum(len(row) - 1 for row in judged.rows)} tokens; {table(report)}\n")
    print(json.dumps({"bench": "nearness", "model": asked.folder.name} | report.to_json()))


if __name__ == "__main__":
    main()
