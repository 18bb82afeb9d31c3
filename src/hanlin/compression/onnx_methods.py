"""ONNX Runtime variants: transformer blocks fused into single operators, and dynamic int8 with one scale per output channel."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.compression.base import METHODS, Material
from hanlin.compression.export import exported, is_recurrent, model_config
from hanlin.engines.base import import_extra
from hanlin.engines.onnx_file import MAX_THREADS

if TYPE_CHECKING:
    from hanlin.compression.export_forms import Flavour

# Architectures whose attention the fusion patterns know under the name "bert".
BERT_LIKE = frozenset({"bert", "roberta", "xlm-roberta", "electra", "camembert", "distilbert", "hanlin-transformer"})
# Of recurrent networks the large parts: the head is so small that finding its scales takes longer than its product.
_QUANTIZED = ["LSTM", "GRU", "RNN", "Gather"]


@METHODS.register("onnxruntime-fp32")
class OnnxFp32:
    """The exported graph, fused where the pattern is known."""

    variants = ("onnxruntime-fp32",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        shutil.copyfile(fused(material, "onnxruntime"), target / "model.onnx")


@METHODS.register("onnxruntime-int8")
class OnnxInt8:
    """Weights int8 per channel, activations int8 with scales found at run time (hence batch 1 only). Needs no calibration rows.

    Weights keep to 7 bits: the products of full ones overflow on x86 processors without VNNI, and an artifact answers alike everywhere
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range").
    """

    variants = ("onnxruntime-int8",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        quantization = import_extra("onnxruntime.quantization", extra="train", feature="int8 quantisation")
        onnx = import_extra("onnx", extra="train", feature="int8 quantisation")
        logging.getLogger().addFilter(_is_no_advice)
        try:
            quantization.quantize_dynamic(
                fused(material, "onnxruntime-one-row"), target / "model.onnx",
                weight_type=quantization.QuantType.QInt8, per_channel=True, reduce_range=True,
                op_types_to_quantize=_QUANTIZED if is_recurrent(material) else None,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # fused operators have no shape inference
            )  # fmt: skip
        finally:
            logging.getLogger().removeFilter(_is_no_advice)
        if is_recurrent(material):
            _note_one_thread(target / "model.onnx")


def fused(material: Material, flavour: Flavour) -> Path:
    """The exported graph after ONNX Runtime's transformer fusions (attention, GELU, layer norm with residual, embeddings)."""
    source = exported(material, flavour)
    path = material.workdir / f"fused-{source.name}"
    if path.is_file():
        return path
    config = model_config(material.source)
    unfinished = path.with_suffix(".part")
    if config.get("model_type") in BERT_LIKE:
        optimizer = import_extra("onnxruntime.transformers.optimizer", extra="train", feature="operator fusion")
        model = optimizer.optimize_model(
            str(source), model_type="bert", num_heads=int(str(config.get("num_attention_heads", 0))),
            hidden_size=int(str(config.get("hidden_size", 0))), opt_level=0,
        )  # fmt: skip
        model.save_model_to_file(str(unfinished))
    else:
        shutil.copyfile(source, unfinished)
    unfinished.rename(path)
    return path


def _note_one_thread(path: Path) -> None:
    """A recurrence over one row is a chain of small steps: a second thread is only waited for."""
    onnx = import_extra("onnx", extra="train", feature="int8 quantisation")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {MAX_THREADS: "1"})
    onnx.save(model, str(path))


def _is_no_advice(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "pre-processing before quantization" not in message and "unsupported type to quantize" not in message
