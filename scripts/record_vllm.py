"""Hears the real vLLM, for the tests that have to do without: plays `tests/engines/vllm_scenes.py` on it and writes down what it said.

usage: python scripts/record_vllm.py                    renew tests/engines/vllm_recording.json
       python scripts/record_vllm.py --check            play the scenes only
       python scripts/record_vllm.py --decoder FOLDER   renew its few rows of a trained decoder, and compare 20 with torch's

To be run by the Python of an environment that has vLLM, pytest and this project's source on its path
(`python scripts/clients.py vllm`); its CPU build will do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB of keys and values
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # two threads that wait for each other by spinning took 2 s a step
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.engines.vllm_recording import FILE, recorded  # noqa: E402
from tests.engines.vllm_scenes import SCENES, make_folder  # noqa: E402

from hanlin.engines.base import load_variant, writing  # noqa: E402
from hanlin.engines.vllm_writer import VllmWriter  # noqa: E402
from hanlin.generation import GenerationSettings  # noqa: E402
from hanlin.networks.config import read_config  # noqa: E402

THREADS = 1
KEPT_ROWS, KEPT_TOKENS, COMPARED_TOKENS = 3, 8, 24
TIE = 1e-3


def scenes() -> dict[str, Any]:
    """What was heard in all of them."""
    heard: dict[str, Any] = {"scenes": {}}
    with tempfile.TemporaryDirectory() as place:
        folder = make_folder(Path(place))
        with recorded(heard, folder) as loops:
            session = vllm_writer(folder, "vllm-fp32")
            reference = writing(load_variant(folder, "torch-fp32", threads=THREADS), "torch-fp32")
            for name, scene in SCENES.items():
                loops[0].begin()
                try:
                    scene(session, reference, folder)
                except Exception:
                    traceback.print_exc()
                    heard["failed"] = True
                    continue
                heard["scenes"][name] = loops[0].events
                print(f"{name}: {len(loops[0].events)} calls", flush=True)
            session.close()
    return heard


def decoder(folder: Path) -> tuple[dict[str, Any], dict[str, object]]:
    """What was heard of a few rows, and how 20 compare with torch's in both precisions."""
    import numpy as np

    heard: dict[str, Any] = {"model": read_config(folder)}
    chance = np.random.default_rng(9)
    rows = [chance.integers(1000, 40_000, length).tolist() for length in range(4, 84, 4)]
    with recorded(heard, folder) as loops:
        began = time.perf_counter()
        session = vllm_writer(folder, "vllm-fp32")
        load_s = time.perf_counter() - began
        told = GenerationSettings(max_new_tokens=COMPARED_TOKENS, tells=True, likeliest=2)
        reference = writing(load_variant(folder, "torch-fp32", threads=THREADS), "torch-fp32")
        theirs = reference.generate(rows, [told] * len(rows))
        ours = session.generate(rows, [told] * len(rows))
        loops[0].begin()
        kept = GenerationSettings(max_new_tokens=KEPT_TOKENS, tells=True, likeliest=2)
        session.generate(rows[:KEPT_ROWS], [kept] * KEPT_ROWS)
        heard |= {"rows": rows[:KEPT_ROWS], "events": loops[0].events, "torch": [list(one.ids[:KEPT_TOKENS]) for one in theirs[:KEPT_ROWS]]}
        session.close()
    same = sum(own.ids == other.ids for own, other in zip(ours, theirs, strict=True))
    ties = [tie for own, other in zip(ours, theirs, strict=True) if (tie := first_gap(own, other)) is not None]
    logs = [
        abs(a.log - b.log)
        for own, other in zip(ours, theirs, strict=True)
        if own.ids == other.ids
        for a, b in zip(own.seen, other.seen, strict=True)
    ]
    return heard, {
        "rows": len(rows),
        "identical": same,
        "gaps_where_they_part": ties,
        "largest_log_difference": max(logs, default=0.0),
        "load_s": round(load_s, 1),
    }


def first_gap(own: Any, other: Any) -> float | None:
    """Between the two likeliest tokens of torch's where the first other token was written; None where all are the same."""
    place = next((place for place, pair in enumerate(zip(own.ids, other.ids, strict=False)) if pair[0] != pair[1]), None)
    return None if place is None else other.seen[place].likeliest[0][1] - other.seen[place].likeliest[1][1]


def vllm_writer(folder: Path, variant: str) -> VllmWriter:
    """The session of the real library."""
    session = load_variant(folder, variant, threads=THREADS)
    assert isinstance(session, VllmWriter)
    return session


def main() -> None:
    """As the usage says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--decoder", type=Path)
    options = parser.parse_args()
    import vllm

    kept = json.loads(FILE.read_text()) if FILE.is_file() else {}
    if options.decoder is not None:
        kept["decoder"], compared = decoder(options.decoder)
        print(json.dumps(compared))
    else:
        kept |= scenes() | {"vllm": vllm.__version__}
    has_failed = kept.pop("failed", False)
    if not options.check:
        FILE.write_text(json.dumps(kept, separators=(",", ":")) + "\n")
    sys.exit(1 if has_failed else 0)


if __name__ == "__main__":
    main()
