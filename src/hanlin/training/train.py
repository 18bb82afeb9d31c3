"""`train`: from rows to a complete artifact folder, resumable at every step."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from hanlin.models.pretrained import build_from_base, rate_scales
from hanlin.models.vectors import Vectors, read_vectors
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import TORCH_DTYPES, save_network
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.batches import collate, plan_epoch
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import judge
from hanlin.training.examples import Examples, TrainData, check_data, class_weights, encode
from hanlin.training.loop import Course, steps
from hanlin.training.optimizers import Average, Masters
from hanlin.training.ports import Checkpoints, Progress
from hanlin.training.precision import choose_precision
from hanlin.training.raw_text import learn_vectors, read_texts
from hanlin.training.scratch import new_network, write_spec, write_tokenizer
from hanlin.training.state import Place, Point, RunState, read_place
from hanlin.training.wide import add_wide_road
from hanlin.types import JsonObject

CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run found. `best` is the watched metric of what was saved on the validation rows; its network has the weights of `best_step`.

    Attributes:
        network_best: the same of the network alone, as the curve shows it; without a linear road beside it, it is `best`.
        seconds, tokens_per_s: of the steps of the last attempt, evaluations included; tokens without padding.
    """

    steps: int
    best: float
    network_best: float
    best_step: int
    precision: str
    threads: int
    seconds: float
    tokens_per_s: float
    history: tuple[Point, ...]
    config: JsonObject

    def to_json(self) -> JsonObject:
        """The stored form."""
        values: JsonObject = json.loads(json.dumps(asdict(self)))
        return values


def train(
    config: TrainConfig, data: TrainData, *, out: Path, progress: Progress, checkpoints: Checkpoints, base: Path | None = None,
    vectors: Path | None = None, raw_text: Path | None = None,
) -> TrainReport:  # fmt: skip
    """Train a classifier and write its artifact folder to `out`; resumes from the newest checkpoint of the same run.

    Sets torch's thread count and random state of this process.

    Args:
        base: folder of the weights to fine-tune; needed when `config.model` is `base`.
        vectors: text file of word vectors to start the token table of our networks from.
        raw_text: text file, one text a line, to learn such vectors from; not beside `vectors`.

    Raises:
        InvalidInput: data or options that cannot be trained on.
        EngineFailed: `diverged`; checkpoints before it stay.
        Cancelled: from `progress`.
    """
    check_data(data)
    threads = config.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(config.seed)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    found = checkpoints.latest()
    request = request_digest(config, data, base, vectors or raw_text)
    if found is not None and read_place(found).request != request:
        found = None  # of a run with other options or data
    begin = _Beginning(base, vectors, raw_text, found)
    start = _prepare(config, data, out, begin, progress)
    state = _start_state(config, start, request, found, progress)
    if found is not None:
        state.read(found)
        progress.message("training_resumed", step=state.place.step)
    seconds, tokens = _run(start.course, state, out / "tokenizer.json", progress, checkpoints)
    network_best, best = _finish(start, state, out, progress)
    place = state.place
    return TrainReport(
        steps=place.step, best=best, network_best=network_best, best_step=place.best_step, precision=place.precision, threads=threads,
        seconds=seconds, tokens_per_s=tokens / max(seconds, 1e-9), history=tuple(place.history), config=config.to_json(),
    )  # fmt: skip


def request_digest(config: TrainConfig, data: TrainData, base: Path | None, vectors: Path | None = None) -> str:
    """SHA-256 over everything that decides a run: options, rows, labels, base weights, word vectors."""
    digest = hashlib.sha256(json.dumps([config.to_json(), list(data.labels)], sort_keys=True).encode())
    for rows in (data.train, data.validation):
        for text, label in zip(rows.texts, rows.labels, strict=True):
            digest.update(f"{len(text.encode())}:{text}\0{label}\0".encode())
        digest.update(b"\1")
    for path in [base / "model.safetensors", base / "tokenizer.json"] if base else []:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if vectors:
        with vectors.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Start:
    module: nn.Module
    course: Course
    scales: dict[str, float]
    compaction: Compaction | None


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a run begins with: base weights, word vectors, raw text, and the checkpoint that was found."""

    base: Path | None
    vectors: Path | None
    raw_text: Path | None
    found: Path | None


def _prepare(config: TrainConfig, data: TrainData, out: Path, begin: _Beginning, progress: Progress) -> _Start:
    """Tokenizer and spec in `out`, the module, the encoded rows."""
    base = begin.base
    if begin.found is not None:
        shutil.copyfile(begin.found / "tokenizer.json", out / "tokenizer.json")
    elif config.is_scratch:
        write_tokenizer(config, data, out, read_texts(begin.raw_text, config) if begin.raw_text else ())
    else:
        assert base is not None, "fine-tuning needs a base"
        shutil.copyfile(base / "tokenizer.json", out / "tokenizer.json")
    spec = write_spec(config, data, out, base=base)
    module: nn.Module = (
        new_network(config, data.labels, out, _vectors(config, out, begin, progress))
        if config.is_scratch or base is None
        else build_from_base(base, data.labels, dropout=config.dropout)
    )
    replace_dropout(module)
    train, validation = _encode(config, data, spec, out)
    compaction = None if config.is_scratch else compact(module, train.rows + validation.rows, spec.pad_id)
    if compaction:
        train = Examples(compaction.translate(train.rows), train.gold)
        validation = Examples(compaction.translate(validation.rows), validation.gold)
    scales = {} if config.is_scratch else rate_scales(module, layer_decay=config.layer_decay, head_rate=config.head_rate)
    weights = class_weights(train.gold, len(data.labels)) if config.class_weights == "balanced" else None
    course = Course(config, data.labels, spec.pad_id, train, validation, weights, _count_steps(config, train))
    return _Start(module, course, scales, compaction)


def _vectors(config: TrainConfig, out: Path, begin: _Beginning, progress: Progress) -> Vectors | None:
    if begin.vectors is not None:
        return read_vectors(begin.vectors, set(load_tokenizer(out / "tokenizer.json").get_vocab(with_added_tokens=True)))
    if begin.raw_text is None or begin.found is not None:  # a checkpoint holds what was learnt
        return None
    return learn_vectors(begin.raw_text, config, out, progress)


def _encode(config: TrainConfig, data: TrainData, spec: ModelSpec, out: Path) -> tuple[Examples, Examples]:
    encoder = TextEncoder.load(out)
    encoder.max_length = min(spec.max_length, config.train_length)
    train = encode(data.train, data.labels, encoder)
    encoder.max_length = spec.max_length
    return train, encode(data.validation, data.labels, encoder)


def _count_steps(config: TrainConfig, examples: Examples) -> int:
    lengths = examples.lengths
    counts = (
        len(plan_epoch(lengths, seed=config.seed, epoch=epoch, batch_tokens=config.batch_tokens, batch_size=config.batch_size))
        for epoch in range(config.epochs)
    )
    return sum(counts)


def _start_state(config: TrainConfig, start: _Start, request: str, found: Path | None, progress: Progress) -> RunState:
    if found is not None:
        precision = read_place(found).precision
    elif config.precision == "auto":
        precision, seconds = choose_precision(start.module, _typical_batches(start.course))
        times = {name: round(value * 1e3) for name, value in seconds.items()}
        progress.message("precision_chosen", fp32=times["fp32"], bf16=times["bf16"], precision=precision)
    else:
        precision = config.precision
    masters = Masters(start.module, config, TORCH_DTYPES[precision], start.scales)
    average = Average(masters.masters, config.average) if config.average else None
    return RunState(start.module, masters, average, Place(request, precision))


def _typical_batches(course: Course) -> list[tuple[torch.Tensor, torch.Tensor]]:
    plan = sorted(course.plan(0), key=lambda batch: len(course.train.rows[batch[-1]]))
    chosen = [plan[len(plan) // 4], plan[len(plan) // 2], plan[3 * len(plan) // 4]]
    return [collate([course.train.rows[row] for row in batch], course.pad_id) for batch in chosen]


def _run(course: Course, state: RunState, tokenizer: Path, progress: Progress, checkpoints: Checkpoints) -> tuple[float, int]:
    """Drive the loop. Returns seconds and tokens of this attempt."""
    started = saved = time.perf_counter()
    first_step = state.place.step
    mean_tokens = sum(course.train.lengths) * course.config.epochs / max(1, course.total)
    for step, metrics in steps(course, state):
        now = time.perf_counter()
        speed = (step - first_step) * mean_tokens / max(now - started, 1e-9)
        progress.report(step, course.total, metrics | {"tokens_per_s": speed})
        progress.check_cancelled()
        if "validation_loss" in metrics or now - saved > CHECKPOINT_SECONDS:
            checkpoints.save(step, lambda folder: state.write(folder, tokenizer))
            saved = time.perf_counter()
    return time.perf_counter() - started, int((state.place.step - first_step) * mean_tokens)


def _finish(start: _Start, state: RunState, out: Path, progress: Progress) -> tuple[float, float]:
    """Put the best weights into the module, add the wide road, save. Returns the watched metric without the road, and of what was saved."""
    config, module = start.course.config, start.module.float()
    with torch.no_grad():
        torch._foreach_copy_([parameter.data for parameter in state.masters.parameters], state.best)
    if start.compaction:
        start.compaction.restore(module)
    module.eval()
    assert state.place.best is not None
    network_best = best = -state.place.best if config.metric == "loss" else state.place.best
    if config.wide and isinstance(module, TextClassifier | PretrainedClassifier):
        best = _widen(module, start, progress, before=network_best)
    save_network(module, out)
    return network_best, best


def _widen(module: TextClassifier | PretrainedClassifier, start: _Start, progress: Progress, *, before: float) -> float:
    course, config, original = start.course, start.course.config, start.compaction
    train, validation = course.train, course.validation
    if original:  # the road's runs are numbered by the tokenizer's ids
        train, validation = (Examples(original.original(part.rows), part.gold) for part in (train, validation))
    progress.message("fitting_wide_road", rows=len(train.rows))
    found = add_wide_road(module, train, validation, pad_id=course.pad_id, seed=config.seed)
    after = judge(config.task, found.probabilities, validation, course.labels)[config.metric]
    progress.message(
        "wide_road_fitted", deep=found.deep, wide=found.wide, metric=config.metric, before=round(before, 4), after=round(after, 4)
    )
    return after
