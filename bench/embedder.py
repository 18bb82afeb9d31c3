"""all-MiniLM-L6-v2 as an embedding artifact of ours with OpenVINO variants; made once, in build/bench."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build"


def source() -> Path:
    """The plain folder, as sentence-transformers reads it."""
    from hanlin.datasets import bundled

    return bundled.minilm_embedder(BUILD / "packages")


def usual_variant() -> str:
    """What a compression picks for it on this machine: bf16 where the processor has it, else fp32."""
    from hanlin.observe.machine import processor

    return "openvino-bf16" if {"avx512_bf16", "amx_bf16"} & set(processor().flags) else "openvino-fp32"


def embedder(variant: str) -> Path:
    """The artifact folder. Calibration for int8 is over the texts of `texts.py`."""
    from hanlin.compression.base import convert
    from hanlin.models.importing import import_folder
    from hanlin.tasks.encoding import TextEncoder
    from texts import mixed_texts, short_texts

    folder = BUILD / "bench" / "minilm-embedder"
    if not folder.is_dir():
        aside = folder.with_suffix(".new")
        shutil.rmtree(aside, ignore_errors=True)
        import_folder(source(), aside, task="embedding")
        aside.rename(folder)
    rows = TextEncoder.load(folder).encode([*short_texts(150), *mixed_texts(150, 8, 256)]) if variant.endswith("int8") else []
    convert(folder, variant, calibration=rows)
    return folder


if __name__ == "__main__":
    print(embedder(sys.argv[1] if len(sys.argv) > 1 else usual_variant()))
