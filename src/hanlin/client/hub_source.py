"""Names of models on hubs (`hf:org/name@revision`), which of a hub's files a model needs, and where hubs answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from hanlin.errors import InvalidInput
from hanlin.types import shorten

Hub = Literal["hf", "modelscope"]
HUBS: dict[str, str] = {"hf": "https://huggingface.co", "modelscope": "https://www.modelscope.cn"}
_ENDPOINTS = {"hf": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}
_TOKENS = {"hf": ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), "modelscope": ("MODELSCOPE_API_TOKEN",)}
_REVISIONS = {"hf": "main", "modelscope": "master"}
_REFERENCE = re.compile(r"(hf|modelscope):([A-Za-z0-9][\w.-]{0,95})/([A-Za-z0-9][\w.-]{0,95})(?:@([A-Za-z0-9][\w./-]{0,99}))?", re.ASCII)
# A hub's repository holds one model in many formats; of these, and nothing else, one is taken. The importers read no other names.
_TEXTS = frozenset(
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.txt", "vocab.json", "merges.txt", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
        "labels.txt", "labels.json", "hanlin.json", "chat_template.jinja",
    }
)  # fmt: skip
_MODULE_FILE = re.compile(r"[0-9]_[A-Za-z]{1,40}/(config\.json|model\.safetensors)", re.ASCII)
_WEIGHTS = re.compile(
    r"model(-[0-9]{5}-of-[0-9]{5})?\.safetensors|model\.safetensors\.index\.json|(wide|projection)\.safetensors", re.ASCII
)
_ADAPTER = frozenset({"adapter_config.json", "adapter_model.safetensors"})  # of peft, over a base that is named when importing
_GRAPHS = ("model.onnx", "onnx/model.onnx")
MAX_FILES = 300


@dataclass(frozen=True, slots=True)
class HubSource:
    """A model on a hub; the revision is a branch, a tag or a commit."""

    hub: Hub
    repository: str
    revision: str

    def __str__(self) -> str:
        return f"{self.hub}:{self.repository}@{self.revision}"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository.

    Attributes:
        sha256: of its bytes; None where the hub tells only `git_sha1`.
        git_sha1: of a git blob with its bytes.
    """

    path: str
    size_bytes: int
    sha256: str | None = None
    git_sha1: str | None = None


def is_hub_name(text: str) -> bool:
    """Whether `text` means a model on a hub and no folder."""
    return text.startswith(("hf:", "modelscope:"))


def parse(text: str) -> HubSource:
    """The source. Raises InvalidInput (`invalid_hub_name`)."""
    found = _REFERENCE.fullmatch(text)
    if found is None or ".." in text:
        raise InvalidInput("invalid_hub_name", name=shorten(text, 200))
    hub: Hub = "hf" if found.group(1) == "hf" else "modelscope"
    return HubSource(hub, f"{found.group(2)}/{found.group(3)}", found.group(4) or _REVISIONS[hub])


def endpoint_of(hub: Hub, environ: Mapping[str, str]) -> str:
    """Where a hub answers: a mirror that the environment names (`HF_ENDPOINT`, `MODELSCOPE_ENDPOINT`), else the hub itself."""
    found = environ.get(_ENDPOINTS[hub], "").strip().rstrip("/") or HUBS[hub]
    if not re.fullmatch(r"https?://[\w.\-\[\]:]+(/[\w./-]*)?", found):
        raise InvalidInput("invalid_hub_name", name=shorten(found, 200))
    return found


def token_of(hub: Hub, environ: Mapping[str, str]) -> str | None:
    """The caller's token, from the variables that the hub's own clients read."""
    return next((environ[name].strip() for name in _TOKENS[hub] if environ.get(name, "").strip()), None)


def wanted(source: HubSource, files: Iterable[HubFile]) -> list[HubFile]:
    """The files of one model: configuration, tokenizer, and safetensors, else an adapter of peft's, else an ONNX graph.

    Raises:
        InvalidInput: `hub_no_weights` for a repository that has neither.
    """
    there = {file.path: file for file in files}
    weights = [path for path in there if _WEIGHTS.fullmatch(path)]
    if not any(path.endswith(".safetensors") for path in weights) and there.keys() >= _ADAPTER:
        weights = sorted(_ADAPTER)
    if not any(path.endswith(".safetensors") for path in weights):
        weights = [path for path in _GRAPHS if path in there][:1]
    if not weights:
        raise InvalidInput("hub_no_weights", name=str(source))
    texts = [path for path in there if path in _TEXTS or _MODULE_FILE.fullmatch(path)]
    found = sorted({*weights, *texts})
    if len(found) > MAX_FILES:
        raise InvalidInput("hub_too_large", name=str(source), problem=f"{len(found)} files")
    return [there[path] for path in found]
