"""Word vectors from raw text, learnt before the network: what its token table starts from where labelled rows are few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.models.vectors import Vectors, train_vectors
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.config import TrainConfig
from hanlin.training.ports import Progress

MAX_CHARACTERS = 50_000_000  # what comes behind is not read
MAX_TOKENS = 3_000_000  # of which vectors are learnt; their pairs take about 0.4 GB while an epoch runs
MAX_LINE_BYTES = 2**20
_CHUNK = 512


def learn_vectors(path: Path, config: TrainConfig, folder: Path, progress: Progress) -> Vectors:
    """Vectors of the tokens of the tokenizer in `folder`, as wide as the network's, from the UTF-8 text file `path`, one text a line.

    The same file, options and seed give the same vectors.

    Raises:
        InvalidInput: `invalid_raw_text` naming the line; `too_little_raw_text` when too few tokens are frequent enough.
        Cancelled: from `progress`.
    """
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    unknown = {tokenizer.id_to_token(number) for number in (0, 1)}  # our own tokenizers: padding and unknown
    texts: list[list[str]] = []
    tokens = 0
    for chunk in _chunks(path, config):
        progress.check_cancelled()
        for encoding in tokenizer.encode_batch(chunk, add_special_tokens=False):
            texts.append([token for token in encoding.tokens if token not in unknown])
            tokens += len(texts[-1])
        if tokens >= MAX_TOKENS:
            break
    progress.message("learning_vectors", lines=len(texts), tokens=tokens)
    epochs = max(3, min(10, MAX_TOKENS // max(1, tokens)))  # little text needs more rounds
    try:
        return _centred(train_vectors(texts, size=config.embedding_size, epochs=epochs, seed=config.seed))
    except InvalidInput as error:
        raise InvalidInput("too_little_raw_text", lines=len(texts), tokens=tokens) from error


def _centred(vectors: Vectors) -> Vectors:
    """Without what all words share, which says nothing of any and drowns what tells them apart.

    Source: Mu and Viswanath, All-but-the-Top (2018), section 2; the mean alone.
    """
    mean = np.mean(list(vectors.words.values()), axis=0)
    return Vectors(vectors.size, {word: vector - mean for word, vector in vectors.words.items()})


def read_texts(path: Path, config: TrainConfig) -> Iterator[str]:
    """The texts of the file, cleaned and segmented as the run's own. Raises InvalidInput (`invalid_raw_text`)."""
    characters = 0
    for text in _lines(path):
        characters += len(text)
        if characters > MAX_CHARACTERS:
            return
        yield config.text.prepare(text)


def _chunks(path: Path, config: TrainConfig) -> Iterator[list[str]]:
    chunk: list[str] = []
    for text in read_texts(path, config):
        chunk.append(text)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise InvalidInput("invalid_raw_text", line=number, problem="longer than a megabyte")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise InvalidInput("invalid_raw_text", line=number, problem="not UTF-8") from error
            if text:
                yield text
