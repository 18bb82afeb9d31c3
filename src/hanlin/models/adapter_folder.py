"""A folder of peft's (`adapter_config.json`, `adapter_model.safetensors`) over a base that we have becomes an artifact folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.models import own_folder, strict_json, weights_file, writers
from hanlin.models.heads import Heading
from hanlin.models.trial import try_out
from hanlin.networks.adapter import CONFIG_FILE, WEIGHTS_FILE, AdapterSettings
from hanlin.networks.config import MAX_CONFIG_BYTES, read_config
from hanlin.networks.head import CLASSIFIER, KEY, WRITER, Head
from hanlin.networks.lora import lay_out_base
from hanlin.tasks.base import TASKS
from hanlin.tasks.labels import MAX_LABELS, labels_from_config
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import JsonObject, shorten

NEEDED = frozenset({CONFIG_FILE, WEIGHTS_FILE})


def import_adapter(source: Path, base: Path, out: Path, *, task: str, labels: Sequence[str] | None) -> tuple[ModelSpec, int, Head]:
    """Check the adapter in `source` and write an artifact folder to `out`: spec, number of parameters, head.

    Args:
        source: whose names of files are checked already.
        base: artifact folder of what it stands on; tokenizer, lengths and cleaning are taken from it.
        labels: names of the outputs, in their order; else LABEL_0, LABEL_1, …

    Raises:
        InvalidInput: `unsupported_adapter`, `invalid_labels`, `weights_do_not_fit` and others naming what does not fit.
    """
    stored = strict_json.read_object(source / CONFIG_FILE, max_bytes=MAX_CONFIG_BYTES)
    settings = AdapterSettings.of(stored)
    tensors = weights_file.read_header(source / WEIGHTS_FILE)
    told, known = own_folder.read_spec(source, task=task), ModelSpec.load(base)
    config = cast("JsonObject", {key: value for key, value in read_config(base).items() if key not in {"id2label", "label2id", KEY}})
    kind = TASKS.get(task).head
    if kind == "vectors":
        own = Head.of(read_config(base))
        if own.dense:
            raise InvalidInput("unsupported_adapter", name="base", value="dense layers behind the pooling")
        head = own if own.output == "embeddings" else Head("embeddings", "mean", is_normalized=True)
        size = config.get("hidden_size", config.get("dim"))
        assert isinstance(size, int), "checked when the base came"
        spec = replace(known, task=task, labels=(), vectors=known.vectors or VectorSettings(size, head.is_normalized))
    elif kind in ("labels", "tokens"):
        head = CLASSIFIER if kind == "labels" else Head("token_logits")
        config |= _labels(tensors, labels or (told.labels if told else None))
        spec = ModelSpec(task, labels_from_config(config), known.max_length, known.pad_id, text=known.text, languages=known.languages)
        if told:
            spec = replace(told, max_length=min(told.max_length, known.max_length), pad_id=known.pad_id, labels=spec.labels)
    elif kind in writers.OWN.values():
        if Head.of(read_config(base)) != WRITER:
            raise InvalidInput("unsupported_adapter", name="base", value=f"a network that does not write ({task})")
        head, spec = WRITER, replace(told or known, task=task, max_length=min((told or known).max_length, known.max_length))
    else:
        raise InvalidInput("unsupported_adapter", name="task", value=task)
    if head != CLASSIFIER and not own_folder.is_own(config):
        config[KEY] = head.to_json()
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copyfile(base / "tokenizer.json", out / "tokenizer.json")
    (out / CONFIG_FILE).write_text(
        json.dumps(replace(settings, heads=_heads(stored)).to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    shutil.copyfile(source / WEIGHTS_FILE, out / WEIGHTS_FILE)
    spec.save(out)
    lay_out_base(base, out)
    return spec, try_out(out, spec, Heading(head, spec.labels)), head


def _labels(tensors: dict[str, weights_file.Tensor], given: Sequence[str] | None) -> JsonObject:
    widths = [tensor.shape[0] for name, tensor in tensors.items() if ".lora_" not in name and name.endswith(".weight") and tensor.shape]
    if not widths or widths[-1] > MAX_LABELS:
        raise InvalidInput("weights_do_not_fit", names=f"classifier ({WEIGHTS_FILE})")
    names = list(given or [f"LABEL_{number}" for number in range(widths[-1])])
    if len(names) != widths[-1]:
        raise InvalidInput("invalid_labels", problem=f"{len(names)} labels for a head of {widths[-1]} outputs")
    numbers: JsonObject = {label: number for number, label in enumerate(names)}
    return {"id2label": {str(number): label for label, number in numbers.items()}, "label2id": numbers}


def _heads(stored: JsonObject) -> tuple[str, ...]:
    found = stored.get("modules_to_save")
    return tuple(shorten(str(name)) for name in found[:20]) if isinstance(found, list) else ()
