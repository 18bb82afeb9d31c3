"""SmolLM2-135M-Instruct as an artifact, made once for all benches that are given one: converted, imported, moved into its place whole.

usage: python bench/smollm_artifact.py [FOLDER]

FOLDER is build/bench/smollm2 unless it is said; where it is there already nothing is done. Its variants are made by
`bench/generation_engines.py`. Prints the folder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from hanlin.datasets import bundled
from hanlin.models import gguf_folder
from hanlin.models.child import plain_guard
from hanlin.models.importing import import_folder
from training_data import CACHE

FOLDER = Path(__file__).parents[1] / "build" / "bench" / "smollm2"
TASK, LENGTH = "text-generation", 8192  # tokens that the network can count


def make(folder: Path) -> None:
    """Make the artifact; who looks meanwhile sees none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        raw, made = Path(scratch) / "raw", Path(scratch) / "artifact"
        gguf_folder.unpack(bundled.smollm_file(CACHE), raw, task=TASK, guard=plain_guard)
        import_folder(raw, made, task=TASK, max_length=LENGTH)
        made.replace(folder)


def main() -> None:
    """Makes what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    if not folder.exists():
        make(folder)
    print(folder)


if __name__ == "__main__":
    main()
