"""Which versions are adapters, and what their bases are known by: the digests of the files that their manifests name."""

from __future__ import annotations

from typing import cast

from hanlin.engines.sharing import can_share
from hanlin.networks.adapter import BASE_FOLDER
from hanlin.tasks.base import TASKS
from hanlin.types import JsonObject, JsonValue

_HEADS = ("labels", "vectors", "tokens", "roles")  # what `networks/mixed.py` answers with
_WRITING = ("continuations", "targets")  # and `networks/mixed_writer.py`
_FILES = (f"{BASE_FOLDER}/config.json", f"{BASE_FOLDER}/model.safetensors")


def base_of(manifest: JsonValue, variant: str, task: str) -> str:
    """What the base of an adapter is known by, equal for equal bytes; empty for other versions, and in variants that are whole networks.

    Args:
        manifest: the stored form.
    """
    head = TASKS.get(task).head
    if head not in _HEADS + _WRITING:
        return ""
    found = {str(row["path"]): str(row["sha256"]) for row in cast("list[JsonObject]", manifest)}
    if not all(name in found for name in _FILES) or not can_share(variant):
        return ""
    files = (*_FILES, "tokenizer.json") if head in _WRITING else _FILES  # the forms that targets must have are made of its tokens
    return "-".join(found.get(name, "") for name in files)
