"""Figures of semantic roles against those of CoNLL-2005's scorer, srl-eval.pl, on random pairs of props files.

usage: python bench/role_scorer.py SCORER [--pairs 200] [--record FOLDER]

SCORER is srl-eval.pl, or the wheel that holds it: `pip download allennlp==0.9.0 --no-deps`. See `scored_pairs.py`.
"""

from __future__ import annotations

import random
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hanlin.datasets.formats.props import PropsFormat
from scored_pairs import Counts, Scorer, compare

ROLES = ("A0", "A1", "A2", "AA", "AM-TMP", "AM-LOC", "R-A0", "R-A1", "R-AM-TMP")
Column = list[str]
Sentence = tuple[int, dict[int, Column]]  # words, and a column for each predicate's place
_LINE = re.compile(r"^ *(\S+) +(\d+) +(\d+) +(\d+) +[\d.]+ +[\d.]+ +[\d.]+$", re.MULTILINE)


def pair(seed: int, sentences: int = 20) -> tuple[str, str]:
    """Gold and found props with words, which agree in part."""
    chance = random.Random(seed)
    gold = [_sentence(chance) for _ in range(sentences)]
    return _text(gold), _text([(words, _spoilt(chance, words, frames)) for words, frames in gold])


def official(scorer: Path, gold: Path, found: Path) -> str:
    """What srl-eval.pl says of two props files with words, which it wants without them."""
    with tempfile.TemporaryDirectory() as folder:
        bare = [Path(folder) / name for name in ("gold", "found")]
        for path, told in zip((gold, found), bare, strict=True):
            told.write_text("".join(line.partition("\t")[2] or "\n" for line in path.read_text().splitlines(keepends=True)))
        return subprocess.run(["perl", scorer, *bare], check=True, capture_output=True, text=True).stdout


def read(said: str) -> dict[str, Counts]:
    """The counts of every role in the scorer's table, and `Overall`."""
    counts = {name: tuple(map(int, numbers)) for name, *numbers in _LINE.findall(said) if name != "V"}
    return {name: (right, right + beside, right + missed) for name, (right, beside, missed) in counts.items()}


def _sentence(chance: random.Random) -> Sentence:
    words = chance.randrange(4, 14)
    return words, {verb: _column(chance, words, verb) for verb in sorted(chance.sample(range(words), chance.randrange(1, 4)))}


def _column(chance: random.Random, words: int, verb: int) -> Column:
    """Arguments of one to three words around a predicate; further pieces with and without a first one, of predicates too."""
    cells, at, seen = ["*"] * words, 0, list(ROLES[:2])
    cells[verb] = "(V*)"
    while at < words:
        end = min(at + chance.choice((1, 1, 2, 3)), words)
        if at <= verb < end:
            end = max(verb, at + 1)
        if at != verb and chance.random() < 0.6:
            role = chance.choices((chance.choice(ROLES), f"C-{chance.choice(seen)}", f"C-{chance.choice(ROLES)}", "C-V"), (70, 18, 8, 4))[0]
            seen += [role] if role in ROLES else []
            cells[at:end] = _brackets(role, end - at)
        at = end
    return cells


def _brackets(role: str, words: int) -> Column:
    cells = [f"({role}*", *["*"] * (words - 1)]
    cells[-1] += ")"
    return cells


def _spoilt(chance: random.Random, words: int, gold: Mapping[int, Column]) -> dict[int, Column]:
    """Some predicates are missing or have other arguments, some words are held for one."""
    found = {verb: _changed(chance, column) for verb, column in gold.items() if chance.random() < 0.9}
    found |= {verb: _column(chance, words, verb) for verb in [*found] if chance.random() < 0.15}
    other = chance.randrange(words)
    return found | ({other: _column(chance, words, other)} if other not in gold and chance.random() < 0.25 else {})


def _changed(chance: random.Random, column: Column) -> Column:
    """Some roles are others, some arguments are not there."""
    found = [re.sub(r"\([^*V]+\*", f"({chance.choice(ROLES)}*", cell) if chance.random() < 0.15 else cell for cell in column]
    for at, cell in enumerate(found):
        if cell.startswith("(") and cell.endswith(")") and "V" not in cell and chance.random() < 0.1:
            found[at] = "*"
    return found


def _text(sentences: list[Sentence]) -> str:
    lines: list[str] = []
    for words, frames in sentences:
        for at in range(words):
            verb = f"v{at}" if at in frames else "-"
            lines.append("\t".join([f"w{at}", verb, *(frames[place][at] for place in sorted(frames))]))
        lines.append("")
    return "\n".join(lines) + "\n"


SCORER = Scorer(
    inside="allennlp/tools/srl-eval.pl",
    said="srl-eval.txt",
    suffix=".props",
    recorded=5,  # its figures tell every rule of counting apart
    form=PropsFormat(),
    pair=pair,
    run=official,
    counts=read,
    ours=lambda metrics: metrics.conll05,
)

if __name__ == "__main__":
    compare(SCORER, __doc__)
