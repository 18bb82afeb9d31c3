"""Does pretraining on raw text help where labels are few? A small BERT reads Brown or Chinese poems first, or nothing.

usage: python bench/pretraining.py en|zh [--objective mlm|mlm+nsp] [--epochs N] [--texts N] [--labels N …] [--seeds N] [--set NAME=VALUE …]
                                        [--base FOLDER] [--fine NAME=VALUE …]

Corpora as `hanlin dataset sample` has them (gold). No text that is a test row is read in pretraining. Tasks (gold): the tags of the words
of a Brown sentence and the genre of a paragraph, their documents kept apart, and of English reviews whether they are good (another
domain); of a Chinese poem its dynasty (Tang or Song, as many of each) and its poet, among ten; the words of a newspaper's sentences
(another domain, another age). Each is learned from few rows with the same options and seeds by: the pretrained network; the same network
with random weights and the same tokenizer; our LSTM from nothing, with its own options. The best weights are chosen on validation rows;
test rows are read once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pstdev

import torch

from corpus_training import Told, add_options, options_of
from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA, Source
from hanlin.datasets.corpora.brown import documents
from hanlin.networks.filler import build_filler
from hanlin.networks.loading import save_network
from hanlin.tasks import TASKS
from hanlin.tasks.tagged_texts import read_tagging
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject, JsonValue
from training_data import CACHE

POETS = 10
VALIDATION, TEST = 300, 1500  # most rows of a task
# Few rows need many rounds; the same for all that are fine-tuned.
FINE: dict[str, JsonValue] = {"epochs": 12, "rate": 3e-4, "batch_size": 16, "max_length": 128, "train_length": 128, "precision": "fp32"}
LSTM: dict[str, JsonValue] = {"epochs": 30, "max_length": 128, "train_length": 128, "precision": "fp32", "batch_size": 16}
PRETRAIN: dict[str, dict[str, JsonValue]] = {"en": {"epochs": 5}, "zh": {"epochs": 5, "max_length": 64, "train_length": 64}}
NETWORK: dict[str, JsonValue] = {
    "vocab_size": 8000, "layers": 3, "hidden_size": 128, "max_length": 128, "train_length": 128, "rate": 2e-3,
    "precision": "bf16", "batch_tokens": 4096,
}  # fmt: skip
TEXTS = {"en": 500, "zh": 20_000}


@dataclass(frozen=True)
class Labelled:
    """A task: rows to learn from in a fixed order, to choose by, to be judged on."""

    name: str
    train: list[tuple[str, str]]
    validation: Split
    test: Split
    kind: str = "text-classification"
    figure: str = "accuracy"

    def names(self, rows: Split) -> tuple[str, ...]:
        """The labels of rows to learn from and of those that judge."""
        every = [*rows.labels, *self.validation.labels, *self.test.labels]
        if self.kind == "token-classification":
            every = [name for annotation in every for _, _, name in read_tagging(annotation).entities]
        return tuple(sorted({*every}))

    def simple(self) -> JsonObject:
        """The share of the most frequent label, where a row has one."""
        if self.kind != "text-classification":
            return {}
        return {"majority": round(Counter(self.test.labels).most_common(1)[0][1] / len(self.test), 4)}


def _draw(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10


def _split(rows: Iterable[tuple[str, str, str]]) -> tuple[list[tuple[str, str]], Split, Split]:
    """(text, label, what must stay together) by hash: 8 validation, 9 test, at most so many of each, evenly mixed."""
    parts: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for text, label, group in dict.fromkeys(rows):
        parts[max(7, _draw(group))].append((text, label))
    for part in parts.values():
        part.sort(key=lambda row: hashlib.sha256(row[0].encode()).digest())
    return parts[7], _as_split(parts[8][:VALIDATION]), _as_split(parts[9][:TEST])


def _as_split(rows: Sequence[tuple[str, str]]) -> Split:
    return Split([text for text, _ in rows], [label for _, label in rows])


def english() -> tuple[list[str], list[Labelled]]:
    """Brown's documents but those of test rows, and three tasks."""
    source = Source(CACHE)
    genres = [(str(row["text"]), str(row["label"]), str(row["group"])) for row in CORPORA.get("brown-genres").rows(source)]
    texts = [str(row["text"]) for row in CORPORA.get("brown-text").rows(source) if _draw(str(row["document"])) != 9]
    reviews = [(str(row["text"]), str(row["label"]), str(row["text"])) for row in CORPORA.get("reviews-en").rows(source)]
    tags = [
        (*_tagged({"tokens": [word for word, _ in words], "tags": [tag for _, tag in words]}), document.name)
        for document in documents(source)
        for paragraph in document.paragraphs
        for words in paragraph
    ]
    return texts, [
        Labelled("tags", *_split(tags), "token-classification"),
        Labelled("genre", *_split(genres)),
        Labelled("reviews", *_split(reviews)),
    ]


def _tagged(fields: JsonObject) -> tuple[str, str]:
    example = TASKS.get("token-classification").examples.read(fields)
    return example.text, example.annotation


def chinese() -> tuple[list[str], list[Labelled]]:
    """Poems but those of test rows, and three tasks."""
    source = Source(CACHE)
    rows = [(str(row["text"]), str(row["author"]), str(row["kind"])) for row in CORPORA.get("chinese-poems").rows(source)]
    known = Counter(author for _, author, _ in rows if author not in {"", "不详", "无名氏"})
    poets = {author for author, _ in known.most_common(POETS)}
    poems = [(text, author, text) for text, author, _ in rows if author in poets]
    tang = [(text, kind, text) for text, _, kind in rows if kind == "tang-shi"]
    song = [(text, kind, text) for text, _, kind in rows if kind == "song-shi"]
    dynasties = tang + random.Random(0).sample(song, len(tang))
    words = [(*_tagged({"segmented": " ".join(row["tokens"])}), str(row["tokens"])) for row in CORPORA.get("newspaper-pos").rows(source)]  # type: ignore[arg-type]  # a list of words
    return [text for text, _, _ in rows if _draw(text) != 9], [
        Labelled("dynasty", *_split(dynasties)),
        Labelled("words", *_split(words), "token-classification", "f1"),
        Labelled("poet", *_split(poems)),
    ]


def pretrain(language: str, texts: list[str], options: Mapping[str, JsonValue], out: Path, base: Path | None) -> TrainReport:
    """The pretrained network in `out`."""
    random.Random(0).shuffle(texts)
    held = max(10, len(texts) // 50)
    rows, validation = (Split(part, [""] * len(part)) for part in (texts[held:], texts[:held]))
    config = TrainConfig.from_json(
        {**({} if base else NETWORK), **PRETRAIN[language], **options}, model="base" if base else "transformer", task="fill-mask"
    )
    return train(config, TrainData(rows, validation, ()), out=out, progress=Told(), checkpoints=_checkpoints(out), base=base)


def without(folder: Path, out: Path) -> Path:
    """The same network with random weights, and the same tokenizer."""
    from transformers import AutoConfig

    torch.manual_seed(0)
    out.mkdir()
    save_network(build_filler(AutoConfig.from_pretrained(folder), has_pairs=False), out)
    for name in ("tokenizer.json", "hanlin.json"):
        (out / name).write_bytes((folder / name).read_bytes())
    return out


def figure(task: Labelled, labels: int, base: Path | None, work: Path, *, seed: int, fine: JsonObject) -> float:
    """The task's figure on test rows after learning from `labels` rows, a base with the options `fine`."""
    rows = _as_split(random.Random(seed).sample(task.train, labels))
    options = {**(FINE | fine if base else LSTM), "seed": seed} | ({"crf": False} if task.kind == "token-classification" else {})
    config = TrainConfig.from_json(options, model="base" if base else "lstm", task=task.kind)
    out = work / "fine"
    data = TrainData(rows, task.validation, task.names(rows))
    train(config, data, out=out, progress=Silent(), checkpoints=_checkpoints(out), base=base)
    return float(evaluate(out, task.test).metrics.get(task.figure))


def _checkpoints(out: Path) -> FolderCheckpoints:
    return FolderCheckpoints(Path(tempfile.mkdtemp(dir=out.parent)))


def main() -> None:
    """One pretraining and what it is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=["en", "zh"])
    parser.add_argument("--objective", default="mlm")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--texts", type=int)
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="*", default=[], help="of those below alone")
    add_options(parser)
    parser.add_argument("--base", type=Path, help="pretrained weights to judge, instead of pretraining some")
    parser.add_argument("--fine", action="append", default=[], metavar="OPTION=VALUE", help="an option of what both bases learn with")
    parser.add_argument("--keep", type=Path, help="where the pretrained network is left")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    texts, tasks = english() if asked.language == "en" else chinese()
    more, fine = options_of(asked), options_of(asked, "fine")
    options = {"objective": asked.objective, "threads": 1} | ({"epochs": asked.epochs} if asked.epochs else {}) | more
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folder = asked.base or asked.keep or work / "pretrained"
        if not asked.base:
            random.Random(1).shuffle(texts)
            report = pretrain(asked.language, texts[: asked.texts or TEXTS[asked.language]], options, folder, None)
            print(json.dumps({"seconds": round(report.seconds), "tokens_per_s": round(report.tokens_per_s), "precision": report.precision}))
        starts = {"pretrained": folder, "same network, random": without(folder, work / "random"), "lstm": None}
        for task in (task for task in tasks if not asked.tasks or task.name in asked.tasks):
            print(json.dumps({"task": task.name, "train": len(task.train), "test": len(task.test)} | task.simple()), flush=True)
            for labels in asked.labels:
                for name, base in starts.items():
                    found = [figure(task, labels, base, work, seed=seed, fine=fine) for seed in range(asked.seeds)]
                    line = {
                        "task": task.name,
                        "labels": labels,
                        "start": name,
                        task.figure: round(mean(found), 4),
                        "spread": round(pstdev(found), 4),
                    }
                    print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
