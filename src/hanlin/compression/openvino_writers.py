"""Networks that continue their rows, as OpenVINO models: the stateful form that openvino-genai and optimum know, and weights in few bits.

    input_ids, attention_mask, position_ids (rows, tokens) int64, beam_idx (rows,) int32 → logits (rows, tokens, vocabulary)

What the blocks remember is the model's state. Source: OpenVINO's "Stateful models"; names as optimum-intel gives them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hanlin.compression.base import Material
from hanlin.engines.base import import_extra
from hanlin.engines.openvino_engine import import_openvino
from hanlin.errors import HanlinError, InvalidInput

if TYPE_CHECKING:
    from openvino import Model
    from torch import nn

_READ = ("input_ids", "attention_mask", "position_ids")
GROUP = 64  # weights that share a scale in 4 bits; fewer are closer, and each costs 2 bytes


def writer_model(material: Material) -> Model:
    """The trained network, fp32, made on first use.

    Raises:
        InvalidInput: `cannot_export` for a network that does not continue its row, or that the tracer does not follow.
    """
    openvino = import_openvino()
    path = material.workdir / "writer.xml"
    if not path.is_file():
        aside = material.workdir / "writing" / path.name
        aside.parent.mkdir(exist_ok=True)
        openvino.save_model(_converted(material.source), aside, compress_to_fp16=False)
        aside.with_suffix(".bin").rename(path.with_suffix(".bin"))
        aside.rename(path)
    return openvino.Core().read_model(path)


def compressed_writer(material: Material, precision: str) -> Model:
    """The same with weights in 8 bits, or in 4 with those of the first and last table in 8; what is computed stays in floats."""
    import_openvino()
    nncf = import_extra("nncf", extra="train", feature=f"{precision} quantisation")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    options = {"mode": nncf.CompressWeightsMode.INT8_SYM}
    if precision == "int4":
        fallback = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST)
        options = {"mode": nncf.CompressWeightsMode.INT4_SYM, "group_size": GROUP, "ratio": 1.0, "advanced_parameters": fallback}
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        return nncf.compress_weights(writer_model(material), **options)


def _converted(folder: Path) -> Model:
    from hanlin.compression.writer_form import remembered, traced_form
    from hanlin.networks.loading import load_model

    module = load_model(folder, dtype="fp32", attention="sdpa").eval()
    form = traced_form(module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every shape it reads
            return _stateful(form, remembered(module))
    except HanlinError:
        raise
    except Exception as error:  # the tracer runs the network's own code
        raise InvalidInput("cannot_export", details=f"{type(error).__name__}: {error}") from error


def _stateful(form: nn.Module, sizes: Sequence[tuple[int, int]]) -> Model:
    """Traced on two rows with three tokens before four new ones: sizes that are alike would be taken for one."""
    import torch

    openvino = import_openvino()
    past = [torch.zeros(2, heads, 3, size) for heads, size in sizes for _ in range(2)]
    mask, places = torch.ones(2, 7, dtype=torch.long), torch.arange(3, 7).expand(2, -1)
    with torch.inference_mode():
        model: Model = openvino.convert_model(form, example_input=(torch.ones_like(places), mask, places, *past))
    names = [f"{number}.{kind}" for number in range(len(sizes)) for kind in ("key", "value")]
    for port, name in zip(model.inputs, [*_READ, *(f"past_key_values.{each}" for each in names)], strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
    for port, name in zip(model.outputs, ["logits", *(f"present.{each}" for each in names)], strict=True):
        port.get_tensor().set_names({name})
    _free_sizes(model, sizes)
    _remember(model, names)
    return model


def _free_sizes(model: Model, sizes: Sequence[tuple[int, int]]) -> None:
    openvino = import_openvino()
    for port in model.inputs[: len(_READ)]:
        port.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
        port.get_node().set_element_type(openvino.Type.i64)
    for number, port in enumerate(model.inputs[len(_READ) :]):
        heads, size = sizes[number // 2]
        port.get_node().set_partial_shape(openvino.PartialShape([-1, heads, -1, size]))
    model.validate_nodes_and_infer_types()


def _remember(model: Model, names: Sequence[str]) -> None:
    """Inputs and outputs of the blocks become state: empty at first, rows chosen by `beam_idx`."""
    from openvino import opset13 as ops
    from openvino._offline_transformations import apply_make_stateful_transformation

    chosen = ops.parameter([-1], dtype=np.int32, name="beam_idx")
    chosen.output(0).get_tensor().set_names({"beam_idx"})
    model.add_parameters([chosen])
    for name in names:
        port = model.input(f"past_key_values.{name}")
        readers = port.get_target_inputs()
        rows = ops.gather(port, chosen, ops.constant(0, dtype=np.int64))
        for reader in readers:
            reader.replace_source_output(rows.output(0))
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, {f"past_key_values.{name}": f"present.{name}" for name in names})
    ids_shape = ops.shape_of(model.input("input_ids"), output_type="i64")
    rows = ops.gather(ids_shape, ops.constant([0], dtype=np.int64), ops.constant(0, dtype=np.int64))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            _, heads, _, size = node.get_output_partial_shape(0)
            shape = ops.concat([rows, ops.constant(np.array([heads.get_length(), 0, size.get_length()], np.int64))], 0)
            node.set_arguments([ops.broadcast(ops.constant(np.float32(0)), shape)])
    model.validate_nodes_and_infer_types()
