"""Tables of int8 stay int8: the same numbers from a graph that reads rows first, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from hanlin.compression.openvino_tables import look_up_first

IDS = np.array([[0, 3, 49], [7, 7, 1]])


def model(*, axis: int = 0, by_row: bool = True, kind: type = np.int8):  # type: ignore[no-untyped-def]
    """Ids into a compressed table of 50 rows of 6 values."""
    import openvino
    from openvino import opset13

    chance = np.random.default_rng(0)
    ids = opset13.parameter([-1, -1], np.int64, name="ids")
    table = opset13.constant(chance.integers(-128, 127, (50, 6)).astype(kind))
    scales = opset13.constant(chance.random((50, 1) if by_row else (1, 1)).astype(np.float32))
    widened = opset13.multiply(opset13.convert(table, "f32"), scales)
    return openvino.Model([opset13.gather(widened, ids, opset13.constant(np.int64(axis)))], [ids])


def answers(found):  # type: ignore[no-untyped-def]
    import openvino

    return openvino.Core().compile_model(found, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(IDS % 6)[0]


def test_rows_are_looked_up_as_int8_and_the_numbers_are_the_same() -> None:
    plain, changed = model(), model()
    assert look_up_first(changed) == 1
    np.testing.assert_array_equal(answers(plain), answers(changed))
    [table] = [
        node
        for node in changed.get_ops()
        if node.get_type_name() == "Gather" and str(node.get_output_element_type(0)) == "<Type: 'int8_t'>"
    ]
    assert table.input_value(0).get_node().get_type_name() == "Constant"


def test_it_is_done_once() -> None:
    changed = model()
    assert (look_up_first(changed), look_up_first(changed)) == (1, 0)


@pytest.mark.parametrize("other", [{"axis": 1}, {"by_row": False}, {"kind": np.uint8}])
def test_other_look_ups_stay_as_they_are(other: dict) -> None:
    plain, same = model(**other), model(**other)
    assert look_up_first(same) == 0
    np.testing.assert_array_equal(answers(plain), answers(same))
