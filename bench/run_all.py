"""Runs every bench in turn, each alone on the machine, and prints their Markdown sections. `make bench`.

usage: python bench/run_all.py [--quick] [--only serving|trainings]

On 2 cores the first part takes a few hours, the second, every task at its full budget, many more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SERVING: tuple[tuple[str, ...], ...] = (
    ("dataset_million.py",),
    ("training_accuracy.py", "--only", "lstm"),
    ("training_accuracy.py", "--only", "minilm"),
    ("training_accuracy.py", "--only", "e5"),
    ("corpora.py",),
    ("training_throughput.py",),
    ("variants.py", "--model", "minilm", "--target", "throughput"),
    ("variants.py", "--model", "lstm", "--target", "latency"),
    ("serving_start.py",),
    ("serving_kills.py",),
    ("serving_hot_path.py",),
    ("serving_peers.py",),
    ("serving_overload.py", "--tokens", "short"),
    ("serving_overload.py", "--tokens", "long"),
    ("endpoint_load.py",),
    ("batch_kills.py", "--rows", "200000"),
    ("serving_residency.py",),
    ("serving_memory.py",),
    ("engines.py",),
    ("doors.py",),
    ("sdk_map.py",),
    ("constraints.py",),
    ("batch_rows.py",),
    ("slow_clients.py",),
    ("leaving_clients.py",),
    ("shared_adapters.py",),
    ("shared_writers.py",),
    ("smollm_artifact.py",),  # what the following ones are given
    ("generation_engines.py", "build/bench/smollm2"),  # makes its variants
    ("streaming_engine.py", "build/bench/smollm2"),
    ("streaming_engine.py", "build/bench/smollm2", "--variant", "openvino-fp32"),
    ("memory_roofline.py", "build/bench/smollm2"),
    ("nearness.py", "build/bench/smollm2", "--rows", "20"),
    ("draft_models.py", "build/bench/smollm2", "openvino-fp32", "build/bench/smollm2", "openvino-int8"),
    ("draft_models.py", "build/bench/smollm2", "openvino-int8", "build/bench/smollm2", "openvino-int4"),
    ("generation_http.py", "build/bench/smollm2"),
    ("beside_generation.py", "build/bench/smollm2"),
    ("leaving_clients.py", "--artifact", "build/bench/smollm2"),
    ("poet.py",),
)
TRAININGS: tuple[tuple[str, ...], ...] = (
    ("tour.py",),
    ("tour_baselines.py",),
    ("text_classification.py", "aspects-zh"),
    ("text_classification.py", "aspects-en"),
    ("text_classification.py", "tags"),
    ("text_classification.py", "pairs"),
    ("text_classification.py", "answers-zh"),
    ("text_classification.py", "similarity"),
    ("token_classification.py", "entities", "--learn-vectors", "--set", "epochs=10", "--set", "hidden_size=224"),
    ("token_classification.py", "pos"),
    ("token_classification.py", "words"),
    ("role_labelling.py",),
    ("semantic_parsing.py", "--only", "zh", "--set", "ngram_buckets=32768"),
    ("semantic_parsing.py", "--only", "en", "--model", "minilm", "--set", "epochs=5"),
    ("text_to_sql.py",),
    ("question_answering.py",),
    ("writing.py", "en-zh"),
    ("writing.py", "zh-en"),
    ("writing.py", "synopsis"),
    ("training_retrieval.py",),
    ("training_reranking.py",),
    ("pretraining.py", "en"),
    ("pretraining.py", "zh"),
    ("writing_bases.py", "synopsis"),
    ("text_generation.py", "tang"),
    ("text_generation.py", "brown"),
    ("prompted_tasks.py",),
    ("prompted_tasks.py", "--only", "summarization", "--learn", "1000"),
    ("training_kills.py",),
)
PARTS = {"serving": SERVING, "trainings": TRAININGS}


def command_of(bench: tuple[str, ...], *, quick: bool) -> list[str]:
    """The bench as an argument list, `--quick` where it has such a form."""
    has_quick = quick and "--quick" in (FOLDER / bench[0]).read_text(encoding="utf-8")
    return [sys.executable, str(FOLDER / bench[0]), *bench[1:], *(["--quick"] if has_quick else [])]


def main() -> int:
    """The exit status: 1 when a bench failed; the others run all the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the short form of each bench that has one")
    parser.add_argument("--only", choices=[*PARTS], help="one part; else both")
    options = parser.parse_args()
    benches = PARTS[options.only] if options.only else SERVING + TRAININGS
    failed = [
        bench for bench in benches if subprocess.run(command_of(bench, quick=options.quick), check=False, cwd=FOLDER.parent).returncode
    ]
    for bench in failed:
        print("failed:", *bench, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
