"""A folder with a GGUF file becomes an ordinary model folder, which comes in like any other. Nothing of the file is opened here: children
read it (`gguf_child.py`), and what they wrote is checked as a stranger's folder is.
"""

from __future__ import annotations

import json
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import allowed, strict_json
from hanlin.models.child import Guard, run_child
from hanlin.models.folder_check import check_model_folder
from hanlin.models.gguf_file import MAX_FILE_BYTES
from hanlin.tasks.base import TASKS
from hanlin.types import shorten

_CHILD = "hanlin.models.gguf_child"
_JSON = ("config.json", "tokenizer.json", "generation_config.json", "tokenizer_config.json")
MAX_WORDS_BYTES = 256 * 2**20
_BYTES_A_SECOND = 10 * 2**20  # of the file that a child widens at least, on a slow machine with others beside it


def find_model(folder: Path) -> Path | None:
    """The one GGUF file of a folder without safetensors. Raises InvalidInput (`several_models`)."""
    if (folder / allowed.WEIGHTS).exists():
        return None
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".gguf" and path.is_file())
    if len(found) > 1:
        raise InvalidInput("several_models", files=shorten(", ".join(path.name for path in found), 200))
    return next(iter(found), None)


def unpack(file: Path, out: Path, *, task: str, guard: Guard) -> None:
    """Write a model folder to `out`, which must not exist.

    Raises:
        InvalidInput: what the children say; `foreign_file_broke` where they say nothing; `gguf_not_for_task` for a task that such
            networks do not do.
    """
    if TASKS.get(task).head != "continuations":
        raise InvalidInput("gguf_not_for_task", task=task, file=shorten(file.name))
    check_model_folder(file.parent, needed=frozenset(), besides=frozenset({file.name, "config.json"}))
    size_bytes = file.stat().st_size
    if size_bytes > MAX_FILE_BYTES:
        raise InvalidInput("gguf_refused", file=file.name, problem=f"longer than {MAX_FILE_BYTES:,} bytes")
    out.mkdir(parents=True)
    words = out / "words.json"
    seconds = size_bytes / _BYTES_A_SECOND
    run_child(_CHILD, {"part": "words"}, file=file, out=words, guard=guard)
    told = strict_json.read_object(words, max_bytes=MAX_WORDS_BYTES)
    words.unlink()
    if lacking := [name for name in _JSON if name not in told]:
        raise InvalidInput("foreign_file_broke", file=file.name, problem=f"no {lacking[0]}")
    for name in _JSON:
        (out / name).write_text(json.dumps(told[name], ensure_ascii=False), encoding="utf-8")
    run_child(_CHILD, {"part": "weights"}, file=file, out=out / allowed.WEIGHTS, guard=guard, more_seconds=seconds)
