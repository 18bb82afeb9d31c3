"""A decoder as OpenVINO runs it over blocks of keys and values: several rows, a piece of each, in one step.

The saved model is the usual stateful one; OpenVINO's own pass turns its attention into `PagedAttention`, the operator below
openvino-genai's pipeline. Why that pipeline is not used: docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hanlin.engines.blocks import BLOCK_TOKENS, num_blocks
from hanlin.engines.token_choice import Scores

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model, Node

MEMORY_BYTES = 2**30  # of keys and values; memory is touched as rows need it, not before
_WANTED = "wanted"
_CACHES = ("key_cache.", "value_cache.")


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of a row that are read in a step.

    Attributes:
        ids: new tokens, one at least.
        before: tokens of the row that the blocks hold already.
        blocks: those of the row, with room for the new tokens.
        is_wanted_whole: scores are wanted behind each new token, not the last alone.
    """

    ids: Sequence[int]
    before: int
    blocks: Sequence[int]
    is_wanted_whole: bool = False


class Paged(Protocol):
    """A model that remembers in blocks.

    Attributes:
        size: blocks.
        vocabulary: tokens that have scores.
    """

    size: int
    vocabulary: int

    def step(self, pieces: Sequence[Piece]) -> list[Scores]:
        """See `PagedModel.step`."""
        ...


class PagedModel:
    """A compiled decoder with its blocks. Not for several threads at once.

    Args:
        model: stateful, as `compression/openvino_writers.py` makes it; it is changed.
        properties: of compilation.
        most_tokens: that could ever be held; a smaller number of blocks is enough then.

    Attributes:
        size: blocks.
        vocabulary: tokens that have scores.

    Raises:
        RuntimeError: the model has no attention over what it remembers, or does not compile.
    """

    def __init__(self, core: Core, model: Model, properties: Mapping[str, str], *, most_tokens: int, least_tokens: int) -> None:
        from openvino._offline_transformations import paged_attention_transformation

        paged_attention_transformation(model)
        self._has_wanted = _score_wanted_only(model)
        compiled: CompiledModel = core.compile_model(model, "CPU", dict(properties))
        self._request: InferRequest = compiled.create_infer_request()
        self._names = {name for port in compiled.inputs for name in port.names}
        self.vocabulary: int = compiled.output("logits").get_partial_shape()[-1].get_length()
        self.size = self._allocate(compiled, num_blocks(most_tokens), num_blocks(least_tokens))

    def step(self, pieces: Sequence[Piece]) -> list[Scores]:
        """Read the pieces.

        Returns:
            For each the scores behind its last token, (1, vocabulary), or behind each, (tokens, vocabulary): fresh arrays.

        Raises:
            RuntimeError: whatever OpenVINO finds wrong.
        """
        lengths = [len(piece.ids) for piece in pieces]
        ends = np.cumsum(lengths)
        wanted = [
            range(end - length if piece.is_wanted_whole else end - 1, end) for piece, length, end in zip(pieces, lengths, ends, strict=True)
        ]
        chosen = np.concatenate([np.asarray(each, dtype=np.int64) for each in wanted])
        self._feed(pieces, ends, chosen)
        self._request.infer()
        scores = self._request.get_tensor("logits").data.reshape(-1, self.vocabulary)
        found = np.array(scores if self._has_wanted else scores[chosen], dtype=np.float32)
        return np.split(found, np.cumsum([len(each) for each in wanted])[:-1])

    def _feed(self, pieces: Sequence[Piece], ends: np.ndarray, chosen: np.ndarray) -> None:
        from openvino import Tensor

        befores = [piece.before for piece in pieces]
        arrays = {
            "input_ids": np.concatenate([np.asarray(piece.ids, dtype=np.int64) for piece in pieces]),
            "position_ids": np.concatenate([np.arange(piece.before, piece.before + len(piece.ids), dtype=np.int64) for piece in pieces]),
            "past_lens": np.asarray(befores, dtype=np.int32),
            "subsequence_begins": np.concatenate([[0], ends]).astype(np.int32),
            "block_indices": np.concatenate([np.asarray(_used(piece), dtype=np.int32) for piece in pieces]),
            "block_indices_begins": np.cumsum([0, *(len(_used(piece)) for piece in pieces)]).astype(np.int32),
            "max_context_len": np.asarray(max(piece.before + len(piece.ids) for piece in pieces), dtype=np.int32),
            _WANTED: chosen,
        }
        for name, array in arrays.items():
            if name in self._names:  # a decoder without positions does not ask for them
                self._request.set_tensor(name, Tensor(array))

    def _allocate(self, compiled: CompiledModel, most: int, least: int) -> int:
        from openvino import Shape, Tensor

        ports = [port for port in compiled.inputs if port.any_name.startswith(_CACHES)]
        shapes = [[dimension.get_length() for dimension in list(port.partial_shape)[1:]] for port in ports]
        if not ports or any(shape[1] != BLOCK_TOKENS for shape in shapes):
            raise RuntimeError("its attention has no blocks of the size that is known here")
        of_one = sum(int(np.prod(shape)) * port.element_type.bitwidth // 8 for port, shape in zip(ports, shapes, strict=True))
        size: int = max(least, min(most, MEMORY_BYTES // of_one))
        for port, shape in zip(ports, shapes, strict=True):
            self._request.set_tensor(port.any_name, Tensor(port.element_type, Shape([size, *shape])))
        return size


def _used(piece: Piece) -> Sequence[int]:
    return piece.blocks[: num_blocks(piece.before + len(piece.ids))]


def _score_wanted_only(model: Model) -> bool:
    """Scores are made of the tokens whose places come in as `wanted`: of a long row that is read that saves most of the work."""
    from openvino import opset13 as ops

    node: Node = model.output("logits").get_node()
    while node.get_type_name() != "MatMul":
        if node.get_type_name() not in ("Result", "Add", "Multiply", "Convert") or not node.get_input_size():
            return False
        node = node.input_value(0).get_node()
    places = ops.parameter([-1], dtype=np.int64, name=_WANTED)
    places.output(0).get_tensor().set_names({_WANTED})
    rows = ops.gather(node.input_value(0), places, ops.constant(0, dtype=np.int64))
    node.input(0).replace_source_output(rows.output(0))
    model.add_parameters([places])
    model.validate_nodes_and_infer_types()
    return True
