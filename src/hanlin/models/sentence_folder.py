"""What sentence-transformers writes beside an encoder: how token vectors are pooled, whether they are normalised, prompts, length.

Only modules that fit into one exported graph are taken: Transformer, Pooling by mean, first token or maximum, Dense, and Normalize.
Source: sentence-transformers, `modules.json`, `1_Pooling/config.json`, `config_sentence_transformers.json`, `sentence_bert_config.json`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from safetensors.torch import load_file
from torch import Tensor

from hanlin.errors import InvalidInput
from hanlin.models import strict_json, weights_file
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.networks.head import MAX_DENSE, Bend, Head, Pooling
from hanlin.networks.projection import Projection, projection_of
from hanlin.types import JsonObject, shorten

_PLAIN_FOLDER = re.compile(r"(\w[\w.-]{0,99})?", re.ASCII)  # empty: the folder itself
_BENDS: dict[str, Bend] = {
    "torch.nn.modules.linear.Identity": "identity", "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu", "torch.nn.modules.activation.GELU": "gelu",
}  # fmt: skip
_MODES: dict[str, Pooling] = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}
_WORDS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "max": "max"}


@dataclass(frozen=True, slots=True)
class SentenceParts:
    """The parts of a folder.

    Attributes:
        is_assumed: nothing in the folder says how to pool, so mean and length 1 were assumed.
        dense: folders of the dense layers, in order.
        max_length: tokens a text may have, where the folder says it.
    """

    head: Head
    is_assumed: bool
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str = ""
    dense: tuple[Path, ...] = ()
    max_length: int | None = None


def read_parts(source: Path) -> SentenceParts:
    """The parts of the folder `source`. Raises InvalidInput (`not_strict_json`, `unsupported_pooling`)."""
    prompts, default = _prompts(source)
    length = _object(source / "sentence_bert_config.json").get("max_seq_length")
    limit = length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else None
    if not (source / "modules.json").is_file():
        pooling, is_normalized = _pooling(source / "1_Pooling"), True
        head = Head("embeddings", pooling or "mean", is_normalized=is_normalized)
        return SentenceParts(head, pooling is None, prompts, default, max_length=limit)
    modules = _modules(source)
    kinds = [kind for kind, _ in modules]
    ends = kinds[-1:] == ["Normalize"]
    dense = modules[2 : len(modules) - ends]
    if kinds[:2] != ["Transformer", "Pooling"] or any(kind != "Dense" for kind, _ in dense) or len(dense) > MAX_DENSE:
        raise InvalidInput("unsupported_pooling", found=shorten(", ".join(kinds) or "no modules", 120))
    found = _pooling(source / modules[1][1])
    if found is None:
        raise InvalidInput("missing_file", file=f"{modules[1][1]}/config.json")
    folders = tuple(source / path for _, path in dense)
    head = Head("embeddings", found, is_normalized=ends, dense=tuple(_bend(folder) for folder in folders))
    return SentenceParts(head, False, prompts, default, folders, limit)


def _bend(folder: Path) -> Bend:
    """The activation of a dense layer. Raises InvalidInput (`missing_file`, `unsupported_format`, `unsupported_pooling`)."""
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file() or (folder / name).is_symlink():
            if (folder / "pytorch_model.bin").exists():
                raise InvalidInput("unsupported_format", file=f"{folder.name}/pytorch_model.bin")
            raise InvalidInput("missing_file", file=f"{folder.name}/{name}")
    named = str(_object(folder / "config.json").get("activation_function", "torch.nn.modules.activation.Tanh"))
    if named not in _BENDS:
        raise InvalidInput("unsupported_pooling", found=shorten(named, 120))
    return _BENDS[named]


def read_dense(parts: SentenceParts) -> Projection:
    """The dense layers of a folder. Raises InvalidInput (`invalid_model_file`, `weights_do_not_fit`)."""
    state: dict[str, Tensor] = {}
    for number, folder in enumerate(parts.dense):
        path = folder / "model.safetensors"
        if not set(weights_file.read_header(path)) <= {"linear.weight", "linear.bias"}:
            raise InvalidInput("weights_do_not_fit", names=f"{folder.name}/model.safetensors")
        state |= {name.replace("linear", f"layers.{number}"): values for name, values in load_file(path).items()}
    return projection_of(state, parts.head.dense)


def _modules(source: Path) -> list[tuple[str, str]]:
    """(kind, folder) of every module. A folder must be a plain name: nothing outside of `source` is read."""
    found = strict_json.read(source / "modules.json", max_bytes=MAX_CONFIG_BYTES)
    modules: list[tuple[str, str]] = []
    for item in found if isinstance(found, list) else [None]:
        path, kind = (item.get(name) for name in ("path", "type")) if isinstance(item, dict) else (None, None)
        if not isinstance(path, str) or not isinstance(kind, str) or not _PLAIN_FOLDER.fullmatch(path):
            raise InvalidInput("not_strict_json", file="modules.json", problem="path, type?")
        modules.append((kind.rpartition(".")[2], path))
    return modules


def _pooling(folder: Path) -> Pooling | None:
    """The one mode that is on; None without the file. Raises InvalidInput (`unsupported_pooling`) for any other."""
    if not (folder / "config.json").is_file():
        return None
    values = _object(folder / "config.json")
    word = values.get("pooling_mode")
    if isinstance(word, str):
        modes = [word]
        known = [_WORDS[word]] if word in _WORDS else []
    else:
        modes = [name.removeprefix("pooling_mode_") for name, value in values.items() if name.startswith("pooling_mode_") and value is True]
        known = [_MODES[mode] for mode in modes if mode in _MODES]
    if len(known) != 1 or len(modes) != 1 or values.get("include_prompt") is False:
        raise InvalidInput("unsupported_pooling", found=shorten(", ".join(modes) or "none", 120))
    return known[0]


def _prompts(source: Path) -> tuple[tuple[tuple[str, str], ...], str]:
    values = _object(source / "config_sentence_transformers.json")
    prompts, default = values.get("prompts") or {}, values.get("default_prompt_name") or ""
    if not isinstance(prompts, dict) or not all(isinstance(words, str) for words in prompts.values()) or not isinstance(default, str):
        raise InvalidInput("not_strict_json", file="config_sentence_transformers.json", problem="prompts?")
    kept = {
        name: cast("str", words) for name, words in prompts.items() if words
    }  # {"query": "", "document": ""} is how newer ones say none
    return tuple(kept.items()), default if default in kept else ""


def _object(path: Path) -> JsonObject:
    return strict_json.read_object(path, max_bytes=MAX_CONFIG_BYTES) if path.is_file() and not path.is_symlink() else {}
