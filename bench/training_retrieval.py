"""Search before and after fine-tuning: nDCG@10 on held-out pairs, of the base as it is and of what `hanlin train` makes of it.

usage: python bench/training_retrieval.py [--only NAME] [--rows N] [--set option=value …] [--validation]

    packages   MiniLM, synopsis of a package → its description (English, silver)
    answers    MiniLM, question → answer (English, gold)
    help-en    MiniLM, heading of a help section → the text below it (English, silver)
    help-zh    e5-small, the same in Chinese (silver)

Splits are those of `hanlin dataset add` (by group: one question, one package, one help page); the test rows are read once before and
once after. A search among all different texts of the test rows, see docs/retrieval.md. With `--validation` the test rows are not read
at all: options are chosen so.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from corpus_training import add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import Split, bundled
from hanlin.models.importing import import_folder
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.related import read_examples
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE, e5_base

PROMPTS = (("query", "query: "), ("passage", "passage: "))  # e5's own


@dataclass(frozen=True, slots=True)
class Case:
    """A corpus, the base that is tuned on it, and the options beside the preset."""

    corpus: str
    base: str
    options: JsonObject
    rows: int


CASES = {
    "packages": Case("package-retrieval", "minilm", {"epochs": 1, "train_length": 96}, 4_000),
    "answers": Case("question-answers-en", "minilm", {"epochs": 8, "rate": 1e-4, "train_length": 48}, 4_000),
    "help-en": Case("help-retrieval-en", "minilm", {"epochs": 2, "train_length": 64}, 5_000),
    "help-zh": Case("help-retrieval-zh", "e5", {"epochs": 2, "train_length": 64}, 4_000),
}


def base_of(case: Case, rows: list[Split], work: Path) -> Path:
    """The base, imported as an embedding model; e5's vocabulary is cut to the texts of the rows."""
    out = work / "base"
    if case.base == "minilm":
        import_folder(bundled.minilm_embedder(CACHE), out, task="embedding")
        return out
    texts = [text for part in rows for item in read_examples(part) for text in (item.first, item.second, *item.negatives)]
    import_folder(e5_base([*texts, "query: passage: "], work), out, task="embedding")
    spec = ModelSpec.load(out)
    vectors = replace(spec.vectors or VectorSettings(384), prompts=PROMPTS)
    replace(spec, vectors=vectors).save(out)
    return out


def one(name: str, case: Case, chosen: argparse.Namespace) -> dict[str, object]:
    """Figures of a case before and after; of the validation rows where options are being chosen."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train_rows, validation, test = corpus_splits(case.corpus, "embedding", work, rows=chosen.rows or case.rows)
        base = base_of(case, [train_rows, validation, test], work)
        judged = validation if chosen.validation else test
        before = evaluate(base, judged).metrics
        began_s = time.perf_counter()
        config = TrainConfig.from_json(case.options | options_of(chosen), model="base", task="embedding")
        data = TrainData(train_rows, validation, ())
        report = train(
            config, data, base=base, out=work / "out", progress=Silent(), checkpoints=checkpoints_of(chosen, work, name)
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        after = evaluate(work / "out", judged).metrics
    assert isinstance(before, ScalarMetrics)
    assert isinstance(after, ScalarMetrics)
    print(f"  {name}: {before.values} → {after.values} in {seconds:.0f} s", flush=True)
    return {
        "rows": [len(train_rows), len(judged)], "before": before.to_json(), "after": after.to_json(), "seconds": round(seconds),
        "precision": report.precision, "base": case.base, "corpus": case.corpus,
    }  # fmt: skip


def main() -> None:
    """Prints a Markdown table and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--rows", type=int, default=0)
    add_options(parser, with_checkpoints=True)
    parser.add_argument("--validation", action="store_true")
    options = parser.parse_args()
    names = [options.only] if options.only else [*CASES]
    found = {name: one(name, CASES[name], options) for name in names}
    print("\n| corpus | base | rows train / test | nDCG@10 before | after (95 %) | MRR | recall@10 | training |")
    print("|---|---|---|---|---|---|---|---|")
    for item in found.values():
        before, after = item["before"], item["after"]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        low, high = after["interval"]
        rows = " / ".join(f"{count:,}" for count in item["rows"])  # type: ignore[attr-defined]  # made above
        print(
            f"| {item['corpus']} | {item['base']} | {rows} | {before['ndcg']:.1%} | **{after['ndcg']:.1%}** ({low:.1%} to {high:.1%}) "
            f"| {before['mrr']:.1%} → {after['mrr']:.1%} | {before['recall_10']:.1%} → {after['recall_10']:.1%} | {item['seconds']} s |"
        )
    print("\n" + json.dumps({"bench": "training_retrieval", **found}))


if __name__ == "__main__":
    main()
