"""Rankings by words, by cosine and by a trained cross-encoder: nDCG@10 of held-out queries.

usage: python bench/training_reranking.py [--only NAME] [--rows N] [--set option=value …]

    help-en    MiniLM, heading of a help section → the text below it (English, silver)
    help-zh    e5-small, the same in Chinese (silver)

Splits are those of `hanlin dataset add` (a help page stands in one of them). Each query of the test rows has its own text and the 20
others that are nearest by BM25, so that words alone tell little; see docs/retrieval.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from corpus_training import add_options, corpus_splits, options_of
from hanlin.datasets import Split
from hanlin.tasks.ranking_exam import CANDIDATES, groups_of, judge_groups
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.word_index import WordIndex
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.related import read_examples
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_retrieval import Case, base_of

CASES = {
    "help-en": Case("help-retrieval-en", "minilm", {"epochs": 2, "train_length": 96}, 4_000),
    "help-zh": Case("help-retrieval-zh", "e5", {"epochs": 2, "train_length": 96}, 4_000),
}


def by_words(rows: Split) -> ScalarMetrics:
    """What BM25 makes of the same lists: all texts of the rows count for how rare a word is."""
    groups = groups_of(read_examples(rows), mined=CANDIDATES)
    texts = list(dict.fromkeys(text for group in groups for text in group.texts))
    index, scores = WordIndex(texts), []
    for group in groups:
        order = {texts[place]: -float(rank) for rank, place in enumerate(index.nearest(group.query, len(texts)))}
        scores.append([order.get(text, -float(len(texts))) for text in group.texts])
    return judge_groups(groups, scores)


def by_cosine(base: Path, rows: Split, work: Path) -> ScalarMetrics:
    """What the base's vectors make of them."""
    folder = shutil.copytree(base, work / "cosine")
    replace(ModelSpec.load(base), task="reranking").save(folder)
    found = evaluate(folder, rows).metrics
    assert isinstance(found, ScalarMetrics)
    return found


def one(case: Case, rows: int, options: JsonObject) -> dict[str, object]:
    """Figures of a case."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train_rows, validation, test = corpus_splits(case.corpus, "reranking", work, rows=rows or case.rows)
        base = base_of(case, [train_rows, validation, test], work)
        words, cosine = by_words(test), by_cosine(base, test, work)
        began_s = time.perf_counter()
        config = TrainConfig.from_json(case.options | options, model="base", task="reranking")
        data, checkpoints = TrainData(train_rows, validation, ()), FolderCheckpoints(work / "checkpoints")
        report = train(config, data, base=base, out=work / "out", progress=Silent(), checkpoints=checkpoints)
        seconds = time.perf_counter() - began_s
        trained = evaluate(work / "out", test).metrics
    assert isinstance(trained, ScalarMetrics)
    return {
        "corpus": case.corpus, "base": case.base, "rows": [len(train_rows), len(test)], "words": words.to_json(),
        "cosine": cosine.to_json(), "trained": trained.to_json(), "seconds": round(seconds), "precision": report.precision,
    }  # fmt: skip


def main() -> None:
    """Prints a Markdown table and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--rows", type=int, default=0)
    add_options(parser)
    options = parser.parse_args()
    found = {name: one(CASES[name], options.rows, options_of(options)) for name in ([options.only] if options.only else CASES)}
    print("| corpus | base | rows train / test | by words | by cosine | trained (95 %) | MRR | recall@1 | training |")
    print("|---|---|---|---|---|---|---|---|---|")
    for item in found.values():
        words, cosine, trained = item["words"], item["cosine"], item["trained"]
        assert isinstance(words, dict)
        assert isinstance(cosine, dict)
        assert isinstance(trained, dict)
        low, high = trained["interval"]
        rows = " / ".join(f"{count:,}" for count in item["rows"])  # type: ignore[attr-defined]  # made above
        print(
            f"| {item['corpus']} | {item['base']} | {rows} | {words['ndcg']:.1%} | {cosine['ndcg']:.1%} | **{trained['ndcg']:.1%}** "
            f"({low:.1%} to {high:.1%}) | {trained['mrr']:.1%} | {trained['recall_1']:.1%} | {item['seconds']} s |"
        )
    print("\n" + json.dumps({"bench": "training_reranking", **found}))


if __name__ == "__main__":
    main()
