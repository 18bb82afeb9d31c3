"""Names for a model's outputs, as people keep them beside a graph: one label a line, or a JSON list or map."""

from __future__ import annotations

from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import strict_json
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.tasks.labels import MAX_LABELS, check_labels, labels_from_config
from hanlin.types import JsonValue, shorten

TEXT_FILES = ("labels.txt", "classes.txt")
JSON_FILES = ("labels.json", "classes.json", "id2label.json", "label2id.json", "tag_vocab.json", "label_map.json")
NAMES = frozenset({*TEXT_FILES, *JSON_FILES})
_KEYS = ("labels", "classes", "tags", "id2label", "label2id")


def read_labels(folder: Path) -> tuple[str, ...] | None:
    """The labels of a folder: of its label file, else `id2label` of its config.json; None where it has neither.

    Raises:
        InvalidInput: `invalid_labels`, `invalid_label`, `not_strict_json`.
    """
    for name in (*TEXT_FILES, *JSON_FILES):
        path = folder / name
        if path.is_file():
            return check_labels(_lines(path) if name in TEXT_FILES else _of(strict_json.read(path, max_bytes=MAX_CONFIG_BYTES), name))
    if not (folder / "config.json").is_file():
        return None
    config = strict_json.read_object(folder / "config.json", max_bytes=MAX_CONFIG_BYTES)
    return labels_from_config(config) if config.get("id2label") else None


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise InvalidInput("invalid_labels", problem=f"{path.name}: > {MAX_CONFIG_BYTES:,} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("invalid_labels", problem=f"{path.name}: UTF-8?") from error
    return [line.strip() for line in text.strip("\r\n").split("\n")][: MAX_LABELS + 1]


def _of(value: JsonValue, name: str) -> list[str]:
    """A list of labels, a map of numbers to labels or of labels to numbers, or one of these under a telling key."""
    if isinstance(value, dict):
        if inner := next((value[key] for key in _KEYS if isinstance(value.get(key), list | dict)), None):
            return _of(inner, name)
        names = {str(number): label for label, number in value.items() if isinstance(number, int) and not isinstance(number, bool)}
        named = names if len(names) == len(value) else dict(value)
        if set(named) == {str(number) for number in range(len(named))}:
            value = [named[str(number)] for number in range(len(named))]
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return [str(label) for label in value]
    raise InvalidInput("invalid_labels", problem=f'{shorten(name)}: ["…", …], {{"0": "…"}} or {{"…": 0}}?')
