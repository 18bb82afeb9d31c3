"""Many adapters over one SmolLM2-135M that writes, against the base alone: tokens a second together, and memory of a process.

    .venv/bin/python bench/shared_writers.py [--adapters 30] [--rank 8] [--rows 8 16] [--threads 2] [--rounds 3] [--targets all]

Speed is read in one process: the base as a version of its own has it, and the shared base, a turn each by turns over the same work: rows
of 24 to 64 tokens read and 12 to 32 written, so many open at once, the next admitted as soon as one ends; each by an adapter drawn at
random of all. The ratio is the median of the rounds' own. Each figure of memory is of a process of its own (PSS after such work), torch and
the tokenizer in it. Weights of adapters are drawn at random: time and memory do not depend on them. torch-fp32 on both sides.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

VARIANT = "torch-fp32"
Work = list[tuple[list[int], int, int]]  # ids, tokens to write, and which adapter


def make(root: Path, count: int, rank: int, targets: Sequence[str]) -> list[Path]:
    """The base as an artifact folder, and those of adapters over it."""
    import torch

    from hanlin.datasets import bundled
    from hanlin.models import gguf_folder
    from hanlin.models.child import plain_guard
    from hanlin.models.importing import import_folder
    from hanlin.networks.adapter import AdapterSettings
    from hanlin.networks.loading import load_model, save_network
    from hanlin.networks.lora import attach, lay_out_base, weight_names
    from training_data import CACHE

    gguf_folder.unpack(bundled.smollm_file(CACHE), root / "raw", task="text-generation", guard=plain_guard)
    import_folder(root / "raw", root / "base", task="text-generation")
    module = load_model(root / "base")
    attach(module, AdapterSettings(rank, targets=tuple(targets)), weight_names(root / "base" / "model.safetensors"))
    folders = [root / "base"]
    for number in range(count):
        folder = root / f"a{number}"
        folder.mkdir()
        for parameter in module.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.02)
        save_network(module, folder)
        lay_out_base(root / "base", folder)
        for name in ("tokenizer.json", "hanlin.json"):
            (folder / name).write_bytes((root / "base" / name).read_bytes())
        folders.append(folder)
    return folders


def work(num_rows: int, adapters: int, seed: int) -> Work:
    """Twice as many rows as are open at once."""
    chance = random.Random(seed)
    return [
        (chance.choices(range(1000, 40_000), k=chance.randint(24, 64)), chance.randint(12, 32), chance.randrange(max(1, adapters)))
        for _ in range(2 * num_rows)
    ]


class Writing:
    """Rows that are written, so many at once, turn by turn."""

    def __init__(self, session: Any, rows: Work, num_open: int, adapter: Callable[[int], int | None]) -> None:
        from hanlin.generation import GenerationSettings

        self._session, self._num_open, self._number = session, num_open, 0
        self._waiting = [
            (ids, GenerationSettings(max_new_tokens=count, min_new_tokens=count, adapter=adapter(number))) for ids, count, number in rows
        ]
        self._open: set[int] = set()
        self.seconds, self.processor_s, self.num_told = 0.0, 0.0, 0

    def turn(self) -> bool:
        """One turn; whether there is another."""
        while self._waiting and len(self._open) < self._num_open:
            self._number += 1
            self._session.admit(self._number, *self._waiting.pop(0))
            self._open.add(self._number)
        begun_s, begun_processor_s = time.perf_counter(), time.process_time()
        deltas = self._session.turn()
        self.seconds += time.perf_counter() - begun_s
        self.processor_s += time.process_time() - begun_processor_s
        for delta in deltas:
            assert delta.error is None, delta.error
            self.num_told += len(delta.ids)
            if delta.finish is not None:
                self._open.discard(delta.number)
        return bool(self._waiting or self._open)


def base_alone(folders: Sequence[Path], threads: int) -> tuple[Any, Callable[[int], int | None]]:
    """As any version that is no adapter."""
    from hanlin.engines import load_variant

    return load_variant(folders[0], VARIANT, threads=threads), lambda number: None


def shared(folders: Sequence[Path], threads: int) -> tuple[Any, Callable[[int], int | None]]:
    """The base with all adapters."""
    from hanlin.engines.sharing import load_shared

    session = load_shared(folders[1], VARIANT, threads=threads)
    seats = [session.take(folder).number for folder in folders[1:]]
    return session, seats.__getitem__


def memory(folders: Sequence[Path], threads: int, num_open: int) -> None:
    """In a process of its own: prints its bytes."""
    import ctypes

    from hanlin.observe.memory import read_process_bytes
    from hanlin.tasks.encoding import TextEncoder

    kept = [TextEncoder.load(folder) for folder in folders[1:] or folders]
    session, adapter = (shared if len(folders) > 1 else base_alone)(folders, threads)
    writing = Writing(session, work(num_open, len(folders) - 1, 5), num_open, adapter)
    while writing.turn():
        pass
    ctypes.CDLL(None).malloc_trim(0)
    assert kept
    print(read_process_bytes(os.getpid()))


def speed(folders: Sequence[Path], threads: int, num_open: int, rounds: int) -> dict[str, float]:
    """Tokens a second of both, and the shared base's part of the other's, by the clock and by processor time."""
    sides = {"base": base_alone(folders, threads), "adapters": shared(folders, threads)}
    told: dict[str, list[Writing]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        rows = work(num_open, len(folders) - 1, number)
        beside = {
            name: Writing(session, rows[: 2 if number == 0 else None], num_open, adapter) for name, (session, adapter) in sides.items()
        }
        going = [*beside] if number % 2 else [*reversed(beside)]
        while going:  # a turn each: what else the machine does meets both
            going = [name for name in going if beside[name].turn()]
        if number:  # the first warms up
            for name, one in beside.items():
                told[name].append(one)
    rates = {name: sum(one.num_told for one in ones) / sum(one.seconds for one in ones) for name, ones in told.items()}
    shares = [base.processor_s / one.processor_s for base, one in zip(told["base"], told["adapters"], strict=True)]
    ratios = [base.seconds / one.seconds for base, one in zip(told["base"], told["adapters"], strict=True)]
    found = {"ratio": statistics.median(ratios), "processor_ratio": statistics.median(shares)}
    return {name: round(rate, 1) for name, rate in rates.items()} | {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapters", type=int, default=30)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--targets", nargs="*", default=[])
    parser.add_argument("--rows", type=int, nargs="*", default=[8, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        memory(options.memory, options.threads, options.rows[-1])
        return
    from hanlin.observe.machine import processor

    with tempfile.TemporaryDirectory() as scratch:
        folders = make(Path(scratch), options.adapters, options.rank, options.targets)

        def read(count: int) -> float:
            own = ["--threads", str(options.threads), "--rows", str(options.rows[-1]), "--memory", *map(str, folders[:count])]
            return int(subprocess.run([sys.executable, __file__, *own], check=True, capture_output=True, text=True).stdout) / 2**20

        mib = {"base": read(1), "adapters": read(len(folders))}
        told = {rows: speed(folders, options.threads, rows, options.rounds) for rows in options.rows}
        each_mib = (folders[1] / "adapter_model.safetensors").stat().st_size / 2**20
    machine = processor()
    print(f"### {options.adapters} adapters of rank {options.rank} ({each_mib:.1f} MiB each) over SmolLM2-135M, {VARIANT}")
    print(f"\n{machine.name}, {machine.cores} cores, {options.threads} threads\n")
    print("| rows at once | base, tokens/s | adapters, tokens/s | of the base's | by processor time |\n|---|---|---|---|---|")
    for rows, one in told.items():
        print(f"| {rows} | {one['base']} | {one['adapters']} | **{one['ratio']:.1%}** | {one['processor_ratio']:.1%} |")
    share = mib["adapters"] / mib["base"]
    print(f"\nmemory: {mib['base']:,.0f} MiB with the base alone, {mib['adapters']:,.0f} MiB with all adapters: **{share:.2f}**\n")
    print(json.dumps({"memory_mib": {name: round(value) for name, value in mib.items()}, "speed": told}))


if __name__ == "__main__":
    main()
