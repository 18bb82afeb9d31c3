"""Many adapters over one MiniLM encoder against one model, and against as many models: memory of a process, and rows a second.

    .venv/bin/python bench/shared_adapters.py [--adapters 100] [--models 10] [--threads 2] [--rounds 7]

Each figure of memory is of a process of its own (PSS after its steps), torch and the tokenizer in it. Speed is read in one process, the two
sides in turn over the same batches of 32 rows of 8 to 64 tokens, each row by an adapter drawn at random; the ratio is the median of
the rounds' own. Weights of adapters are drawn at random: time and memory do not depend on them. torch-fp32 on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BUILD = Path(__file__).parents[1] / "build"
LABELS, RANK = 4, 8


def make(root: Path, count: int) -> list[Path]:
    """Artifact folders of adapters over MiniLM."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from hanlin.datasets import bundled
    from hanlin.networks.adapter import AdapterSettings
    from hanlin.networks.heads import PretrainedClassifier
    from hanlin.networks.loading import quiet_transformers, save_network
    from hanlin.networks.lora import attach, lay_out_base, weight_names
    from hanlin.tasks.spec import ModelSpec

    base = bundled.minilm(BUILD / "packages")
    with quiet_transformers():
        config = AutoConfig.from_pretrained(base, num_labels=LABELS)
        module = PretrainedClassifier(AutoModelForSequenceClassification.from_pretrained(base, config=config))
    attach(module, AdapterSettings(RANK), weight_names(base / "model.safetensors"))
    folders = []
    for number in range(count):
        folder = root / f"a{number}"
        folder.mkdir()
        lay_out_base(base, folder)
        for parameter in module.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.05)
        save_network(module, folder)
        (folder / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
        ModelSpec("text-classification", tuple(f"l{label}" for label in range(LABELS)), 256, 0).save(folder)
        folders.append(folder)
    return folders


def batches(count: int, seed: int = 1) -> list[list[np.ndarray]]:
    """Ids and masks; rows of a batch are of about one length, as the batcher makes them."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        longest = chance.choice((8, 16, 24, 32, 48, 64))
        lengths = [max(4, round(longest * chance.uniform(0.8, 1.0))) for _ in range(31)] + [longest]
        mask = np.array([[1] * length + [0] * (longest - length) for length in lengths], dtype=np.int64)
        found.append([np.random.default_rng(seed).integers(1000, 20_000, mask.shape) * mask, mask])
    return found


def held(kind: str, folders: list[Path], threads: int) -> list[object]:
    """What stays in memory: models, or a base with its adapters; and a tokenizer for each, as workers have them."""
    from hanlin.engines import load_variant
    from hanlin.engines.sharing import load_shared
    from hanlin.tasks.encoding import TextEncoder

    encoders: list[object] = [TextEncoder.load(folder) for folder in folders]
    if kind == "models":
        return [*encoders, *(load_variant(folder, "torch-fp32", threads=threads) for folder in folders)]
    session = load_shared(folders[0], "torch-fp32", threads=threads)
    for folder in folders:
        session.take(folder)
    return [*encoders, session]


def memory(kind: str, folders: list[Path], threads: int) -> None:
    """In a process of its own: prints its bytes."""
    import ctypes

    from hanlin.observe.memory import read_process_bytes

    kept = held(kind, folders, threads)
    for arrays in batches(6):
        if kind == "models":
            for session in kept[len(folders) :]:
                session.run(*arrays)  # type: ignore[attr-defined]
        else:
            kept[-1].run_rows([row % len(folders) for row in range(32)], *arrays)  # type: ignore[attr-defined]
    ctypes.CDLL(None).malloc_trim(0)
    print(read_process_bytes(os.getpid()))


def speed(folders: list[Path], threads: int, rounds: int) -> dict[str, object]:
    """Rows a second of one model, and of all adapters in forms of traffic; medians of the rounds' ratios."""
    from hanlin.engines import load_variant
    from hanlin.engines.sharing import load_shared

    one = load_variant(folders[0], "torch-fp32", threads=threads)
    shared = load_shared(folders[0], "torch-fp32", threads=threads)
    seats = [shared.take(folder).number for folder in folders]
    chance, work = random.Random(2), batches(24)
    forms = {
        "each row another adapter": [chance.sample(seats, 32) if len(seats) >= 32 else chance.choices(seats, k=32) for _ in work],
        "8 adapters a batch": [chance.choices(chance.sample(seats, min(8, len(seats))), k=32) for _ in work],
        "1 adapter a batch": [[chance.choice(seats)] * 32 for _ in work],
    }
    times: dict[str, list[float]] = {"one model": [], **{name: [] for name in forms}}
    for number in range(rounds + 1):
        for name, spent in times.items():
            begun = time.perf_counter()
            for place, arrays in enumerate(work):
                if name == "one model":
                    one.run(*arrays)
                else:
                    shared.run_rows(forms[name][place], *arrays)
            if number:  # the first warms up
                spent.append(time.perf_counter() - begun)
    rows = 32 * len(work)
    ratios = {name: statistics.median(a / b for a, b in zip(times["one model"], times[name], strict=True)) for name in forms}
    return {
        "rows_per_s": {name: round(rows / min(spent)) for name, spent in times.items()},
        "ratio": {k: round(v, 3) for k, v in ratios.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapters", type=int, default=100)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", default="")
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args()
    if options.memory:
        memory(options.memory, options.folders, options.threads)
        return
    from hanlin.observe.machine import processor

    with tempfile.TemporaryDirectory() as scratch:
        folders = make(Path(scratch), options.adapters)

        def read(kind: str, count: int) -> float:
            argv = [sys.executable, __file__, "--memory", kind, "--threads", str(options.threads), *map(str, folders[:count])]
            return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[-1]) / 2**20

        one, many, all_of_them = read("models", 1), read("models", options.models), read("shared", options.adapters)
        found = speed(folders, options.threads, options.rounds)
        adapter_kib = (folders[0] / "adapter_model.safetensors").stat().st_size / 1024
    each = (many - one) / max(1, options.models - 1)
    machine = processor()
    print(
        f"### {options.adapters} adapters over one MiniLM ({machine.name}, {machine.cores} cores, {options.threads} threads, torch-fp32)\n"
    )
    print("| process | MiB | of one model's |\n|---|---|---|")
    print(f"| one model | {one:,.0f} | 1 |")
    print(f"| {options.models} models | {many:,.0f} | {many / one:.2f} |")
    total = one + each * (options.adapters - 1)
    print(f"| {options.adapters} models, by what each further one takes ({each:,.0f} MiB) | {total:,.0f} | {total / one:.1f} |")
    name = f"{options.adapters} adapters of rank {RANK} ({adapter_kib:,.0f} KiB each on disk)"
    print(f"| {name} | {all_of_them:,.0f} | **{all_of_them / one:.2f}** |\n")
    print("| traffic | rows/s | of one model's |\n|---|---|---|")
    for name, value in found["rows_per_s"].items():  # type: ignore[attr-defined]
        share = found["ratio"].get(name)  # type: ignore[attr-defined]
        print(f"| {name} | {value:,} | {1 if share is None else f'**{share:.1%}**'} |")
    print("\n" + json.dumps({"one_mib": round(one), "models_mib": round(many), "shared_mib": round(all_of_them), **found}))


if __name__ == "__main__":
    main()
