"""One stream's share of what the memory allows: a token reads every weight once, so it takes no less than that takes.

usage: python bench/memory_roofline.py ARTIFACT [--variants openvino-fp32,openvino-int8] [--tokens 64] [--rounds 5] [--threads 2]

ARTIFACT has its variants (`bench/generation_engines.py` makes them). In each round, in turn: the speed of reading, by torch's sum of a
tensor of 1 GiB with as many threads, the best of three; and the tokens a second that one row is written with, guesses left out, behind a
prompt of 16 tokens. Weights: the bytes of the variant's files that hold them. Prints Markdown (medians of the rounds) and a JSON line.
Source: Williams, Waterman, Patterson, Roofline (2009).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from unittest import mock

import torch

from generation_engines import prompts
from hanlin.engines import load_variant
from hanlin.engines.base import StreamingSession
from hanlin.engines.lookup import Lookup
from hanlin.generation import GenerationSettings

SIZE = 1 << 30
WEIGHTS = (".safetensors", ".bin")


def reading_speed(block: torch.Tensor) -> float:
    """Bytes a second that torch's threads read."""
    times_s = []
    for _ in range(3):
        began_s = time.perf_counter()
        block.sum()
        times_s.append(time.perf_counter() - began_s)
    return SIZE / min(times_s)


def tokens_a_second(session: StreamingSession, row: list[int], tokens: int) -> float:
    """Of one row, from its first token on."""
    session.admit(0, row, GenerationSettings(max_new_tokens=tokens, stop_ids=()))
    began_s, written, at_first, is_over = 0.0, 0, 0, False
    while not is_over:
        for delta in session.turn():
            written += len(delta.ids)
            is_over = delta.finish is not None
        if written and not began_s:
            began_s, at_first = time.perf_counter(), written
    return (written - at_first) / (time.perf_counter() - began_s)


def weight_bytes(artifact: Path, variant: str) -> int:
    """Of the files with the variant's weights: its own, or where it has none the artifact's."""
    folder = artifact / "variants" / variant
    files = [file for file in folder.rglob("*") if file.suffix in WEIGHTS]
    return sum(file.stat().st_size for file in files or artifact.glob("*.safetensors"))


def main() -> None:
    """Prints a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--variants", default="openvino-fp32,openvino-int8")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    block = torch.ones(SIZE // 4)
    vocabulary = json.loads((asked.artifact / "config.json").read_text())["vocab_size"]
    told: dict[str, dict[str, float]] = {}
    for variant in asked.variants.split(","):
        session = load_variant(asked.artifact, variant, threads=asked.threads)
        assert isinstance(session, StreamingSession)
        rates, speeds, size = [], [], weight_bytes(asked.artifact, variant)
        with mock.patch.object(Lookup, "draft", lambda *_: []):
            for row in prompts(asked.rounds + 1, 16, vocabulary=vocabulary, seed=7):
                speeds.append(reading_speed(block))
                rates.append(tokens_a_second(session, row, asked.tokens))
        pairs = [*zip(rates, speeds, strict=True)][1:]  # the first wakes it up
        told[variant] = {
            "weights_mb": round(size / 1e6, 1), "memory_gb_s": round(median(speed for _, speed in pairs) / 1e9, 2),
            "tokens_s": round(median(rate for rate, _ in pairs), 1),
            "share": round(median(rate * size / speed for rate, speed in pairs), 3),
        }  # fmt: skip
    columns = ("weights_mb", "memory_gb_s", "tokens_s", "share")
    print("| variant | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for variant, values in told.items():
        print(f"| {variant} | " + " | ".join(f"{values[column]:g}" for column in columns) + " |")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
