"""Texts told apart at full budgets: polarity of aspects, several labels a text, pairs of texts, graded pairs. Test rows are read once.

usage: python bench/text_classification.py {aspects-zh|aspects-en|tags|pairs|answers-zh|similarity} [--model NAME] [--rows N] [--test N]
                                           [--set NAME=VALUE …]

Corpora as `hanlin dataset sample` has them and split as `hanlin dataset add` splits them, groups held out. `--rows` keeps the first so
many of the training rows, `--test` of the test rows. The baseline is the corpus's own (docs/corpora.md: TF-IDF, learnt on all training
rows, judged on all test rows). MODEL: a network of ours, or `minilm` or `e5`, whose weights the training begins with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from corpus_training import Told, add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import Split, read_labels
from hanlin.datasets.bundled import minilm
from hanlin.datasets.corpora import CORPORA
from hanlin.models.importing import import_folder
from hanlin.tasks import TASKS
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE, e5_base
from writing import few


@dataclass(frozen=True)
class Case:
    """A corpus, what learns it best of what was tried, and the figure that its baseline has."""

    corpus: str
    model: str
    figure: str
    options: JsonObject = field(default_factory=dict)


CUT: JsonObject = {"train_length": 96, "max_length": 128}
CASES = {
    "aspects-zh": Case("review-aspects-zh", "lstm", "accuracy"),
    "aspects-en": Case("review-aspects-en", "minilm", "accuracy", {"epochs": 6}),
    "tags": Case("package-tags", "minilm", "micro_f1", {"epochs": 6, "rate": 3e-4} | CUT),
    "pairs": Case("package-pairs", "minilm", "accuracy", {"epochs": 3, "rate": 1e-4, "batch_size": 16} | CUT),
    "answers-zh": Case("answer-pairs-zh", "e5", "accuracy", {"epochs": 10, "rate": 1e-4, "batch_size": 8} | CUT),
    "similarity": Case("package-similarity", "minilm", "spearman", {"epochs": 6, "rate": 2e-4, "batch_size": 16}),
}


def base_of(model: str, rows: Split, work: Path) -> Path | None:
    """The weights to begin with; None for a network of ours."""
    if model not in {"minilm", "e5"}:
        return None
    import_folder(minilm(CACHE) if model == "minilm" else e5_base(rows.texts, work), work / "base", task="embedding")
    return work / "base"


def main() -> None:
    """One training and its figures, as a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--model", help="else the case's own")
    parser.add_argument("--rows", type=int, help="of training, at most")
    parser.add_argument("--test", type=int, help="rows that judge, at most")
    add_options(parser, with_checkpoints=True)
    asked = parser.parse_args()
    case = CASES[asked.case]
    corpus, model = CORPORA.get(case.corpus), asked.model or case.model
    options = (case.options if model == case.model else {}) | options_of(asked)
    torch.set_num_threads(int(str(options.get("threads", 1))))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        rows, validation, test = corpus_splits(case.corpus, corpus.task, work)
        labels = read_labels(work / "rows")
        rows, validation, test = (
            few(part, most or len(part)) for part, most in ((rows, asked.rows), (validation, 1000), (test, asked.test))
        )
        base, out, began_s, cpu_s = base_of(model, rows, work), work / "out", time.perf_counter(), time.process_time()
        config = TrainConfig.from_json({"threads": 1} | options, model="base" if base else model, task=corpus.task)
        data = TrainData(rows, validation, labels)
        train(config, data, out=out, progress=Told(), checkpoints=checkpoints_of(asked, work), base=base)
        seconds, cpu_seconds = time.perf_counter() - began_s, time.process_time() - cpu_s
        figures = evaluate(out, test).metrics
    baseline = json.loads((Path(__file__).parent / "corpora.json").read_text())[case.corpus]["figures"][case.figure]
    told = {"corpus": case.corpus, "nature": corpus.nature, "model": model, "options": options, "rows": len(rows), "test": len(test)}
    told |= {"figure": case.figure, "ours": round(100 * figures.get(case.figure), 2), "baseline": baseline}
    assert case.figure in TASKS.get(corpus.task).figures, "a figure of another task"
    print(json.dumps(told | {"seconds": round(seconds), "cpu_seconds": round(cpu_seconds)}), flush=True)


if __name__ == "__main__":
    main()
