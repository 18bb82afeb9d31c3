"""Taggers trained here, on rows they never saw: entity F1 on a Chinese newspaper, and its words and parts of speech.

usage: python bench/token_classification.py [entities|pos|words] [--rows N] [--set NAME=VALUE …] [--vectors FILE | --learn-vectors]

Corpora as `hanlin dataset sample` has them (gold). Each text once; the last digit of a text's SHA-256 as a number decides: 9 is test, the
rest learns, but for every fortieth that picks the best weights. A text's figures count spans of characters: no given words help.
Yardstick: the longest match in a dictionary of the training rows' spans, each under its most frequent name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from corpus_training import Told, add_options, checkpoints_of, options_of
from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA, Source
from hanlin.models.importing import import_folder
from hanlin.tasks import TASKS
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tagged_texts import quality_of, read_tagging
from hanlin.tasks.tags import Named, expand
from hanlin.tasks.text import TextSettings
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonValue
from training_data import CACHE, e5_base

TASK = "token-classification"
CORPUS = {"entities": "newspaper-entities", "pos": "newspaper-pos", "words": "newspaper-pos"}
OPTIONS: dict[str, dict[str, JsonValue]] = {"entities": {}, "pos": {"crf": False, "epochs": 3}, "words": {"tags": "bioes", "epochs": 3}}


def rows_of(kind: str, most: int | None) -> list[tuple[str, str]]:
    """Text and annotation of each row."""
    form = TASKS.get(TASK).examples
    found: dict[str, str] = {}
    for row in CORPORA.get(CORPUS[kind]).rows(Source(CACHE)):
        example = form.read({"segmented": " ".join(row["tokens"])} if kind == "words" else row)  # type: ignore[arg-type]  # a list of words
        found.setdefault(example.text, example.annotation)
    return list(found.items())[:most]


def splits(rows: list[tuple[str, str]]) -> tuple[Split, Split, Split]:
    """Training, validation and test rows."""
    parts: tuple[list[tuple[str, str]], ...] = ([], [], [])
    for text, annotation in rows:
        digest = int(hashlib.sha256(text.encode()).hexdigest(), 16)
        parts[2 if digest % 10 == 9 else 1 if digest // 10 % 40 == 0 else 0].append((text, annotation))
    train_rows, validation, test = (Split([text for text, _ in part], [annotation for _, annotation in part]) for part in parts)
    return train_rows, validation, test


def yardstick(rows: Split, test: Split, labels: tuple[str, ...]) -> float:
    """F1 of the longest match."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for text, annotation in zip(rows.texts, rows.labels, strict=True):
        for start, end, name in read_tagging(annotation).entities:
            names[text[start:end]][name] += 1
    known = {words: count.most_common(1)[0][0] for words, count in names.items()}
    longest = max(map(len, known))
    return quality_of([_matched(text, known, longest) for text in test.texts], test.labels, expand(labels, "bio")).f1


def _matched(text: str, known: Mapping[str, str], longest: int) -> list[Named]:
    tags: list[Named] = []
    at = 0
    while at < len(text):
        end = next((end for end in range(min(len(text), at + longest), at, -1) if text[at:end] in known), None)
        if end is None:
            tags.append((at, at + 1, "O"))
        else:
            tags += [(place, place + 1, f"{'B' if place == at else 'I'}-{known[text[at:end]]}") for place in range(at, end)]
        at = end or at + 1
    return tags


def base_of(texts: list[str], work: Path) -> Path:
    """e5-small with the words of `texts`, cut into characters before its tokenizer: names begin and end between those."""
    characters = [" ".join(text) for text in texts]
    import_folder(e5_base(characters, work), work / "base", task="embedding")
    spec = ModelSpec.load(work / "base")
    replace(spec, text=TextSettings(spec.text.cleaning, "character")).save(work / "base")
    return work / "base"


def main() -> None:
    """One training and its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", default="entities", choices=[*CORPUS])
    parser.add_argument("--model", default="lstm")
    parser.add_argument("--rows", type=int)
    add_options(parser, with_checkpoints=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--learn-vectors", action="store_true", help="characters begin with vectors learnt from the training texts")
    parser.add_argument("--base", choices=["", "e5"], default="", help="pretrained weights that read one character at a time")
    asked = parser.parse_args()
    rows, validation, test = splits(rows_of(asked.kind, asked.rows))
    labels = tuple(sorted({name for annotation in rows.labels for _, _, name in read_tagging(annotation).entities}))
    print(f"{len(rows)} / {len(validation)} / {len(test)} rows; yardstick F1 {yardstick(rows, test, labels):.4f}", flush=True)
    more = options_of(asked)
    config = TrainConfig.from_json({**OPTIONS[asked.kind], **more}, model="base" if asked.base else asked.model, task=TASK)
    with tempfile.TemporaryDirectory() as work:
        base = base_of([*rows.texts, *validation.texts, *test.texts], Path(work)) if asked.base else None
        out, began = Path(work) / "out", time.perf_counter()
        data, checkpoints = TrainData(rows, validation, labels), checkpoints_of(asked, Path(work))
        raw = Path(work) / "texts.txt" if asked.learn_vectors else None
        if raw:
            raw.write_text("".join(f"{' '.join(text.split())}\n" for text in rows.texts), encoding="utf-8")
        report = train(config, data, out=out, progress=Told(), checkpoints=checkpoints, vectors=asked.vectors, raw_text=raw, base=base)
        seconds = time.perf_counter() - began
        found = evaluate(out, test)
    figures = found.metrics.to_json() | {"seconds": round(seconds), "precision": report.precision, "threads": report.threads}
    figures["per_class"] = [item for item in figures["per_class"] if item["support"] >= 20]  # type: ignore[index,union-attr]  # a list of objects
    print(json.dumps({"kind": asked.kind, "options": more} | figures, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
