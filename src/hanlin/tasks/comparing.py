"""One sentence compared with others, by an embedding model: the shape of Hugging Face's sentence similarity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.shapes import ITEMS, TEXT, TOKEN_IDS
from hanlin.types import JsonObject, JsonValue, json_type

_SOURCE, _OTHERS = "source_sentence", "sentences"
COMPARED: JsonObject = {
    "type": "object", "required": [_SOURCE, _OTHERS], "additionalProperties": False,
    "properties": {_SOURCE: {"anyOf": [TEXT, TOKEN_IDS]}, _OTHERS: ITEMS},
}  # fmt: skip


def is_comparison(inputs: JsonValue) -> bool:
    """Whether a sentence is to be compared with others."""
    return isinstance(inputs, dict) and inputs.keys() == {_SOURCE, _OTHERS}


def as_list(inputs: JsonValue) -> JsonValue:
    """The sentence first, then the others: so do the indices of refusals count. What it is else, the checks of texts judge.

    Raises:
        InvalidInput: `invalid_inputs`, `empty_batch`.
    """
    assert isinstance(inputs, dict)
    others = inputs[_OTHERS]
    if not isinstance(others, list):
        raise InvalidInput("invalid_inputs", found=json_type(others))
    if not others:
        raise InvalidInput("empty_batch")
    return [inputs[_SOURCE], *others]


def check_nothing_else(parameters: JsonObject, *names: str) -> None:
    """Raises InvalidInput (`invalid_parameter`) for one of `names`: numbers are answered here, and no vectors."""
    for name in names:
        if parameters.get(name) is not None:
            raise InvalidInput("invalid_parameter", name=name, expected=f"absent beside `{_OTHERS}`", found="both of them")


def similarities(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cosines of the first of unit vectors `(1 + others, dimensions)` with the others: `(others,)`."""
    return np.asarray(vectors[1:].astype(np.float64) @ vectors[0].astype(np.float64), dtype=np.float32)
