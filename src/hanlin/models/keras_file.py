"""What a Keras file says of itself, read and checked before Keras sees it: which layers, how many, how large.

Keras builds whatever class a file names. So every name is held against a list first, and nothing that carries code, or that another
package brings, is on it. Needs h5py for `.h5`; runs in a child process (`keras_child.py`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, shorten

MAX_CONFIG_BYTES = 8 * 2**20
MAX_BYTES = 2**31 - 1
MAX_MEMBERS = 16
MAX_EXPANSION = 100  # of a part of the file; weights hardly shrink
MAX_LAYERS = 400
MAX_SIZE = 2_000_000  # of any whole number in it: rows of an embedding, units, lengths
_NO_SIZES = frozenset({"shared_object_id", "seed"})
_MEMBERS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_LAYER_NAMES = """
Sequential Functional Model InputLayer Embedding Masking LSTM GRU SimpleRNN LSTMCell GRUCell SimpleRNNCell RNN Bidirectional TimeDistributed
Dense EinsumDense Dropout SpatialDropout1D GaussianDropout GaussianNoise AlphaDropout ActivityRegularization
Conv1D SeparableConv1D DepthwiseConv1D Conv1DTranspose ZeroPadding1D Cropping1D UpSampling1D
MaxPooling1D AveragePooling1D GlobalMaxPooling1D GlobalAveragePooling1D GlobalMaxPool1D GlobalAvgPool1D MaxPool1D AvgPool1D
Flatten Reshape Permute RepeatVector Activation ReLU LeakyReLU PReLU ELU Softmax BatchNormalization LayerNormalization UnitNormalization
GroupNormalization Concatenate Add Subtract Multiply Average Maximum Minimum Dot Attention AdditiveAttention MultiHeadAttention
"""
# Of files that Keras 2 wrote, which name no modules.
_PART_NAMES = """
Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal
LecunUniform Orthogonal Identity L1 L2 L1L2 MaxNorm NonNeg UnitNorm MinMaxNorm DTypePolicy Policy
"""
_LAYERS, _PARTS = frozenset(_LAYER_NAMES.split()), frozenset(_PART_NAMES.split())
_TEXT_LAYERS = frozenset({"TextVectorization", "StringLookup", "IntegerLookup", "Hashing"})
_MARKS = frozenset({"__keras_tensor__", "__tuple__"})
_PLAIN_MODULES = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies")
_LAYER_MODULES = frozenset({"keras", "keras.layers", "keras.models", "keras.src.models.functional", "keras.src.models.sequential"})


def check(path: Path) -> JsonObject:
    """The file's model as Keras will build it, once nothing in it is unknown.

    Raises:
        InvalidInput: `foreign_file_broke`, `keras_layer_refused`, `keras_text_layer`.
    """
    if not 0 < path.stat().st_size <= MAX_BYTES:
        raise _broken(path, "empty, or > 2 GB")
    config = _of_zip(path) if zipfile.is_zipfile(path) else _of_h5(path)
    for count, node in enumerate(_nodes(config)):
        if count > 100 * MAX_LAYERS:
            raise _broken(path, "too many parts")
        _check_node(node)
    if sum(1 for node in _nodes(config) if node.get("class_name") in _LAYERS) > MAX_LAYERS:
        raise _broken(path, f"> {MAX_LAYERS} layers")
    return config


def _of_zip(path: Path) -> JsonObject:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [item.filename for item in members]
            if any(name.startswith("assets/") for name in names):  # word lists of text layers
                raise InvalidInput("keras_text_layer", layer="TextVectorization")
            if len(members) > MAX_MEMBERS or len(set(names)) < len(names) or not set(names) <= _MEMBERS:
                raise _broken(path, shorten(", ".join(names[:MAX_MEMBERS]), 200))
            if {"config.json", "model.weights.h5"} - set(names):
                raise _broken(path, "no config.json, or no model.weights.h5")
            total = 0
            for item in members:
                total += item.file_size
                if total > MAX_BYTES or item.file_size > MAX_EXPANSION * max(item.compress_size, 1024):
                    raise _broken(path, f"{item.filename}: {item.file_size:,} bytes")
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise _broken(path, "config.json")
            with archive.open("model.weights.h5") as weights:
                check_weights(weights, path)
            return _object(archive.read("config.json"), path)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        # What zipfile raises for a damaged, cut off, encrypted (RuntimeError) or foreign (NotImplementedError) archive: told to the user.
        raise _broken(path, "no whole Keras file", details=str(error)) from error


def _of_h5(path: Path) -> JsonObject:
    import h5py

    try:
        with path.open("rb") as raw:
            check_weights(raw, path)
        with h5py.File(path, "r") as file:
            words = file.attrs.get("model_config")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise _broken(path, "no whole HDF5 file", details=str(error)) from error
    if words is None:
        raise InvalidInput("keras_weights_only", file=path.name)
    return _object(words if isinstance(words, bytes) else str(words).encode(), path)


def check_weights(raw: Any, path: Path) -> None:
    """An HDF5 file holds nothing but arrays of its own: no links to other files, none larger than what stands in the file.

    Source: HDF5 format, links (`H5L_TYPE_EXTERNAL`, `H5L_TYPE_SOFT`) and external storage of a dataset.
    """
    import h5py

    with h5py.File(raw, "r") as file:
        waiting: list[Any] = [file]
        count = total = 0
        while waiting:
            group = waiting.pop()
            for name in group:
                count += 1
                link = group.get(name, getlink=True)
                if count > 50_000 or not isinstance(link, h5py.HardLink):
                    raise _broken(path, f"{shorten(name)}: a link, or too many parts")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                stored = item.id.get_storage_size()
                if item.external is not None or item.is_virtual or item.nbytes > MAX_EXPANSION * max(stored, 1024):
                    raise _broken(path, f"{shorten(name)}: {item.nbytes:,} bytes")
                total += item.nbytes
                if total > MAX_BYTES:
                    raise _broken(path, "> 2 GB")


def _nodes(value: Any, depth: int = 0) -> Iterator[JsonObject]:
    """Everything in a config that has a class."""
    if depth > 60:
        raise InvalidInput("keras_layer_refused", layer="60 levels")
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for item in (item for key, item in value.items() if key not in _NO_SIZES):
            yield from _nodes(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SIZE:
        raise InvalidInput("keras_layer_refused", layer=f"{value:,}")


def _check_node(node: JsonObject) -> None:
    name, module, registered = node.get("class_name"), node.get("module"), node.get("registered_name")
    if not isinstance(name, str) or (registered is not None and registered != name):
        raise InvalidInput("keras_layer_refused", layer=shorten(str(registered or name)))
    if name in _TEXT_LAYERS:
        raise InvalidInput("keras_text_layer", layer=name)
    is_part = name in _MARKS or (isinstance(module, str) and module in _PLAIN_MODULES) or (module in (None, "keras") and name in _PARTS)
    is_layer = name in _LAYERS and (module is None or module in _LAYER_MODULES)
    if not is_part and not is_layer:
        raise InvalidInput("keras_layer_refused", layer=shorten(name))


def _object(raw: bytes, path: Path) -> JsonObject:
    if len(raw) > MAX_CONFIG_BYTES:
        raise _broken(path, "config.json")
    try:
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _broken(path, "config.json: JSON?") from error
    if not isinstance(found, dict):
        raise _broken(path, "config.json: {…}?")
    return found


def _broken(path: Path, problem: str, *, details: str = "") -> InvalidInput:
    return InvalidInput("foreign_file_broke", file=path.name, problem=problem, details=details)
