"""Simple baselines of the tour's stops; where the corpus has none of the figure, one that is learnt and judged on the stop's own rows.

usage: python bench/tour_baselines.py [--write]

Prints the latter, all their figures; `--write` puts them into bench/tour.json and docs/tour.md, whose other figures stay.

Hidden tokens: how frequent each token is in the training rows, whatever stands around its place. Next tokens: counted pairs of tokens,
backed off to single ones. Both use the tokenizer that the stop's training makes, at the same places, so that the figure is the same.
Words with their parts of speech: the longest match among the words of the training rows, each with its most frequent tag.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import compress, pairwise
from pathlib import Path

import numpy as np

from corpora_baselines import cut
from corpora_scores import span_f1
from corpus_training import file_splits
from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.datasets.corpora.writing import write as write_corpus
from hanlin.tasks import TASKS
from hanlin.tasks.continued_texts import likelihood_metrics, messages_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.hidden_tokens import Asking
from hanlin.tasks.masked_texts import HIDDEN, masked_metrics, passages
from hanlin.tasks.read_texts import ReadRow, read_talk, read_text
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tagged_texts import read_tagging
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Setting
from hanlin.training.ports import Silent
from hanlin.types import JsonObject
from tour_page import BENCH, FIGURES, write
from tour_stops import STOPS, Stop
from training_data import CACHE

BACK_OFF = 1.0  # rows that the single token's chance counts for beside counted pairs


def baseline(stop: Stop) -> tuple[JsonObject, int]:
    """As `baseline_of`, and how many rows were sampled for it; 0: none."""
    if stop.baseline:
        return baseline_of(stop, Path()), 0
    with tempfile.TemporaryDirectory() as work:
        rows = write_corpus(CORPORA.get(stop.corpus), Source(CACHE), Path(work), rows=stop.rows)
        return baseline_of(stop, rows.path), rows.rows


def baseline_of(stop: Stop, file: Path) -> JsonObject:
    """A stop's baseline in per cent, and what it was learnt on: `corpus`, nine tenths of it, or `rows`, those of the stop."""
    if stop.baseline:
        figures = json.loads((BENCH / "corpora.json").read_text(encoding="utf-8"))[stop.corpus]["figures"]
        return {"baseline": round(float(figures[stop.baseline]), 1), "baseline_on": "corpus"}
    with tempfile.TemporaryDirectory() as work:
        found = measured(stop.task, stop.model, stop.options, file, Path(work))
    told: JsonObject = {name: round(value, 4) for name, value in found.items()}
    return {"baseline": round(100 * found[stop.figure], 1), "baseline_on": "rows", "baseline_metrics": told}


def measured(task: str, model: str, options: JsonObject, file: Path, work: Path) -> dict[str, float]:
    """Figures of the baseline that is learnt on a stop's rows, as shares of one.

    Args:
        file: the stop's rows; they are divided as `hanlin dataset add` does.
        work: an empty folder.
    """
    train, validation, test = file_splits(file, task, work)
    if task == "token-classification":
        return joint(train, test)
    out = work / "out"
    out.mkdir()
    config = TrainConfig.from_json(options, model=model, task=task)
    LESSONS.get(task).prepare(Setting(config, TrainData(train, validation, ()), out, Silent()))  # lays its tokenizer out
    return WITH_TOKENS[task](TextEncoder.load(out), ModelSpec.load(out), train, test)


def joint(train: Split, test: Split) -> dict[str, float]:
    """F1 of words with their tags."""
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for text, annotation in zip(train.texts, train.labels, strict=True):
        for start, end, tag in read_tagging(annotation).entities:
            tags[text[start:end]][tag] += 1
    usual = {word: found.most_common(1)[0][0] for word, found in tags.items()}
    unknown = Counter(usual[word] for word, found in tags.items() if found.total() == 1).most_common(1)[0][0]
    found = []
    for text in test.texts:
        words = cut(text, usual)
        ends = np.cumsum([len(word) for word in words]).tolist()
        found.append({(end - len(word), end, usual.get(word, unknown)) for word, end in zip(words, ends, strict=True)})
    return {"f1": span_f1(found, [{*read_tagging(annotation).entities} for annotation in test.labels]) / 100}


def hidden_tokens(encoder: TextEncoder, spec: ModelSpec, train: Split, test: Split) -> dict[str, float]:
    """What the task's own exam asks, answered by counts alone; a token that is as frequent as the hidden one stands before it."""
    counts = _counts(encoder, train)
    assert spec.mask_id is not None, "specs of models that fill masks have it"
    asking = Asking(encoder, spec.mask_id)
    for index, text in enumerate(passages([*test.texts])):
        asking.ask_tokens(text, index, HIDDEN)
    chances = (counts + 1) / (counts + 1).sum()
    found = masked_metrics(chances[asking.hidden].tolist(), [int((counts >= counts[token]).sum()) for token in asking.hidden])
    return {name: found.get(name) for name in (*TASKS.get(spec.task).figures, "perplexity")}


def _counts(encoder: TextEncoder, rows: Split) -> np.ndarray:
    found = np.zeros(encoder.tokenizer.get_vocab_size(with_added_tokens=True))
    prepared = [encoder.text.prepare(text) for text in rows.texts]
    for row in encoder.tokenizer.encode_batch(prepared, add_special_tokens=False):
        np.add.at(found, row.ids, 1)
    return found


def next_tokens(encoder: TextEncoder, spec: ModelSpec, train: Split, test: Split) -> dict[str, float]:
    """The token that follows most often in the training rows; a pair that they lack is backed off to the single token."""
    single = np.ones(encoder.tokenizer.get_vocab_size(with_added_tokens=True))
    pairs: dict[int, Counter[int]] = defaultdict(Counter)
    for row in _rows(encoder, spec, train):
        for piece in row.pieces:
            np.add.at(single, piece[1:], 1)
            for before, token in pairwise(piece):
                pairs[before][token] += 1
    single /= single.sum()
    best = {before: max(_chance(following, single, token) for token in following) for before, following in pairs.items()}
    commonest, nothing = int(single.argmax()), Counter[int]()
    told: list[tuple[float, int, int, int]] = []  # of each row the logarithm of its chance, its tokens, those foreseen, its bytes
    for row in _rows(encoder, spec, test):
        chances, hits = [], 0
        for piece, counted in zip(row.pieces, row.counted, strict=True):
            for before, token in compress(pairwise(piece), counted):
                following = pairs.get(before, nothing)
                chances.append(_chance(following, single, token))
                hits += chances[-1] >= max(best.get(before, 0.0), _chance(following, single, commonest))
        told.append((float(np.log(chances).sum()), len(chances), hits, row.size_bytes))
    logs, tokens, right, sizes = zip(*told, strict=True)
    found = likelihood_metrics(logs, tokens, right, sizes)
    return {name: found.get(name) for name in ("accuracy", "perplexity", "bits_per_byte")}


def _chance(following: Counter[int], single: np.ndarray, token: int) -> float:
    return (following[token] + BACK_OFF * float(single[token])) / (following.total() + BACK_OFF)


def _rows(encoder: TextEncoder, spec: ModelSpec, rows: Split) -> list[ReadRow]:
    """As a call with `score` reads them."""
    found = []
    for index, (text, annotation) in enumerate(zip(rows.texts, rows.labels, strict=True)):
        talk = messages_of(annotation)
        found.append(read_talk(talk, encoder, spec, index=index, is_cut=True) if talk else read_text(text, encoder, spec))
    return found


WITH_TOKENS: dict[str, Callable[[TextEncoder, ModelSpec, Split, Split], dict[str, float]]] = {
    "fill-mask": hidden_tokens, "text-generation": next_tokens,
}  # fmt: skip


def main() -> None:
    """One JSON line a stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into bench/tour.json and docs/tour.md")
    asked = parser.parse_args()
    told = json.loads(FIGURES.read_text(encoding="utf-8"))
    lines = {line["stop"]: line for line in told["stops"]}
    found = []
    for stop in (stop for stop in STOPS if not stop.baseline):
        figures, rows = baseline(stop)
        print(json.dumps({"stop": stop.name, "nature": CORPORA.get(stop.corpus).nature, "rows": rows} | figures), flush=True)
        if lines.get(stop.name, {}).get("rows") == rows:  # else ours was judged on other rows
            found.append(lines[stop.name] | figures)
    if asked.write:
        write(found, told["machine"], told["whole_seconds"])


if __name__ == "__main__":
    main()
