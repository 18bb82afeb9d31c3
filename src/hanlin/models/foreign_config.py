"""`config.json` of a foreign folder: checked against the allow-list and rewritten with nothing but what we know."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.models import allowed, strict_json, writers
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.networks.head import KEY, Head
from hanlin.tasks.base import HeadKind
from hanlin.types import JsonObject, JsonValue, shorten

_PLAIN_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")


_ACTIVATIONS = (
    "hidden_act",
    "activation",
    "hidden_activation",
    "classifier_activation",
    "activation_function",
    "feed_forward_proj",
    "dense_act_fn",
)
_TYPES = {"targets": allowed.SEQ2SEQ_TYPES, "continuations": allowed.CAUSAL_TYPES}
MAX_LAYERS = 128


def check_config(folder: Path, kind: HeadKind = "labels") -> JsonObject:
    """The allowed part of `folder/config.json`, for a network with a head of `kind`.

    Raises:
        InvalidInput: `unsupported_architecture` for a foreign `model_type`, `forbidden_config_key` for anything that is not on the list or
            has a value that such a network cannot have, `not_strict_json` for NaN and its like, even in a key that nobody reads.
    """
    config = strict_json.read_object(folder / "config.json", max_bytes=MAX_CONFIG_BYTES)
    model_type = config.get("model_type")
    choices = _TYPES.get(kind, allowed.MODEL_TYPES)
    if model_type not in choices:
        raise InvalidInput("unsupported_architecture", architecture=shorten(str(model_type)), choices=", ".join(choices))
    keys = allowed.WRITER_KEYS if kind in _TYPES else allowed.CONFIG_KEYS
    kept: JsonObject = {}
    for key, value in config.items():
        if key == "_name_or_path":
            _check(_is_plain_name(value), key)
        elif kind in _TYPES and key in writers.KEYS:
            kept[key] = value  # read by `writers` alone, and dropped
        elif key not in allowed.CROSS_ENCODER_KEYS:
            _check(key in keys, key)
            kept[key] = _checked(key, value, is_seq2seq=kind == "targets")
    return kept


def _checked(key: str, value: object, *, is_seq2seq: bool) -> JsonValue:
    if key == KEY:
        return Head.of({key: value}).to_json()
    if key in ("id2label", "label2id"):
        _check(value is None or isinstance(value, dict), key)
        assert value is None or isinstance(value, dict)
        return value  # the task checks labels
    if key in ("rope_scaling", "rope_parameters") and isinstance(value, dict):
        return {name: _rotary(key, name, one) for name, one in value.items()}
    if key in ("layer_types", "no_rope_layers") and isinstance(value, list):
        _check(0 < len(value) <= MAX_LAYERS and all(item in (*allowed.LAYER_TYPES, 0, 1) for item in value), key)
        return cast("JsonValue", value)
    if isinstance(value, list):
        _check(len(value) <= 16 and all(isinstance(item, str | int) and len(str(item)) <= 100 for item in value), key)
        return [item for item in value if isinstance(item, str | int)]
    _check(value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 100), key)
    assert value is None or isinstance(value, bool | int | float | str)
    _check(key not in allowed.MUST_BE_FALSE or not value or (key == "is_encoder_decoder" and is_seq2seq), key)
    if key in allowed.BOUNDS and not (value is None and key in allowed.MAY_BE_NULL):
        _check(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= allowed.BOUNDS[key], key)
    if key in _ACTIVATIONS:
        _check(value in allowed.ACTIVATIONS or (value is None and key in allowed.MAY_BE_NULL), key)
    return value


def _rotary(key: str, name: str, value: object) -> JsonValue:
    if name in allowed.LAYER_TYPES and isinstance(value, dict):
        _check(not allowed.LAYER_TYPES.intersection(value), key)
        return {inner: _rotary(key, inner, one) for inner, one in value.items()}
    _check(name in allowed.ROTARY_KEYS, key)
    if isinstance(value, list):
        _check(len(value) <= 4096 and all(type(item) in (int, float) for item in value), key)
        return list(value)
    _check(value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= 100), key)
    assert value is None or isinstance(value, int | float | str)
    return value


def _is_plain_name(value: object) -> bool:
    """A hub name such as `owner/model`, which we drop; an address or a path out of the folder is refused."""
    return isinstance(value, str) and len(value) <= 200 and set(value) <= _PLAIN_NAME_CHARACTERS and ".." not in value


def _check(is_right: bool, key: str) -> None:
    if not is_right:
        raise InvalidInput("forbidden_config_key", key=shorten(key))
