"""Fine-tuning MiniLM on the English reviews: our loop against a plain one, in one run.

usage: python bench/training_throughput.py [--quick]        (--quick: one seed, one epoch; the figures then say little)

The plain loop is what a tutorial writes: transformers' model in fp32 with its default attention, torch's AdamW, batches of 32 in random
order, each padded to its longest row. Same weights, rows, epochs, rate and schedule. The two run in turn, seed by seed, so that drift
hits both. Tokens are real ones (no padding); evaluation, loading and the probe of the precision do not count as training time for either.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

from hanlin.datasets.bundled import minilm
from hanlin.models.importing import import_folder
from hanlin.tasks.encoding import TextEncoder
from hanlin.training.batches import collate
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train
from training_data import CACHE, LABELS, splits

BATCH = 32


class Result(NamedTuple):
    tokens_per_s: float
    accuracy: float
    seconds: float


@dataclass
class Clock(Silent):
    """Adds up the time of steps, without evaluations."""

    seconds: float = 0.0
    last: float = 0.0

    def report(self, step: int, total: int, metrics: object) -> None:
        now = time.perf_counter()
        if self.last and "validation_loss" not in metrics:  # type: ignore[operator]
            self.seconds += now - self.last
            self.steps = getattr(self, "steps", 0) + 1
        self.last = now


def ours(data, test, base: Path, config: TrainConfig, folder: Path) -> Result:
    clock = Clock()
    report = train(config, data, base=base, out=folder / "out", progress=clock, checkpoints=FolderCheckpoints(folder / "checkpoints"))
    lengths = [len(row) for row in TextEncoder.load(folder / "out").encode(data.train.texts, truncate=True)]
    seconds = clock.seconds * report.steps / clock.steps  # the steps that ended in an evaluation count like the others
    accuracy = evaluate(folder / "out", test).metrics.accuracy
    print(
        f"  ours : {report.precision}, {seconds:.1f} s, {sum(lengths) * config.epochs / seconds:,.0f} tokens/s, accuracy {accuracy:.4f}",
        flush=True,
    )
    return Result(sum(lengths) * config.epochs / seconds, accuracy, seconds)


def plain(data, test, base: Path, config: TrainConfig) -> Result:
    torch.manual_seed(config.seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    encoder = TextEncoder.load(base)
    labels = {label: index for index, label in enumerate(data.labels)}
    rows = encoder.encode(data.train.texts, truncate=True)
    gold = [labels[label] for label in data.train.labels]
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    total = config.epochs * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total)))
    order = list(range(len(rows)))
    chance = random.Random(config.seed)
    started = time.perf_counter()
    model.train()
    for _ in range(config.epochs):
        chance.shuffle(order)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            ids, mask = collate([rows[row] for row in batch], 0)
            loss = model(input_ids=ids, attention_mask=mask, labels=torch.tensor([gold[row] for row in batch])).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - started
    model.eval()
    right = 0
    with torch.inference_mode():
        for text, label in zip(test.texts, test.labels, strict=True):
            ids, mask = collate(encoder.encode([text], truncate=True), 0)
            right += int(model(input_ids=ids, attention_mask=mask).logits.argmax()) == labels[label]
    accuracy = right / len(test.texts)
    tokens = sum(map(len, rows)) * config.epochs
    print(f"  plain: fp32, {seconds:.1f} s, {tokens / seconds:,.0f} tokens/s, accuracy {accuracy:.4f}", flush=True)
    return Result(tokens / seconds, accuracy, seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    seeds = range(1 if options.quick else 3)
    with tempfile.TemporaryDirectory() as work:
        base = Path(work) / "base"
        import_folder(minilm(CACHE), base, task="text-classification")
        train_rows, validation, test = splits("reviews-en")
        data = TrainData(train_rows, validation, LABELS)
        pairs = []
        for seed in seeds:
            print(f"seed {seed}", flush=True)
            config = TrainConfig.from_json({"seed": seed, **({"epochs": 1} if options.quick else {})}, model="base")
            pairs.append((plain(data, test, base, config), ours(data, test, base, config, Path(work) / str(seed))))
    before, after = ([sum(part) / len(pairs) for part in zip(*side, strict=True)] for side in zip(*pairs, strict=True))
    ratio = after[0] / before[0]
    difference = 100 * (after[1] - before[1])
    print("\n## Fine-tuning throughput\n")
    print(f"MiniLM on {len(train_rows.texts):,} English reviews, {len(pairs)} seeds, {options.threads} threads, mean of the seeds.\n")
    print("| loop | tokens/s | training seconds | test accuracy |\n|---|---|---|---|")
    print(f"| plain fp32, no length grouping | {before[0]:,.0f} | {before[2]:.1f} | {100 * before[1]:.2f} % |")
    print(f"| Hanlin | {after[0]:,.0f} | {after[2]:.1f} | {100 * after[1]:.2f} % |\n")
    print(f"**{ratio:.2f}x** the throughput, accuracy {difference:+.2f} points.\n")
    print(json.dumps({"bench": "training_throughput", "ratio": ratio, "accuracy_points": difference, "plain": before, "ours": after}))


if __name__ == "__main__":
    main()
