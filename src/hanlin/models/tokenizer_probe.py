"""A stranger's tokenizer is tried in a child process first: some files make the library panic, loop or eat all memory.

python -m hanlin.models.tokenizer_probe TOKENIZER_JSON    → one line of JSON on stdout, exit status 0 when all is well
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import InvalidInput

NUM_TEXTS = 1000
TIMEOUT_S = 60.0
MEMORY_BYTES = 4 * 2**30
MAX_FILE_BYTES = 128 * 2**20
_LETTERS = ["a", "The", "é", "e\u0301", "中", "翰林", "の", "한", "ы", "ع", "ไ", "ſ", "ǅ", "𝒳", "x" * 300, "\u0301" * 40]
_SIGNS = [
    " ",
    "  ",
    "\n",
    "\t",
    "0",
    "9,99",
    "!",
    "...",
    "。",
    "|",
    "\U0001f600",
    "\u200d",
    "\ufeff",
    "\x00",
    "\u202e",
    "\ufffd",
    "\U0010ffff",
]
_PIECES = [*_LETTERS, *_SIGNS, "[CLS]", "<s>", "</s>", "[MASK]", "<pad>", "http://a.b/c?d=e", "<b>"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What the child found. `largest_id` is over all probing texts; `pad_id` is None when no padding token is named."""

    vocab_size: int
    largest_id: int
    pad_id: int | None


def probe(path: Path) -> Probe:
    """Try the tokenizer in `path` on 1,000 odd texts in a child. Raises InvalidInput (`invalid_tokenizer`); this process is safe."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidInput("invalid_tokenizer", details="missing or too large")
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")}
    environment |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hanlin.models.tokenizer_probe", str(path)],
            capture_output=True, timeout=TIMEOUT_S, env=environment, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InvalidInput("invalid_tokenizer", details="timed out") from error
    if done.returncode != 0:
        raise InvalidInput("invalid_tokenizer", details=done.stderr.decode("utf-8", "replace")[-500:])
    found = json.loads(done.stdout)
    return Probe(found["vocab_size"], found["largest_id"], found["pad_id"])


def _main(path: str) -> int:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # no such limits on this system; the time limit of the parent holds
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    chance = random.Random(0)  # noqa: S311  # test texts, no secret
    largest = -1
    for _ in range(NUM_TEXTS):
        text = "".join(chance.choices(_PIECES, k=chance.randrange(1, 40)))
        largest = max(largest, *tokenizer.encode(text).ids, -1)
    largest = max(largest, *tokenizer.get_vocab(with_added_tokens=True).values(), -1)
    pad_id = next((found for word in ("[PAD]", "<pad>", "<PAD>") if (found := tokenizer.token_to_id(word)) is not None), None)
    print(json.dumps({"vocab_size": tokenizer.get_vocab_size(), "largest_id": largest, "pad_id": pad_id}))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
