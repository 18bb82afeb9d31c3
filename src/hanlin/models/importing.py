"""A foreign folder, or one of our own, becomes an artifact folder: all is checked, only known parts are written.

Of Hugging Face folders nothing is run; files that need a library to be read (ONNX, Keras) are opened in a child process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import (
    adapter_folder,
    allowed,
    chat_forms,
    gguf_folder,
    heads,
    keras_folder,
    label_files,
    onnx_folder,
    own_folder,
    prompt_folder,
    slow_tokenizers,
    strict_json,
    weights_file,
    writers,
)  # fmt: skip
from hanlin.models.child import Guard, plain_guard
from hanlin.models.folder_check import check_model_folder
from hanlin.models.foreign_config import check_config
from hanlin.models.lengths import length_limit
from hanlin.models.tokenizer_probe import Probe, probe
from hanlin.models.trial import check_size, try_out
from hanlin.networks.adapter import AdapterSettings, is_adapter
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.networks.head import CLASSIFIER, KEY, WRITER, Head
from hanlin.networks.projection import save_projection
from hanlin.networks.wide import WIDE_FILE
from hanlin.tasks.base import TASKS, HeadKind
from hanlin.tasks.chat import stops_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.hidden_tokens import MASKS
from hanlin.tasks.problems import head_of
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.types import JsonObject


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in.

    Attributes:
        is_base: it has no head of its own: it can be fine-tuned and published as a base, not certified.
        is_pooling_assumed: its vectors are the normalised mean of its tokens because the folder does not say what they are.
        template_problem: why its chat template was left out, so that it takes no talks; empty: it has none, or was not.
    """

    spec: ModelSpec
    is_base: bool
    num_parameters: int
    head: Head = CLASSIFIER
    is_pooling_assumed: bool = False
    template_problem: str = ""


def import_folder(
    source: Path, out: Path, *, task: str, labels: Sequence[str] | None = None, max_length: int | None = None, guard: Guard = plain_guard,
    base: Path | None = None,
) -> Imported:  # fmt: skip
    """Check the folder `source` and write an artifact folder to `out`, which must not exist.

    Args:
        labels: names for the outputs of the head, when config.json has none worth keeping.
        max_length: tokens a text may have; at most what the model's positions allow.
        guard: how a child process is started that opens what only a large library can read.
        base: artifact folder of the version that an adapter of peft's stands on.

    Raises:
        InvalidInput: naming the file or key; `unsupported_format` for pickles and other formats that could run code.
    """
    if is_adapter(source) or prompt_folder.is_prompt(source) or base is not None:
        return _import_over(source, base, out, task=task, labels=labels)
    if (packed := gguf_folder.find_model(source)) is not None:
        return _import_packed(packed, out, task=task, labels=labels, max_length=max_length, guard=guard)
    if (model := keras_folder.find_model(source)) is not None:
        return _import_keras(model, source, out, task=task, labels=labels, guard=guard)
    if (graph := onnx_folder.find_model(source, own_folder.read_spec(source, task=task))) is not None:
        return _import_graph(graph, source, out, task=task, labels=labels, max_length=max_length, guard=guard)
    check_model_folder(source)
    tensors = weights_file.read_header(source / allowed.WEIGHTS)
    told = own_folder.read_spec(source, task=task)
    kind = head_of(told) if told else TASKS.get(task).head
    if own_folder.is_own(strict_json.read_object(source / "config.json", max_bytes=MAX_CONFIG_BYTES)):
        return _import_own(source, out, tensors, told=told, labels=labels, kind=kind)
    config = check_config(source, kind)
    out.mkdir(parents=True)
    try:
        found = _write_tokenizer(source, out)
        heading = heads.choose(kind, source, config, tensors, labels)
        if told and told.pairs != heading.pairs:  # only who made it knows what it was taught to read
            head = Head(heading.head.output, heading.head.pooling, heading.head.is_normalized, told.has_types)
            heading = replace(heading, pairs=told.pairs, head=head)
        if told and not heading.is_base and labels is None and told.labels != heading.labels:
            raise InvalidInput("invalid_model_spec", field="labels", problem="≠ id2label (config.json)")
        limit = length_limit(source, config, max_length or (told.max_length if told else None), heading.max_length)
        pad_id = told.pad_id if told else _pad_id(config, found)
        spec = ModelSpec(
            task=task, labels=heading.labels, max_length=limit, pad_id=pad_id, vectors=heading.vectors, generation=heading.generation,
            mask_id=mask_of(out) if kind == "masks" else None,
        )  # fmt: skip
        spec = replace(spec, problem=told.problem if told else heading.problem, pairs=heading.pairs)
        spec, problem = _with_chat(source, out, spec, kind)
        if told:
            spec = replace(
                spec, text=told.text, languages=told.languages, vectors=told.vectors or heading.vectors, thresholds=told.thresholds,
                scale=told.scale, generation=told.generation or heading.generation, chat=told.chat or spec.chat, prompt=told.prompt,
                meanings=told.meanings if told.prompt else None, calibration=told.calibration,
            )  # fmt: skip
        _check_fit(config, found, spec)
        _write_config(writers.config_of(source, config, kind), heading, out)
        shutil.copyfile(source / allowed.WEIGHTS, out / allowed.WEIGHTS)
        if own_folder.check_wide(source, config, heading.labels, is_base=heading.is_base):
            shutil.copyfile(source / WIDE_FILE, out / WIDE_FILE)
        if heading.projection is not None:
            save_projection(heading.projection, out)
        spec.save(out)
        TextEncoder.load(out)
        check_size(out, tensors, kind)
        size = try_out(out, spec, heading)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return Imported(spec, heading.is_base, size, heading.head, heading.is_assumed, problem)


def _with_chat(source: Path, out: Path, spec: ModelSpec, kind: HeadKind) -> tuple[ModelSpec, str]:
    """With the form of talks that the folder tells of, and the token that ends an answer in it among those that end.

    Also why its template was left out."""
    tokenizer = load_tokenizer(out / "tokenizer.json")
    if kind != "continuations" or spec.generation is None:
        return spec, ""
    form, problem = chat_forms.form_of(source, tokenizer)
    if form is None:
        return spec, problem
    known = spec.generation.stop_ids or ()
    stops = (*(stop for stop in stops_of(tokenizer, form) if stop not in known), *known)
    return replace(spec, chat=form, generation=replace(spec.generation, stop_ids=stops or None)), ""


def _import_over(source: Path, base: Path | None, out: Path, *, task: str, labels: Sequence[str] | None) -> Imported:
    """Low-rank matrices and a head over a base of ours, or a form of prompts over a model of texts and talks."""
    is_asked = prompt_folder.is_prompt(source)
    if not is_asked:
        check_model_folder(source, needed=adapter_folder.NEEDED)
    if base is None and is_asked:
        raise InvalidInput("prompt_needs_base")
    if base is None:
        raise InvalidInput("adapter_needs_base", base=AdapterSettings.load(source).base or "?")
    try:
        if is_asked:
            spec, size = prompt_folder.import_prompt(source, base, out, task=task)
            return Imported(spec, False, size, WRITER)
        spec, size, head = adapter_folder.import_adapter(source, base, out, task=task, labels=labels)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return Imported(spec, False, size, head)


def _import_own(
    source: Path, out: Path, tensors: dict[str, weights_file.Tensor], *, told: ModelSpec | None, labels: Sequence[str] | None,
    kind: HeadKind,
) -> Imported:  # fmt: skip
    """One of our own networks: the same files again, byte for byte where they are right, and nothing else."""
    if (source / WIDE_FILE).is_file():  # our own networks hold their road among their weights
        raise InvalidInput("unexpected_file", file=WIDE_FILE)
    config = own_folder.read_network(source, labels)
    writers.check_own(config.model_type, kind)
    head = WRITER if config.is_generator else CLASSIFIER
    own_folder.check_weights(config, tensors)
    out.mkdir(parents=True)
    try:
        spec = own_folder.check_spec(config, told, _write_tokenizer(source, out), is_renamed=labels is not None)
        config.save(out)
        shutil.copyfile(source / allowed.WEIGHTS, out / allowed.WEIGHTS)
        spec.save(out)
        TextEncoder.load(out)
        size = try_out(out, spec, heads.Heading(head, spec.labels))
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return Imported(spec, False, size, head)


def _import_packed(file: Path, out: Path, *, task: str, labels: Sequence[str] | None, max_length: int | None, guard: Guard) -> Imported:
    """A GGUF file: unpacked beside `out`, then a folder like any other."""
    aside = out.with_name(f"{out.name}-unpacked")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        gguf_folder.unpack(file, aside, task=task, guard=guard)
        return import_folder(aside, out, task=task, labels=labels, max_length=max_length, guard=guard)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _import_graph(
    file: Path, source: Path, out: Path, *, task: str, labels: Sequence[str] | None, max_length: int | None, guard: Guard
) -> Imported:
    """An ONNX file with its tokenizer and labels."""
    check_model_folder(source, needed=frozenset(), besides=frozenset({file.name, "config.json"}) | label_files.NAMES)
    told = own_folder.read_spec(source, task=task)
    if told is not None:
        labels, max_length = labels or told.labels or None, max_length or told.max_length
    out.mkdir(parents=True)
    try:
        found = _write_tokenizer(source, out)
        graph = onnx_folder.import_graph(
            file, source, out, task=task, labels=labels, max_length=max_length, guard=guard, found=found, told=told
        )  # fmt: skip
        TextEncoder.load(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return Imported(graph.spec, False, graph.num_parameters, graph.head, graph.is_pooling_assumed)


def _import_keras(file: Path, source: Path, out: Path, *, task: str, labels: Sequence[str] | None, guard: Guard) -> Imported:
    """A Keras file with its word index or vocabulary, and labels."""
    check_model_folder(source, needed=frozenset(), besides=frozenset({file.name}) | keras_folder.NAMES | label_files.NAMES)
    out.mkdir(parents=True)
    try:
        graph = keras_folder.import_keras(file, source, out, task=task, labels=labels, guard=guard)
        TextEncoder.load(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return Imported(graph.spec, False, graph.num_parameters, graph.head, graph.is_pooling_assumed)


def _write_tokenizer(source: Path, out: Path) -> Probe:
    if (source / "tokenizer.json").is_file():
        shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
    else:
        (out / "tokenizer.json").write_text(slow_tokenizers.convert(source).to_str(), encoding="utf-8")
    return probe(out / "tokenizer.json")


def _pad_id(config: JsonObject, found: Probe) -> int:
    stated = config.get("pad_token_id")
    if found.pad_id is not None:
        return found.pad_id
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else 0


def mask_of(folder: Path) -> int:
    """The token that hides others. Raises InvalidInput (`tokenizer_does_not_fit`)."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    for name in MASKS:
        if (found := tokenizer.token_to_id(name)) is not None:
            return int(found)
    raise InvalidInput("tokenizer_does_not_fit", problem=f"none of the masks {', '.join(MASKS)}")


def _check_fit(config: JsonObject, found: Probe, spec: ModelSpec) -> None:
    rows = config.get("vocab_size")
    if not isinstance(rows, int) or found.largest_id >= rows or not 0 <= spec.pad_id < rows:
        raise InvalidInput("tokenizer_does_not_fit", problem=f"token id {max(found.largest_id, spec.pad_id)} for {rows} embedding rows")
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "unk_token_id"):
        stated = config.get(name)
        ids = stated if isinstance(stated, list) and name == "eos_token_id" else [] if stated is None else [stated]
        if not all(isinstance(one, int) and 0 <= one < rows for one in ids):
            raise InvalidInput("tokenizer_does_not_fit", problem=f"{name} for {rows} embedding rows")


def _write_config(config: JsonObject, heading: heads.Heading, out: Path) -> None:
    kept = {key: value for key, value in config.items() if key not in allowed.DROPPED_KEYS | {"id2label", "label2id"}}
    if heading.labels:
        kept["id2label"] = {str(number): label for number, label in enumerate(heading.labels)}
        kept["label2id"] = {label: number for number, label in enumerate(heading.labels)}
    if heading.head != CLASSIFIER:
        kept[KEY] = heading.head.to_json()
    (out / "config.json").write_text(json.dumps(kept, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
