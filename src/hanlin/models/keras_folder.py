"""A folder with a Keras file and what made numbers of its texts becomes an artifact: the model as a graph, the words as a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import allowed, keras_text, onnx_folder
from hanlin.models.child import Guard
from hanlin.models.onnx_folder import Graph
from hanlin.models.tokenizer_probe import probe
from hanlin.types import shorten

NAMES = frozenset({keras_text.RULES_FILE, keras_text.WORDS_FILE, keras_text.INDEX_FILE, "tokenizer.json"})
_SUFFIXES = (".keras", ".h5", ".hdf5")
_CHILD = "hanlin.models.keras_child"


def find_model(folder: Path) -> Path | None:
    """The one Keras file of a folder. Raises InvalidInput (`several_models`, `keras_saved_model`)."""
    if (folder / allowed.WEIGHTS).exists():
        return None
    if (folder / "saved_model.pb").exists() or (folder / "keras_metadata.pb").exists():
        raise InvalidInput("keras_saved_model")
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    if len(found) > 1:
        raise InvalidInput("several_models", files=shorten(", ".join(path.name for path in found), 200))
    return next(iter(found), None)


def import_keras(file: Path, source: Path, out: Path, *, task: str, labels: Sequence[str] | None, guard: Guard) -> Graph:
    """Write an artifact into `out`, which is empty.

    Raises:
        InvalidInput: what `keras_text.read`, `keras_child.convert` and `onnx_folder.import_graph` say.
    """
    words = keras_text.read(source)
    (out / "tokenizer.json").write_text(words.tokenizer.to_str(), encoding="utf-8")
    found = replace(probe(out / "tokenizer.json"), largest_id=words.largest_id)  # a dropped word never reaches the model
    made = onnx_folder.import_graph(
        file, source, out, task=task, labels=labels, max_length=words.sheet.length or 1, guard=guard, found=found, sheet=words.sheet,
        child=_CHILD,
    )  # fmt: skip
    if words.sheet.truncating == "post":
        return made
    spec = replace(made.spec, cuts="start")
    spec.save(out)
    return replace(made, spec=spec)
