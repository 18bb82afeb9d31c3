"""Questions about help pages, SYNTHETIC: the question is a heading, the answer the first sentence below it, a fifth has none.

usage: python bench/question_answering.py [--only en|zh] [--rows N] [--search] [--set NAME=VALUE …]

    en   help-questions-en, MiniLM       zh   help-questions-zh, e5-small

Pages stand in one split each. Yardstick: the sentence that shares most words with the question (Chinese: characters and their pairs).
Measures on test rows: exact match and F1 as SQuAD's and CMRC's scorers count; how well "no answer" is told apart (threshold from the
validation rows; area under the curve; expected calibration error of its score, in ten bins); and over the set of all test contexts, cut
in passages: whether the passage that holds the answer is among the first 1, 5 and 20, found by words (BM25) and by the base as an
embedding model, and the answers that the reader then gives out of the first 5. With --search nothing is trained: yardstick and recall
alone.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpus_training import Told, add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import Split, bundled
from hanlin.engines import REFERENCE
from hanlin.engines.asking import Questioner
from hanlin.engines.torch_engine import TorchSession
from hanlin.models.importing import import_folder
from hanlin.networks.head import Head
from hanlin.networks.loading import load_model
from hanlin.passages import cut_passages
from hanlin.tasks import TASKS
from hanlin.tasks.answer_metrics import answer_metrics
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.lexical import order, terms
from hanlin.tasks.spec import ModelSpec
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE, e5_base

TASK = TASKS.get("question-answering")
CORPUS = {"en": "help-questions-en", "zh": "help-questions-zh"}
OPTIONS: JsonObject = {"epochs": 2, "batch_size": 8, "rate": 2e-4, "train_length": 256, "threads": 1}
DEPTHS = (1, 5, 20)
_SENTENCE = re.compile(r"(?<=[。！？])|(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Place:
    """A passage of a test context."""

    context: str
    start: int
    end: int

    @property
    def text(self) -> str:
        """What it says."""
        return self.context[self.start : self.end]


def base_of(language: str, rows: Sequence[Split], work: Path) -> Path:
    """The base, imported as the embedding model that also searches."""
    out = work / "base"
    if language == "en":
        import_folder(bundled.minilm_embedder(CACHE), out, task="embedding")
    else:
        texts = [text for part in rows for pair in zip(part.texts, part.labels, strict=True) for text in pair]
        import_folder(e5_base([*texts, "query: passage: "], work), out, task="embedding")
    return out


def yardstick(context: str, question: str) -> str:
    """The sentence that shares most with the question."""
    wanted = set(terms(question))
    parts = [part for part in _SENTENCE.split(context) if part and part.strip()]
    return max(parts, key=lambda part: len(wanted & set(terms(part))) / (4 + len(list(terms(part)))), default="").strip()


def asker(folder: Path) -> Questioner:
    """Asks a model without a server."""
    spec = ModelSpec.load(folder)
    session = TorchSession(load_model(folder), REFERENCE, output=Head.load(folder).output)
    return Questioner(session, TASKS.get(spec.task), spec, TextEncoder.load(folder))


def telling(folder: Path, test: Split, golds: Sequence[list[str]]) -> dict[str, float]:
    """How well the model tells questions without an answer from others."""
    questions = [TASK.examples.question(*pair) for pair in zip(test.texts, test.labels, strict=True)]
    asking = asker(folder)
    found: list[Any] = asking.ask([(question, {"handle_impossible_answer": False}) for question in questions]).answers
    given: list[Any] = asking.ask([(question, {}) for question in questions]).answers
    shares = np.array([item["no_answer_score"] for item in found])
    absent = np.array([not gold for gold in golds])
    said = np.array([item["answer"] == "" for item in given])
    ranks = np.argsort(np.argsort(shares)) + 1.0
    auc = (ranks[absent].sum() - absent.sum() * (absent.sum() + 1) / 2) / (absent.sum() * (~absent).sum())
    bins = np.minimum((shares * 10).astype(int), 9)
    error = sum(
        abs(shares[bins == number].mean() - absent[bins == number].mean()) * (bins == number).mean() for number in set(bins.tolist())
    )
    return {"no_answer_accuracy": float((said == absent).mean()), "no_answer_auc": float(auc), "no_answer_ece": float(error)}


def vectors(asking: Questioner, texts: Sequence[str], prompt: str) -> np.ndarray:
    """Unit vectors `(texts, dimensions)`."""
    found: list[Any] = asking.ask([(prompt + text, {"truncation": True}) for text in texts]).answers
    made = np.array(found, dtype=np.float64)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def searching(language: str, base: Path, reader: Path | None, test: Split) -> dict[str, float]:
    """Recall of passages, and a reader's answers out of what was found, over all test contexts at once."""
    places = [Place(context, *place) for context in dict.fromkeys(test.texts) for place in cut_passages(context)]
    texts = [place.text for place in places]
    asked = [(text, json.loads(annotation)) for text, annotation in zip(test.texts, test.labels, strict=True)]
    asked = [(text, gold) for text, gold in asked if gold["answers"]]
    questions = [gold["question"] for _, gold in asked]
    right = [
        {number for number, place in enumerate(places) if place.context == text and place.start <= gold["answers"][0]["start"] < place.end}
        for text, gold in asked
    ]  # fmt: skip
    searcher, reading = asker(base), asker(reader) if reader else None
    prompts = ("query: ", "passage: ") if language == "zh" else ("", "")
    near = vectors(searcher, questions, prompts[0]) @ vectors(searcher, texts, prompts[1]).T
    orders_of = {
        "words": [order(question, texts) for question in questions],
        "embedding": [np.argsort(-row, kind="stable").tolist() for row in near],
    }
    figures: dict[str, float] = {"passages": len(places), "searched": len(questions)}
    for name, orders in orders_of.items():
        hits = [min((best.index(number) for number in gold), default=len(places)) for best, gold in zip(orders, right, strict=True)]
        figures |= {f"{name}_recall_{depth}": float(np.mean([hit < depth for hit in hits])) for depth in DEPTHS}
        if reading is None:
            continue
        kept = [[texts[number] for number in best[:5]] for best in orders]
        pairs = zip(questions, kept, strict=True)
        answers: list[Any] = reading.ask([({"question": question, "documents": found}, {}) for question, found in pairs]).answers
        told = answer_metrics([item["answer"] for item in answers], [[gold["answers"][0]["text"]] for _, gold in asked])
        figures |= {f"{name}_exact": told.get("exact"), f"{name}_f1": told.get("f1")}
        figures[f"{name}_answered"] = float(np.mean([bool(item["answer"]) for item in answers]))
    return figures


def one(language: str, chosen: argparse.Namespace) -> dict[str, object]:
    """All figures of a language, or those that need no training."""
    more = options_of(chosen)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parts = corpus_splits(CORPUS[language], TASK.name, work, rows=chosen.rows)
        learned, validation, test = parts
        base = base_of(language, parts, work)
        golds = [[item["text"] for item in json.loads(annotation)["answers"]] for annotation in test.labels]
        asked = [json.loads(annotation)["question"] for annotation in test.labels]
        plain = answer_metrics([yardstick(*pair) for pair in zip(test.texts, asked, strict=True)], golds)
        none = answer_metrics([""] * len(golds), golds)
        print(f"SYNTHETIC {CORPUS[language]}: {[len(part) for part in parts]} rows; yardstick {plain.values}", flush=True)
        if chosen.search:
            found = searching(language, base, None, test)
            return {"corpus": CORPUS[language], "rows": [len(part) for part in parts], "yardstick": plain.to_json(), **found}
        config = TrainConfig.from_json({**OPTIONS, **more}, model="base", task="question-answering")
        began_s = time.perf_counter()
        report = train(
            config, TrainData(learned, validation, ()), base=base, out=work / "out", progress=Told(),
            checkpoints=checkpoints_of(chosen, work, language),
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        reader = evaluate(work / "out", test).metrics.to_json()
        return {
            "corpus": CORPUS[language], "nature": "synthetic", "rows": [len(part) for part in parts], "seconds": round(seconds),
            "precision": report.precision, "options": {**OPTIONS, **more}, "yardstick": plain.to_json(), "always_none": none.to_json(),
            "reader": reader, **telling(work / "out", test, golds), **searching(language, base, work / "out", test),
        }  # fmt: skip


def main() -> None:
    """Prints a JSON line a language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(CORPUS))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--search", action="store_true")
    add_options(parser, with_checkpoints=True)
    asked = parser.parse_args()
    for language in [asked.only] if asked.only else CORPUS:
        print(json.dumps({"bench": "question_answering", **one(language, asked)}), flush=True)


if __name__ == "__main__":
    main()
