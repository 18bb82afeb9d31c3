"""OpenVINO variants: the graph itself (fp32; bf16 is chosen when compiled) and static int8 by NNCF.

Static scales come from the task's own training rows at their own lengths, so neighbours in a batch cannot change a row. When a recipe
strays from the fp32 graph on calibration rows it did not see, the next one is tried, and the closest is kept.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from hanlin.compression.base import METHODS, Material
from hanlin.compression.batches import rectangle
from hanlin.compression.export import exported, model_config
from hanlin.compression.judge import MIN_AGREEMENT
from hanlin.compression.onnx_methods import BERT_LIKE
from hanlin.compression.openvino_tables import look_up_first
from hanlin.compression.openvino_writers import compressed_writer, writer_model
from hanlin.engines.base import import_extra, reference_of, variant_files
from hanlin.engines.openvino_engine import import_openvino
from hanlin.errors import InvalidInput
from hanlin.networks.head import Head
from hanlin.observe.machine import processor
from hanlin.tasks.likeness import LABELS, SCORES, VECTORS, Likeness

if TYPE_CHECKING:
    from openvino import Model

HELD_SHARE = 0.25
MIN_INNER_SIZE = 16
CALIBRATION_ROWS = 128  # more rows cost seconds and moved no scale that mattered


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to int8.

    Attributes:
        smooth_alpha: how much of the activations' range moves into the weights (SmoothQuant, Xiao et al. 2023).
        spares_contractions: whether the matrices that narrow a layer's inner values stay in floats: their inputs, behind GELU, have
            few large values, and one scale for all of them was most of MiniLM's error.
    """

    kind: Literal["static", "weights"]
    smooth_alpha: float = 0.5
    spares_contractions: bool = True


TRANSFORMER_RECIPES = (Recipe("static"), Recipe("weights"))
# OpenVINO's CPU plugin takes recurrent weights as fp32 constants only, and int8 around an fp32 recurrence gains nothing.
RECURRENT_RECIPES = (Recipe("weights"),)
RECURRENT_TYPES = ["LSTMSequence", "GRUSequence", "RNNSequence"]
ATTENTION_TYPES = {"ScaledDotProductAttention"}


@METHODS.register("openvino")
class OpenvinoFloat:
    """One model for fp32 and bf16."""

    variants = ("openvino-fp32", "openvino-bf16")

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        openvino = import_openvino()
        model = writer_model(material) if _writes(material) else _float_model(material)
        openvino.save_model(model, target / "model.xml", compress_to_fp16=False)


@METHODS.register("openvino-int8")
class OpenvinoInt8:
    """Static int8 of a transformer's matrix products, weight-only int8 of everything else that allows it."""

    variants = ("openvino-int8",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        openvino = import_openvino()
        if _writes(material):
            openvino.save_model(compressed_writer(material, "int8"), target / "model.xml", compress_to_fp16=False)
            return
        if (original := reference_of(material.source)).endswith("-int8"):  # its weights are integers already
            graph = openvino.convert_model(str(material.source / variant_files(original)[0]))
            openvino.save_model(graph, target / "model.xml", compress_to_fp16=False)
            return
        rows = list(material.calibration)
        held = rows[: max(1, int(len(rows) * HELD_SHARE))]
        used = rows[len(held) :][:CALIBRATION_ROWS] or rows
        head = Head.load(material.source)
        raw = _run(_float_model(material), held, head)
        likeness: Likeness = VECTORS if head.output == "embeddings" else SCORES if raw.shape[1] == 1 else LABELS
        reference = likeness.numbers(raw)
        is_transformer = model_config(material.source).get("model_type") in BERT_LIKE
        best: tuple[float, float, Model] | None = None
        for recipe in TRANSFORMER_RECIPES if is_transformer else RECURRENT_RECIPES:
            model = _quantize(_float_model(material), used, recipe, head)
            found = likeness.numbers(_run(model, held, head))
            agreement = float(likeness.agree(found, reference).mean())
            difference = float(likeness.differ(found, reference).mean())
            if best is None or (agreement, -difference) > best[:2]:
                best = (agreement, -difference, model)
            if agreement >= MIN_AGREEMENT:
                break
        assert best is not None
        look_up_first(best[2])
        openvino.save_model(best[2], target / "model.xml", compress_to_fp16=False)


@METHODS.register("openvino-int4")
class OpenvinoInt4:
    """Weights of a decoder in 4 bits: writing a token reads all of them once, and waits for memory, not for sums."""

    variants = ("openvino-int4",)

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`. Raises InvalidInput (`cannot_export`) for a network that does not write."""
        if not _writes(material):
            raise InvalidInput("cannot_export", details="4 bits are for networks that write")
        import_openvino().save_model(compressed_writer(material, "int4"), target / "model.xml", compress_to_fp16=False)


def _writes(material: Material) -> bool:
    return Head.load(material.source).output == "sequences"


def _float_model(material: Material) -> Model:
    openvino = import_openvino()
    return openvino.convert_model(str(exported(material, "openvino")))


def _quantize(model: Model, rows: Sequence[Sequence[int]], recipe: Recipe, head: Head) -> Model:
    import_openvino()
    nncf = import_extra("nncf", extra="train", feature="int8 quantisation")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        return _quantize_silently(nncf, model, [_inputs(row, head) for row in rows], recipe)


def _quantize_silently(nncf: ModuleType, model: Model, rows: list[dict[str, npt.NDArray[np.int64]]], recipe: Recipe) -> Model:
    if recipe.kind == "static":
        alphas = nncf.quantization.advanced_parameters.AdvancedSmoothQuantParameters(matmul=recipe.smooth_alpha)
        advanced = nncf.AdvancedQuantizationParameters(smooth_quant_alphas=alphas)
        spared = _contractions(model) if recipe.spares_contractions else []
        attention = set() if _multiplies_int8() else ATTENTION_TYPES & {operation.get_type_name() for operation in model.get_ops()}
        floats = nncf.IgnoredScope(names=spared, types=sorted(attention))
        model = nncf.quantize(
            model, nncf.Dataset(rows), subset_size=len(rows), advanced_parameters=advanced,
            model_type=nncf.ModelType.TRANSFORMER, ignored_scope=floats,
        )  # fmt: skip
    kept = nncf.IgnoredScope(types=RECURRENT_TYPES, validate=False)
    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM, ignored_scope=kept)


def _multiplies_int8() -> bool:
    """Whether the processor has instructions for sums of products of int8.

    Without them the CPU plugin (2026.4) has no fused attention over int8, only over floats: a text of 256 tokens left 18 MB of attention
    matrices in the buffers of MiniLM, which has 22 MB of weights, and took no less processor time.
    """
    return any("vnni" in flag or flag == "amx_int8" for flag in processor().flags)


def _contractions(model: Model) -> list[str]:
    """Names of the matrix products that make at least two values of a row into one; heads with a handful of outputs are none."""
    found = []
    for operation in model.get_ops():
        if operation.get_type_name() == "MatMul":
            narrow, wide = (port.get_partial_shape()[-1] for port in (operation.output(0), operation.input(0)))
            is_known = narrow.is_static and wide.is_static
            if is_known and narrow.get_length() >= MIN_INNER_SIZE and wide.get_length() >= 2 * narrow.get_length():
                found.append(str(operation.get_friendly_name()))
    return found


def _run(model: Model, rows: Sequence[Sequence[int]], head: Head) -> npt.NDArray[np.float32]:
    """Outputs of rows one by one, `(rows, values)`; a row for each token where tokens have outputs."""
    openvino = import_openvino()
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = [np.array(compiled(_inputs(row, head))[head.output], dtype=np.float32) for row in rows]
    return np.concatenate([values.reshape(-1, values.shape[-1]) for values in found])


def _inputs(row: Sequence[int], head: Head) -> dict[str, npt.NDArray[np.int64]]:
    return rectangle([row], 0, has_types=head.has_types)
