"""Texts that are gone on with: our decoder from nothing against a character 5-gram, on texts that training never saw.

usage: python bench/text_generation.py {tang|brown} [--model M] [--rows N] [--test N] [--set option=value …] [--keep FOLDER]

    tang    poems of Tang in simplified characters (gold)
    brown   documents of the Brown corpus in paragraphs, documents held out (gold)

The baseline is an interpolated Kneser-Ney model of characters, order 5, discount 0.75, of the same training rows; a character they lack
has one chance in 1,114,112 of the chance of the unknown one. Both are judged by bits a byte of UTF-8 over the same test rows, read once;
the end of a text is counted on neither side.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from corpus_training import add_options, file_splits, options_of
from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lessons.text_generation import NETWORKS
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject
from training_data import CACHE

TASK = "text-generation"
CASES = {"tang": "chinese-poems", "brown": "brown-text"}
OPTIONS: dict[str, JsonObject] = {
    "tang": {"epochs": 6, "max_length": 256, "train_length": 128, "vocab_size": 6000},
    "brown": {"epochs": 6, "max_length": 256, "train_length": 256, "vocab_size": 4000},
}
ORDER, DISCOUNT = 5, 0.75
START, UNKNOWN = "\x02", "\x00"
CHARACTERS = 1_114_112  # of Unicode


def texts(name: str) -> Iterator[JsonObject]:
    """Rows as a file has them."""
    for number, row in enumerate(CORPORA.get(CASES[name]).rows(Source(CACHE))):
        if name == "tang":
            if row["kind"] == "tang-shi":
                yield {"text": str(row["text"])}
            continue
        lines = str(row["text"]).split("\n")
        for start in range(0, len(lines), 8):
            yield {"text": "\n".join(lines[start : start + 8]), "group": str(number)}


class KneserNey:
    """Chances of the next character. Source: Kneser and Ney (1995), interpolated as Chen and Goodman (1999) have it."""

    def __init__(self, rows: Sequence[str]) -> None:
        self.counts: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(ORDER)]  # by the length of the context
        for row in rows:
            text = START * (ORDER - 1) + row
            for place in range(ORDER - 1, len(text)):
                self.counts[-1][text[place - ORDER + 1 : place]][text[place]] += 1
        for size in range(ORDER - 2, -1, -1):  # how many different characters stand before each run
            for context, following in self.counts[size + 1].items():
                for character in following:
                    self.counts[size][context[1:]][character] += 1
        self.known = len(self.counts[0][""]) + 1
        self.totals = [{context: following.total() for context, following in table.items()} for table in self.counts]

    def chance(self, context: str, character: str) -> float:
        """Of a character behind up to four others."""
        found = 1.0 / self.known
        for size in range(len(context) + 1):
            behind = context[len(context) - size :]
            total = self.totals[size].get(behind)
            if not total:
                break
            following = self.counts[size][behind]
            found = (max(following.get(character, 0) - DISCOUNT, 0) + DISCOUNT * len(following) * found) / total
        return found if character in self.counts[0][""] else found / CHARACTERS

    def bits(self, text: str) -> float:
        """Of a whole text."""
        padded = START * (ORDER - 1) + text
        chances = (self.chance(padded[place - ORDER + 1 : place], padded[place]) for place in range(ORDER - 1, len(padded)))
        return -sum(map(math.log2, chances))


def reading(name: str, options: JsonObject, *, model: str, num_rows: int, num_test: int, keep: Path | None) -> JsonObject:
    """Train, read the test rows once, judge the baseline on the same."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        file = work / "texts.jsonl"
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in texts(name)), encoding="utf-8")
        whole = file_splits(file, TASK, work)
        sizes = (num_rows, 300, num_test)
        rows, validation, test = (Split(part.texts[: n or None], part.labels[: n or None]) for part, n in zip(whole, sizes, strict=True))
        config = TrainConfig.from_json({**OPTIONS[name], **options}, model=model, task=TASK)
        began_s = time.perf_counter()
        train(
            config, TrainData(rows, validation, ()), out=work / "out", progress=Silent(),
            checkpoints=FolderCheckpoints(work / "checkpoints"),
        )  # fmt: skip
        seconds = time.perf_counter() - began_s
        found = evaluate(work / "out", test).metrics
        if keep:
            shutil.copytree(work / "out", keep, dirs_exist_ok=True)
        simple = KneserNey(rows.texts)
        size_bytes = sum(len(text.encode()) for text in test.texts)
        bits = sum(map(simple.bits, test.texts))
        return {
            "case": name, "model": model, "rows": {"train": len(rows), "test": len(test)}, "bytes": size_bytes,
            "ours": {each: round(found.get(each), 4) for each in ("bits_per_byte", "perplexity", "accuracy")},
            "baseline": {"bits_per_byte": round(bits / size_bytes, 4)}, "seconds": round(seconds), "config": config.to_json(),
        }  # fmt: skip


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--model", choices=NETWORKS, default="transformer")
    parser.add_argument("--rows", type=int, default=0, help="training rows; 0: all")
    parser.add_argument("--test", type=int, default=1000, help="test rows; 0: all")
    add_options(parser)
    parser.add_argument("--keep", type=Path, help="where the trained model is left")
    chosen = parser.parse_args()
    options = options_of(chosen)
    found = reading(chosen.case, options, model=chosen.model, num_rows=chosen.rows, num_test=chosen.test, keep=chosen.keep)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
