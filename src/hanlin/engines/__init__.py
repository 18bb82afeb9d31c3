"""Engines: one way per file to run a model's maths behind one small contract.

    session = load_variant(folder, "openvino-int8", threads=2)
    logits = session.run(input_ids, attention_mask)["logits"]

An engine gets a local artifact folder and arrays of token ids; it knows no text, no registry, no network.
torch, onnxruntime and openvino are imported inside `load` only.
"""

import os

from hanlin.engines.apart import check_apart
from hanlin.engines.base import (
    ENGINES,
    REFERENCE,
    TRAINED_FILES,
    Capabilities,
    Engine,
    Session,
    WritingSession,
    load_variant,
    max_batch_rows,
    max_batch_tokens,
    measured_unasked,
    reference_in,
    reference_of,
    split_variant,
    variant_files,
    variant_names,
)

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reports use to its maker unless this is set before it is imported

__all__ = [
    "ENGINES", "REFERENCE", "TRAINED_FILES", "Capabilities", "Engine", "Session", "WritingSession", "check_apart", "load_variant",
    "max_batch_rows", "max_batch_tokens", "measured_unasked", "reference_in", "reference_of", "split_variant", "variant_files",
    "variant_names",
]  # fmt: skip
