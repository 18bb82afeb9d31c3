"""`config.json` of a foreign folder: checked against the allow-list and rewritten with nothing but what we know."""

from __future__ import annotations

from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import allowed, strict_json
from hanlin.models.allowed import MODEL_TYPES
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.networks.head import KEY, Head
from hanlin.types import JsonObject, JsonValue, shorten

_PLAIN_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")


def check_config(folder: Path) -> JsonObject:
    """The allowed part of `folder/config.json`.

    Raises:
        InvalidInput: `unsupported_architecture` for a foreign `model_type`, `forbidden_config_key` for anything that is not on the list or
            has a value that an encoder cannot have, `not_strict_json` for NaN and its like, even in a key that nobody reads.
    """
    config = strict_json.read_object(folder / "config.json", max_bytes=MAX_CONFIG_BYTES)
    model_type = config.get("model_type")
    if model_type not in MODEL_TYPES:
        raise InvalidInput("unsupported_architecture", architecture=shorten(str(model_type)), choices=", ".join(MODEL_TYPES))
    kept: JsonObject = {}
    for key, value in config.items():
        if key == "_name_or_path":
            _check(_is_plain_name(value), key)
        else:
            _check(key in allowed.CONFIG_KEYS, key)
            kept[key] = _checked(key, value)
    return kept


def _checked(key: str, value: object) -> JsonValue:
    if key == KEY:
        return Head.of({key: value}).to_json()
    if key in ("id2label", "label2id"):
        _check(value is None or isinstance(value, dict), key)
        assert value is None or isinstance(value, dict)
        return value  # the task checks labels
    if isinstance(value, list):
        _check(len(value) <= 16 and all(isinstance(item, str | int) and len(str(item)) <= 100 for item in value), key)
        return [item for item in value if isinstance(item, str | int)]
    _check(value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 100), key)
    assert value is None or isinstance(value, bool | int | float | str)
    _check(key not in allowed.MUST_BE_FALSE or not value, key)
    if key in allowed.BOUNDS:
        _check(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= allowed.BOUNDS[key], key)
    if key in ("hidden_act", "activation"):
        _check(value in allowed.ACTIVATIONS, key)
    return value


def _is_plain_name(value: object) -> bool:
    """A hub name such as `owner/model`, which we drop; an address or a path out of the folder is refused."""
    return isinstance(value, str) and len(value) <= 200 and set(value) <= _PLAIN_NAME_CHARACTERS and ".." not in value


def _check(is_right: bool, key: str) -> None:
    if not is_right:
        raise InvalidInput("forbidden_config_key", key=shorten(key))
