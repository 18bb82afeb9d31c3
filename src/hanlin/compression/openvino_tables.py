"""Embedding tables of int8 that stay int8 when OpenVINO's CPU plugin compiles them.

Weight compression writes a table as constant int8 → float → times a scale for each row → look up. All before the look-up is constant, so
the plugin (2026.4) folds it into a table of floats, four times the size: 46 MB of MiniLM's, more than all its other weights. Looking
the rows and their scales up first computes the same products, of the rows that are asked for only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanlin.engines.openvino_engine import import_openvino

if TYPE_CHECKING:
    from openvino import Model, Node


def look_up_first(model: Model) -> int:
    """Change every such look-up along the first axis of `model`, in place. Returns how many."""
    import_openvino()
    from openvino import opset13

    num_changed = 0
    for node in model.get_ops():
        if node.get_type_name() != "Gather" or (found := _table(node)) is None:
            continue
        table, scales = found
        ids, axis = node.input_value(1), node.input_value(2)
        rows = opset13.convert(opset13.gather(table, ids, axis), node.get_output_element_type(0).get_type_name())
        product = opset13.multiply(rows, opset13.gather(scales, ids, axis))
        product.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(product.output(0))
        num_changed += 1
    return num_changed


def _table(gather: Node) -> tuple[Node, Node] | None:
    """Constant int8 rows and the float scales `(rows, 1)` they are multiplied with; None where `gather` reads anything else."""
    product, axis = gather.input_value(0).get_node(), gather.input_value(2).get_node()
    if product.get_type_name() != "Multiply" or axis.get_type_name() != "Constant" or int(axis.get_data().item()) != 0:
        return None
    widened, scales = (product.input_value(place).get_node() for place in (0, 1))
    if widened.get_type_name() != "Convert" or scales.get_type_name() != "Constant":
        return None
    table = widened.input_value(0).get_node()
    if table.get_type_name() != "Constant" or table.get_output_element_type(0).get_type_name() != "i8":
        return None
    is_by_row = list(scales.get_output_shape(0)) == [table.get_output_shape(0)[0], 1]
    return (table, scales) if is_by_row else None
