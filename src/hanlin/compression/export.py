"""The trained torch model as one ONNX graph: the inputs of its `Head`, (batch, length) int64 each → its output, float32,
and behind an embedding the vectors of tokens, where the graph has them.

The tracing exporter is used on purpose: for our five networks and BERT it gives dynamic batch and length in 0.2–2.5 s, where the
`torch.export` one needs 4–10 s and freezes the length of an RNN (torch 2.13).
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.compression.base import Material
from hanlin.engines import REFERENCE, reference_of, split_variant, variant_files
from hanlin.errors import HanlinError, InvalidInput
from hanlin.networks.head import TOKENS, Head

if TYPE_CHECKING:
    from hanlin.compression.export_forms import Flavour

OPSET = 17


def exported(material: Material, flavour: Flavour) -> Path:
    """The exported graph for an engine, made on first use. Weights inside the file; token types that no head reads are zeros.

    Raises:
        InvalidInput: `cannot_export` when the network does something the exporter lacks, `model_too_large` beyond 2 GB;
            `no_float_weights` for a version that came as an int8 graph.
    """
    if (reference := reference_of(material.source)) != REFERENCE:
        return _as_it_came(material.source, reference)
    # The engines' forms differ in recurrences only.
    path = material.workdir / (f"exported-{flavour}.onnx" if is_recurrent(material) else "exported.onnx")
    if not path.is_file():
        unfinished = path.with_suffix(".part")
        _export(material.source, unfinished, flavour)
        unfinished.rename(path)
    return path


def _as_it_came(folder: Path, reference: str) -> Path:
    """The graph that a version without torch weights consists of."""
    if split_variant(reference)[1] != "fp32":
        raise InvalidInput("no_float_weights", reference=reference)
    return folder / variant_files(reference)[0]


def is_recurrent(material: Material) -> bool:
    """Whether the model is one of our recurrent networks."""
    return str(model_config(material.source).get("model_type")).removeprefix("hanlin-") in {"lstm", "gru", "rnn"}


def model_config(folder: Path) -> dict[str, object]:
    """The artifact's `config.json`."""
    config: dict[str, object] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _export(folder: Path, path: Path, flavour: Flavour) -> None:
    import torch

    from hanlin.compression.export_forms import for_export, has_tokens
    from hanlin.networks.loading import load_model

    head = Head.load(folder)
    module = load_model(folder, dtype="fp32", attention="eager").eval()
    if sum(p.numel() * 4 for p in module.parameters()) > 2**31 - 2**24:
        raise InvalidInput("model_too_large", limit="2 GB")
    # Three rows of different lengths: a batch of 1 or equal rows would let the tracer take sizes for constants.
    mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] * 3 + [0] * 6])
    ids, types = torch.ones_like(mask) * mask, torch.zeros_like(mask)
    inputs = (ids, mask, types)[: len(head.inputs)]
    module = for_export(module, flavour, *inputs)
    axes = {0: "batch", 1: "length"}
    outputs = {head.output: axes if head.output == "token_logits" else {0: "batch"}} | ({TOKENS: axes} if has_tokens(module) else {})
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape it reads
            torch.onnx.export(
                module, inputs, str(path), input_names=list(head.inputs), output_names=list(outputs),
                dynamic_axes=dict.fromkeys(head.inputs, axes) | outputs, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    except HanlinError:
        raise
    except Exception as error:  # the tracer runs the network's own code
        raise InvalidInput("cannot_export", details=f"{type(error).__name__}: {error}") from error
