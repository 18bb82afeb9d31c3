"""Word vectors: the text format of fastText and word2vec, read within limits; and vectors trained here on raw text.

Format: an optional line "COUNT SIZE", then one line per word: the word, then SIZE numbers, all apart by single spaces; UTF-8.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from hanlin.errors import InvalidInput

MAX_SIZE = 1024
MAX_LINE_BYTES = 64 * 1024
MAX_LINES = 10_000_000
BATCH = 1024
SPREAD = 0.1  # standard deviation of our token tables


@dataclass(frozen=True, slots=True)
class Vectors:
    """fp32 vectors of some words, all of one size."""

    size: int
    words: dict[str, npt.NDArray[np.float32]]

    @torch.no_grad()
    def fill(self, table: Tensor, vocabulary: Mapping[str, int]) -> int:
        """Put the vectors, scaled to the spread of our tables, into their rows of `table` (vocabulary, size). Returns their number."""
        found = [(vocabulary[word], vector) for word, vector in self.words.items() if word in vocabulary]
        if found:
            matrix = np.stack([vector for _, vector in found])
            scale = SPREAD / max(float(matrix.std()), 1e-6)
            table[torch.tensor([row for row, _ in found])] = torch.from_numpy(matrix * scale)
        return len(found)


def read_vectors(path: Path, wanted: set[str]) -> Vectors:
    """The vectors of the `wanted` words in the text file `path`; memory is bounded by the wanted words.

    Raises:
        InvalidInput: `invalid_vectors`, naming the line.
    """
    words: dict[str, npt.NDArray[np.float32]] = {}
    size = 0
    with path.open("rb") as file:
        for number in range(1, MAX_LINES + 2):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                break
            if number > MAX_LINES or len(line) > MAX_LINE_BYTES:
                raise InvalidInput("invalid_vectors", line=number, problem="the line or the file is too long")
            parts = _decode(line, number).rstrip().split(" ")
            if number == 1 and len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
                continue
            size = size or len(parts) - 1
            if len(parts) - 1 != size or not 1 < size <= MAX_SIZE:
                raise InvalidInput(
                    "invalid_vectors", line=number, problem=f"{len(parts) - 1} numbers, where {size} or 2 to {MAX_SIZE} are right"
                )
            if parts[0] in wanted:
                words[parts[0]] = _numbers(parts[1:], number)
    if not words:
        raise InvalidInput("invalid_vectors", line=0, problem="no word of the file stands in the vocabulary")
    return Vectors(size, words)


def _decode(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("invalid_vectors", line=number, problem="not UTF-8") from error


def _numbers(parts: list[str], number: int) -> npt.NDArray[np.float32]:
    try:
        vector = np.array([float(part) for part in parts], dtype=np.float32)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("invalid_vectors", line=number, problem="not a number") from error
    if not np.isfinite(vector).all():
        raise InvalidInput("invalid_vectors", line=number, problem="a number is not finite")
    return vector


def write_vectors(vectors: Vectors, path: Path) -> None:
    """Write the text format, header line included."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{len(vectors.words)} {vectors.size}\n")
        for word, vector in vectors.words.items():
            file.write(word + " " + " ".join(f"{value:.6g}" for value in vector) + "\n")


def train_vectors(
    texts: Iterable[list[str]], *, size: int = 64, window: int = 4, min_count: int = 3, epochs: int = 3, rate: float = 0.02, seed: int = 0
) -> Vectors:
    """Vectors from raw text: skip-gram with five negative samples per pair.

    Args:
        texts: each a list of its words (or characters).

    Source: Mikolov et al., Distributed Representations (2013), sections 2.2 and 2.3 (frequent words are thinned out, negatives are
    drawn by counts to the power 0.75). We step with Adam on touched rows instead of plain SGD.

    Raises:
        InvalidInput: `invalid_vectors` when no word is frequent enough.
    """
    lines = [list(text) for text in texts]
    counts = Counter(word for line in lines for word in line)
    words = [word for word, count in counts.most_common() if count >= min_count and not any(mark.isspace() for mark in word)]
    if len(words) < 2:
        raise InvalidInput("invalid_vectors", line=0, problem="fewer than two words are frequent enough")
    index = {word: number for number, word in enumerate(words)}
    frequency = torch.tensor([counts[word] for word in words], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    inputs = (torch.rand(len(words), size, generator=generator) - 0.5) / size
    outputs = torch.zeros(len(words), size)
    tables = [torch.nn.Parameter(inputs), torch.nn.Parameter(outputs)]
    optimizer = torch.optim.SparseAdam(tables, lr=rate)
    keep = (1e-3 * frequency.sum() / frequency).sqrt().clamp(max=1.0).float()  # the chance that an occurrence counts
    noise = frequency.pow(0.75).float()
    for _ in range(epochs):
        pairs = _pairs([[index[word] for word in line if word in index] for line in lines], keep, window, generator)
        for batch in torch.split(pairs[torch.randperm(len(pairs), generator=generator)], BATCH):  # type: ignore[no-untyped-call, unused-ignore]
            negatives = torch.multinomial(noise, len(batch) * 5, replacement=True, generator=generator).view(len(batch), 5)
            centre = functional.embedding(batch[:, 0], tables[0], sparse=True)  # (pairs, size)
            others = functional.embedding(torch.cat([batch[:, 1:], negatives], 1), tables[1], sparse=True)  # (pairs, 6, size)
            scores = (others @ centre[:, :, None]).squeeze(2)
            signs = torch.tensor([1.0, -1.0, -1.0, -1.0, -1.0, -1.0])
            loss = -functional.logsigmoid(scores * signs).sum(1).mean() * math.sqrt(size)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()  # type: ignore[no-untyped-call, unused-ignore]
    matrix = tables[0].detach().numpy()
    return Vectors(size, {word: matrix[number] for word, number in index.items()})


def _pairs(lines: list[list[int]], keep: Tensor, window: int, generator: torch.Generator) -> Tensor:
    """(pairs, 2) int64: a word and one within `window` of it, both directions, after thinning."""
    found: list[Tensor] = []
    for line in lines:
        row = torch.tensor(line, dtype=torch.long)
        row = row[torch.rand(len(row), generator=generator) < keep[row]] if len(row) else row
        for distance in range(1, min(window, len(row) - 1) + 1):
            found.append(torch.stack([row[:-distance], row[distance:]], 1))
            found.append(torch.stack([row[distance:], row[:-distance]], 1))
    return torch.cat(found) if found else torch.empty(0, 2, dtype=torch.long)
