"""A folder with an ONNX file, a tokenizer and labels becomes an artifact whose trained model is that file.

Nothing of the file is opened here: a child reads, tries and renames it (`onnx_child.py`). There are no torch weights then, so the
artifact's `hanlin.json` names the variant that is its reference.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.models import allowed, label_files, strict_json
from hanlin.models.child import MAX_RESULT_BYTES, Guard, run_child
from hanlin.models.heads import PAIR_LABEL
from hanlin.models.onnx_answer import Wanted
from hanlin.models.onnx_child import Asked
from hanlin.models.onnx_graph import Sheet
from hanlin.models.sentence_folder import SentenceParts, read_parts
from hanlin.models.tokenizer_probe import Probe
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.networks.head import KEY, Head, Output
from hanlin.tasks.base import TASKS, HeadKind
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import JsonObject, shorten

MODEL_TYPE = "onnx"  # in the artifact's config.json
USUAL_LENGTH = 512
_OUTPUTS: dict[HeadKind, Output] = {"labels": "logits", "pairs": "logits", "tokens": "token_logits", "vectors": "embeddings"}
_CHILD = "hanlin.models.onnx_child"


@dataclass(frozen=True, slots=True)
class Graph:
    """What became of the file: what the artifact says of itself, its head, and how many values its constants have."""

    spec: ModelSpec
    head: Head
    num_parameters: int
    is_pooling_assumed: bool = False


def find_model(folder: Path, told: ModelSpec | None = None) -> Path | None:
    """The one ONNX file of a folder without safetensors, `told` being its `hanlin.json`. Raises InvalidInput (`several_models`,
    `external_data_refused`)."""
    if (folder / allowed.WEIGHTS).exists():
        return None
    if told is not None and told.reference:
        return next((path for path in (folder / "variants" / told.reference / "model.onnx",) if path.is_file()), None)
    if extra := next((path for path in sorted(folder.iterdir()) if path.suffix in (".onnx_data", ".data")), None):
        raise InvalidInput("external_data_refused", name=shorten(extra.name))
    found = sorted(path for path in folder.iterdir() if path.suffix == ".onnx" and path.is_file())
    named = folder / "model.onnx"
    if not found:
        found = [path for path in (folder / "onnx" / "model.onnx",) if path.is_file()]
    if len(found) > 1 and named not in found:
        raise InvalidInput("several_models", files=shorten(", ".join(path.name for path in found), 200))
    return named if named in found else next(iter(found), None)


def import_graph(
    file: Path, source: Path, out: Path, *, task: str, labels: Sequence[str] | None, max_length: int | None, guard: Guard, found: Probe,
    sheet: Sheet | None = None, told: ModelSpec | None = None, child: str = _CHILD,
) -> Graph:  # fmt: skip
    """Write config, spec and graph of an artifact into `out`, which holds its tokenizer already.

    Args:
        file: the graph.
        source: the folder with what stands beside it.
        labels: names for the outputs, before those of the folder.
        max_length: tokens a text may have, before what the folder says.
        guard: how the child is started.
        found: of the tokenizer.
        sheet: how rows are filled to one length, where somebody knows.
        told: what a folder of ours says of itself: text settings, languages and prompts are kept.
        child: module of the child that reads the file.

    Raises:
        InvalidInput: `labels_missing` and what the child says.
    """
    kind = TASKS.get(task).head
    names = tuple(labels) if labels is not None else label_files.read_labels(source)
    parts = read_parts(source) if kind == "vectors" else None
    if parts is not None and parts.dense:  # a graph holds its layers itself
        raise InvalidInput("unsupported_pooling", found="Dense, ONNX")
    wanted = _wanted(kind, names, parts)
    lengths = _lengths(source, max_length, parts)
    asked = Asked(wanted, _OUTPUTS[kind], lengths, found.largest_id, found.pad_id or 0, kind == "pairs", sheet)
    aside = out / "graph.onnx"
    facts = run_child(child, asked.to_json(), file=file, out=aside, guard=guard)
    if not 0 < aside.stat().st_size <= MAX_RESULT_BYTES:
        raise InvalidInput("foreign_file_broke", file=file.name, problem="> 2 GB")
    width = cast("int", facts["width"])
    if kind in ("labels", "tokens") and names is None:
        raise InvalidInput("labels_missing", count=width)
    head = Head(_OUTPUTS[kind], parts.head.pooling if parts else "", bool(parts and parts.head.is_normalized), bool(facts["has_types"]))
    reference = f"onnxruntime-{facts['precision']}"
    vectors = VectorSettings(width, head.is_normalized, parts.prompts, parts.default_prompt) if parts else None
    spec = ModelSpec(
        task, () if parts else (PAIR_LABEL,) if kind == "pairs" else names or (), cast("int", facts["max_length"]), found.pad_id or 0,
        vectors=vectors, reference=reference, is_alone=bool(facts["is_alone"]),
    )  # fmt: skip
    if told is not None:
        spec = replace(spec, text=told.text, languages=told.languages, vectors=told.vectors or spec.vectors, cuts=told.cuts)
    place = out / "variants" / reference / "model.onnx"
    place.parent.mkdir(parents=True)
    aside.rename(place)
    _write_config(spec, head, out)
    spec.save(out)
    return Graph(spec, head, cast("int", facts["num_parameters"]), bool(parts and parts.is_assumed))


def _wanted(kind: HeadKind, names: tuple[str, ...] | None, parts: SentenceParts | None) -> Wanted:
    if parts is not None:
        return Wanted(kind, None, parts.head.pooling, parts.head.is_normalized)
    return Wanted(kind, 1 if kind == "pairs" else len(names) if names else None)


def _lengths(source: Path, wanted: int | None, parts: SentenceParts | None) -> list[int]:
    """Tokens a text may have, the most likely first; the graph's own answer decides."""
    if wanted is not None:
        return [wanted]
    stated: list[object] = [parts.max_length if parts else None]
    for name, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        path = source / name
        stated.append(strict_json.read_object(path, max_bytes=MAX_CONFIG_BYTES).get(key) if path.is_file() else None)
    if (source / "tokenizer.json").is_file():
        whole = strict_json.read_object(source / "tokenizer.json", max_bytes=128 * 2**20)
        truncation = whole.get("truncation")
        stated.append(truncation.get("max_length") if isinstance(truncation, dict) else None)
    right = [int(item) for item in stated if isinstance(item, int | float) and not isinstance(item, bool) and 1 <= item <= USUAL_LENGTH]
    first = min(right, default=USUAL_LENGTH)
    return [first, *(length for length in (first - 2, 256, 128, 64, 32, 16) if 0 < length < first)]


def _write_config(spec: ModelSpec, head: Head, out: Path) -> None:
    config: JsonObject = {"model_type": MODEL_TYPE, KEY: head.to_json()}
    if spec.labels:
        config["id2label"] = {str(number): label for number, label in enumerate(spec.labels)}
        config["label2id"] = {label: number for number, label in enumerate(spec.labels)}
    (out / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
