"""A folder that `hanlin model export` wrote, coming in again: trusted no more than any other upload.

Every key of config.json has its type and bounds, the network is laid out without memory and compared with the header of the weights
before anything is loaded. Variants and pictures are not taken: they are made and measured anew here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from hanlin.errors import InvalidInput
from hanlin.models import allowed, strict_json, weights_file
from hanlin.models.tokenizer_probe import Probe
from hanlin.models.weights_file import Tensor
from hanlin.networks.config import GENERATOR_TYPES, MAX_CONFIG_BYTES, MODEL_TYPES, NetworkConfig
from hanlin.networks.loading import build, build_generator, tied_names
from hanlin.networks.wide import WIDE_FILE, WideRoad, WideShape
from hanlin.tasks.labels import labels_from_config
from hanlin.tasks.spec import FILE_NAME, ModelSpec
from hanlin.types import JsonObject, shorten

MAX_SPEC_BYTES = 16 * 2**20
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "tuple[int, ...]": (list,)}
_BESIDE_FIELDS = frozenset({"id2label", "label2id", "num_labels", "architectures"})
_FLOATS = frozenset({"F32", "F16", "BF16"})


def is_own(config: JsonObject) -> bool:
    """Whether config.json describes one of our own networks."""
    return config.get("model_type") in MODEL_TYPES + GENERATOR_TYPES


def read_spec(folder: Path, *, task: str) -> ModelSpec | None:
    """`hanlin.json` of a folder that has one. Raises InvalidInput (`not_strict_json`, `exported_for_another_task`, …)."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    spec = ModelSpec.from_json(strict_json.read_object(path, max_bytes=MAX_SPEC_BYTES))
    if spec.task != task:
        raise InvalidInput("exported_for_another_task", task=spec.task, asked=shorten(task))
    return spec


def read_network(folder: Path, given: Sequence[str] | None = None) -> NetworkConfig:
    """The checked settings of one of our networks; `given` renames its labels.

    Raises:
        InvalidInput: `forbidden_config_key` for a key or a type that we never write, `invalid_labels`, `invalid_network_config`.
    """
    config = strict_json.read_object(folder / "config.json", max_bytes=MAX_CONFIG_BYTES)
    known = {field.name: str(field.type) for field in fields(NetworkConfig) if field.name != "labels"}
    for key, value in config.items():
        if key not in _BESIDE_FIELDS and not _is_right(known.get(key, ""), key, value):
            raise InvalidInput("forbidden_config_key", key=shorten(key))
    if config.get("model_type") in GENERATOR_TYPES:
        return NetworkConfig.load(folder)
    labels = labels_from_config(config)
    network = replace(NetworkConfig.load(folder), labels=labels)
    if given is None:
        return network
    named: JsonObject = {"id2label": {str(number): label for number, label in enumerate(given)}}
    return replace(network, labels=labels_from_config(named, num_outputs=len(labels)))


def check_weights(config: NetworkConfig, tensors: Mapping[str, Tensor]) -> None:
    """Names, shapes and types of the weights against the network. Raises InvalidInput (`weights_do_not_fit`)."""
    with torch.device("meta"):
        module = build_generator(config) if config.is_generator else build(config)
        tied = tied_names(module)
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if name not in tied}
    _compare(wanted, tensors)


def _compare(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> None:
    found = {name: tensor.shape for name, tensor in tensors.items() if tensor.dtype in _FLOATS}
    wrong = sorted(name for name in wanted.keys() | tensors.keys() if wanted.get(name) != found.get(name) or name not in found)
    if wrong:
        raise InvalidInput("weights_do_not_fit", names=", ".join(shorten(name) for name in wrong[:5]))


def check_wide(source: Path, config: JsonObject, labels: Sequence[str], *, is_base: bool) -> bool:
    """Whether a linear road stands beside the weights of a fine-tuned model, its file held against what config.json says of it.

    Raises:
        InvalidInput: `unexpected_file` for a road that config.json does not know, or beside a base; `missing_file` for one that it misses;
            `weights_do_not_fit`, `invalid_network_config`, `invalid_model_file`.
    """
    shape, path = WideShape.read(config), source / WIDE_FILE
    if path.is_file() and (shape is None or is_base):
        raise InvalidInput("unexpected_file", file=WIDE_FILE)
    if shape is None:
        return False
    if not path.is_file():
        raise InvalidInput("missing_file", file=WIDE_FILE)
    rows = config.get("vocab_size")
    assert isinstance(rows, int), "checked with the tokenizer"
    with torch.device("meta"):
        road = WideRoad(vocab_size=rows, num_labels=len(labels), sizes=shape.sizes, buckets=shape.buckets)
    _compare({name: tuple(tensor.shape) for name, tensor in road.state_dict().items()}, weights_file.read_header(path))
    return True


def check_spec(config: NetworkConfig, spec: ModelSpec | None, found: Probe, *, is_renamed: bool) -> ModelSpec:
    """`hanlin.json` held against network and tokenizer, with the network's labels. Raises InvalidInput (`invalid_model_spec`, …)."""
    if spec is None:
        raise InvalidInput("missing_file", file=FILE_NAME)
    if spec.labels != config.labels and not is_renamed:
        raise InvalidInput("invalid_model_spec", field="labels", problem="≠ id2label (config.json)")
    if spec.pad_id != config.pad_token_id:
        raise InvalidInput("invalid_model_spec", field="pad_id", problem=f"{spec.pad_id} ≠ {config.pad_token_id} (config.json)")
    if found.largest_id >= config.vocab_size:
        raise InvalidInput("tokenizer_does_not_fit", problem=f"token id {found.largest_id} for {config.vocab_size} embedding rows")
    if config.longest_source and spec.max_length > config.longest_source:
        problem = f"texts of {spec.max_length} tokens for {config.longest_source} positions"
        raise InvalidInput("tokenizer_does_not_fit", problem=problem)
    return replace(spec, labels=config.labels)


def _is_right(kind: str, key: str, value: object) -> bool:
    """Whether a value has the type of its field and is within what an import may ask for."""
    if not isinstance(value, _TYPES.get(kind, ())) or (isinstance(value, bool) and kind != "bool"):
        return False
    if isinstance(value, list):
        return len(value) <= 8 and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    if isinstance(value, str):
        return len(value) <= 100
    return key not in allowed.BOUNDS or (isinstance(value, int) and 0 <= value <= allowed.BOUNDS[key])
