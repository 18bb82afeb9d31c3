"""What `huggingface_hub.InferenceClient(model="…/hf/{endpoint}")` sends and reads. Source: its `inference/_providers/hf_inference.py`.

Differs from the task API in two points: options of feature extraction stand beside `inputs`, and the labels of a single text come as a
list of one.
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import choice, flag, truncation
from hanlin.gateway.hf_operations import hf_inference
from hanlin.gateway.hf_stream import streamed
from hanlin.types import JsonObject, serves

_OPTIONS = ("normalize", "prompt_name", "dimensions")
_FIELDS = ("inputs", "parameters", "stream", *_OPTIONS, "truncate", "truncation_direction", "encoding_format")


def read(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("inputs",))
    choice(value, "encoding_format", ("float",))
    parameters = _parameters(value) | truncation(value) | {name: value[name] for name in _OPTIONS if value.get(name) is not None}
    if flag(value, "stream", default=False):
        return streamed(endpoint, value["inputs"], parameters)
    return Ask(endpoint, value["inputs"], parameters, write=_write_single if isinstance(value["inputs"], str) else None)


def _parameters(value: JsonObject) -> JsonObject:
    """Raises InvalidInput (`parameters_not_an_object`, `duplicate_key`)."""
    parameters = value.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInput("parameters_not_an_object")
    for name in (*_OPTIONS, "truncate"):
        if name in parameters and name in value:
            raise InvalidInput("duplicate_key", name=name)
    return parameters


def _write_single(outcome: Outcome) -> bytes:
    return b"[%s]" % outcome.body if serves(outcome.task, "text-classification") or outcome.task in _LISTED else outcome.body


_LISTED = frozenset({"translation", "summarization", "text-generation"})  # whose clients want a list even for one text

DOORS = (Door("/hf/{endpoint}", read=read, post=hf_inference),)
