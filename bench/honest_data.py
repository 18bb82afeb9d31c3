"""What a check finds of what was planted: flipped labels and near-copies in real reviews; and a million rows in stated time and memory.

usage: python bench/honest_data.py [flips|copies|million]

Rows as the platform stores them (all splits of the demo's reviews, gold). Planted, with a fixed seed: the other label on 2 % of the rows;
copies of 1 % of the rows with one character (Chinese) or one word (English) of a row replaced, and copies with two. Real rows have wrong
labels and near-twins of their own, which count as errors here: precision is a lower bound.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hanlin.datasets.near_twins import NearTwinFinder, NearTwins
from hanlin.tasks.labelled import Gold
from hanlin.training.doubts import find_doubts
from training_data import splits

CORPORA = {"zh": "reviews-zh", "en": "reviews-en"}
FLIPPED, COPIED, SEED = 0.02, 0.01, 3
LEAST_UNITS = 10  # of a row that is copied: less than that and one change makes another text of it


def rows_of(language: str) -> tuple[list[str], list[str]]:
    """All texts and labels."""
    parts = splits(CORPORA[language])
    return [text for part in parts for text in part.texts], [label for part in parts for label in part.labels]


def twins_of(texts: list[str]) -> NearTwins:
    """Near-twins at the platform's likeness."""
    with tempfile.TemporaryDirectory() as folder:
        finder = NearTwinFinder(Path(folder))
        for low in range(0, len(texts), 8192):
            finder.add(texts[low : low + 8192])
        return finder.find()


def flips(language: str) -> dict[str, object]:
    """Precision and recall of the doubted rows, by how many of them are looked at."""
    texts, labels = rows_of(language)
    names = sorted(set(labels))
    flipped = set(np.random.default_rng(SEED).permutation(len(texts))[: round(FLIPPED * len(texts))].tolist())
    golds = [Gold("single-label", (names[1 - names.index(label)] if row in flipped else label,)) for row, label in enumerate(labels)]
    began_s = time.process_time()
    found = find_doubts(texts, golds, twins_of(texts).leaders)
    assert found is not None
    ranked = [doubt.row for doubt in found.doubts]
    looked = {"half of them": len(flipped) // 2, "as many": len(flipped), "twice as many": 2 * len(flipped), "all": len(ranked)}
    hits = {name: len(flipped & set(ranked[:count])) for name, count in looked.items()}
    return {
        "rows": len(texts), "flipped": len(flipped), "suspects": len(ranked), "right": round(found.right, 4),
        "plain": round(found.plain, 4),
        "precision": {name: round(hits[name] / max(1, min(count, len(ranked))), 3) for name, count in looked.items()},
        "recall": {name: round(hits[name] / len(flipped), 3) for name in looked},
        "seconds": round(time.process_time() - began_s, 1),
    }  # fmt: skip


def copies(language: str) -> dict[str, object]:
    """How many of the planted near-copies are found, by changes in each."""
    texts, _ = rows_of(language)
    chance, between = random.Random(SEED), " " if language == "en" else ""
    long = [row for row, text in enumerate(texts) if len(text.split() if between else text) >= LEAST_UNITS]
    found: dict[str, object] = {"rows": len(texts), "near-twins before": twins_of(texts).rows}
    for changes in (1, 2):
        picked = chance.sample(long, round(COPIED * len(texts)))
        more = []
        for row in picked:
            units = texts[row].split() if between else list(texts[row])
            for place in chance.sample(range(len(units)), changes):
                units[place] = chance.choice(texts[chance.choice(long)].split() if between else texts[chance.choice(long)])
            more.append(between.join(units))
        leaders = twins_of(texts + more).leaders
        hits = sum(int(leaders[len(texts) + place] == leaders[row]) for place, row in enumerate(picked))
        found[f"{changes} changed"] = {"planted": len(more), "found": hits, "recall": round(hits / len(more), 3)}
    return found


def million(language: str) -> dict[str, object]:
    """A million rows: pieces of the real rows put together anew, two or three a row."""
    texts, _ = rows_of(language)
    chance, between = random.Random(SEED), " " if language == "en" else "，"
    pieces = [piece for text in texts for piece in text.replace(",", "，").split("，") if piece.strip()]
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with tempfile.TemporaryDirectory() as folder:
        finder, seconds, characters = NearTwinFinder(Path(folder)), 0.0, 0
        for _ in range(1_000_000 // 8000):
            batch = [between.join(chance.choices(pieces, k=3)) for _ in range(8000)]
            characters += sum(map(len, batch))
            began_s = time.process_time()
            finder.add(batch)
            seconds += time.process_time() - began_s
        began_s = time.process_time()
        found = finder.find()
        seconds += time.process_time() - began_s
        disk_mb = sum(path.stat().st_size for path in Path(folder).iterdir()) >> 20
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "rows": 1_000_000, "characters a row": round(characters / 1e6), "near-twins": found.rows, "seconds": round(seconds, 1),
        "memory MB": peak_mb, "of which before": before_mb, "disk MB": disk_mb,
    }  # fmt: skip


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["flips", "copies", "million"]
    for name in wanted:
        for language in CORPORA:
            print(json.dumps({"bench": name, "language": language, **globals()[name](language)}, ensure_ascii=False), flush=True)
