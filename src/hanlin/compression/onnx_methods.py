"""ONNX Runtime variants: transformer blocks fused into single operators, and dynamic int8 with one scale per output channel."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from hanlin.compression.base import METHODS, Material
from hanlin.compression.export import exported, model_config
from hanlin.engines.base import import_extra

# Architectures whose attention the fusion patterns know under the name "bert".
BERT_LIKE = frozenset({"bert", "roberta", "xlm-roberta", "electra", "camembert", "distilbert", "hanlin-transformer"})


@METHODS.register("onnxruntime-fp32")
class OnnxFp32:
    """The exported graph, fused where the pattern is known."""

    variants = ("onnxruntime-fp32",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        shutil.copyfile(fused(material), target / "model.onnx")


@METHODS.register("onnxruntime-int8")
class OnnxInt8:
    """Weights int8 per channel, activations int8 with scales found at run time (hence batch 1 only). Needs no calibration rows."""

    variants = ("onnxruntime-int8",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        quantization = import_extra("onnxruntime.quantization", extra="train", feature="int8 quantisation")
        onnx = import_extra("onnx", extra="train", feature="int8 quantisation")
        logging.getLogger().addFilter(_is_no_advice)
        try:
            quantization.quantize_dynamic(
                fused(material), target / "model.onnx", weight_type=quantization.QuantType.QInt8, per_channel=True,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # fused operators have no shape inference
            )  # fmt: skip
        finally:
            logging.getLogger().removeFilter(_is_no_advice)


def fused(material: Material) -> Path:
    """The exported graph after ONNX Runtime's transformer fusions (attention, GELU, layer norm with residual, embeddings)."""
    path = material.workdir / "fused.onnx"
    if path.is_file():
        return path
    config = model_config(material.source)
    source = exported(material, "onnxruntime")
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


def _is_no_advice(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "pre-processing before quantization" not in message and "unsupported type to quantize" not in message
