"""`train`: from rows to a complete artifact folder, resumable at every step."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from hanlin.errors import EngineFailed
from hanlin.networks.loading import TORCH_DTYPES
from hanlin.observe.machine import has_bf16
from hanlin.training.adapting import adapt, frozen_weights, put_back
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Course, Divided, PlansBatches, Setting
from hanlin.training.loop import count_steps, plan, steps
from hanlin.training.optimizers import Average, Masters
from hanlin.training.option_rules import check_effects, wrong
from hanlin.training.peers import Peers
from hanlin.training.ports import Checkpoints, Progress, Silent, Watches
from hanlin.training.precision import choose_precision
from hanlin.training.state import Place, Point, RunState, read_place
from hanlin.training.team import SNAPSHOT, Team, read_rows
from hanlin.types import JsonObject

CHECKPOINT_SECONDS = 30.0
CHECKPOINT_COST = 0.1  # share of the time that they may take: dear ones are made less often
MAX_CHECKPOINT_SECONDS = 600.0  # between two, however dear
MAX_LOSSES = 3  # of peers in a row, without a checkpoint between


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run found. `best` is the watched metric of what was saved on the validation rows; its network has the weights of `best_step`.

    Attributes:
        network_best: the same of the network alone, as the curve shows it; without a linear road beside it, it is `best`.
        threads: of each process.
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
    """Train a network for `config.task` and write its artifact folder to `out`; resumes from the newest checkpoint of the same run.

    Sets torch's thread count and random state of this process. Where several processes train, the others are started and ended here;
    when one of them dies all begin again at the newest checkpoint.

    Args:
        base: folder of the weights to fine-tune; needed when `config.model` is `base`.
        vectors: text file of word vectors to start the token table of our networks from.
        raw_text: text file, one text a line, to learn such vectors from; not beside `vectors`.

    Raises:
        InvalidInput: data or options that cannot be trained on.
        EngineFailed: `diverged`; `peer_lost`, the third time that another process died at the same place. Checkpoints before it stay.
        Cancelled: from `progress`.
    """
    check_effects({name: True for name, file in (("vectors", vectors), ("raw_text", raw_text)) if file}, {}, config.case)
    threads = max(1, (config.threads or torch.get_num_threads()) // config.processes)
    torch.set_num_threads(threads)
    request = request_digest(config, data, base, vectors or raw_text)
    setting = Setting(config, data, out, progress, base=base, vectors=vectors, raw_text=raw_text)
    losses, reached = 0, -1
    while True:
        found = _newest(checkpoints, request)
        losses, reached = (0 if (step := read_place(found).step if found else 0) > reached else losses), step
        try:
            return _lead(replace(setting, found=found), request, checkpoints, threads)
        except EngineFailed as error:
            losses += 1
            if error.code != "peer_lost" or losses >= MAX_LOSSES:
                raise
            progress.message("peer_replaced", problem=str(error.params["problem"]))


def follow(
    config: TrainConfig, peers: Peers, folder: Path, *, request: str, threads: int, base: Path | None = None, vectors: Path | None = None,
    raw_text: Path | None = None,
) -> None:  # fmt: skip
    """Take every step of a run beside its lead; `folder` holds what `Team` laid out. Raises EngineFailed (`peer_lost`)."""
    torch.set_num_threads(threads)
    out, found = folder / f"out-{peers.rank}", folder / SNAPSHOT
    setting = Setting(config, read_rows(folder), out, Silent(), base=base, vectors=vectors, raw_text=raw_text, found=found)
    course, state = _prepare(setting, request)
    for _step in steps(course, state, _count_steps(course), peers):
        pass


def _newest(checkpoints: Checkpoints, request: str) -> Path | None:
    """The newest checkpoint, where it is of this very run."""
    found = checkpoints.latest()
    return None if found is None or read_place(found).request != request else found


def _prepare(setting: Setting, request: str) -> tuple[Course, RunState]:
    """A run from its beginning, or from where its checkpoint stands."""
    config = setting.config
    torch.manual_seed(config.seed)
    shutil.rmtree(setting.out, ignore_errors=True)
    setting.out.mkdir(parents=True)
    course = LESSONS.get(config.task).prepare(setting)
    if config.processes > 1 and not isinstance(course, Divided):
        raise wrong("processes", config.processes, f"1 for {config.task}")
    state = _start_state(course, request, setting)
    if setting.found is not None:
        state.read(setting.found)
        setting.progress.message("training_resumed", step=state.place.step)
    return course, state


def _lead(setting: Setting, request: str, checkpoints: Checkpoints, threads: int) -> TrainReport:
    """The run, as the process that saves and reports."""
    course, state = _prepare(setting, request)
    config, place = setting.config, state.place
    if isinstance(setting.progress, Watches):
        setting.progress.watch(course.config.metric)
    with Team(setting, state, threads) as peers:
        seconds, tokens = _run(course, state, setting, checkpoints, peers)
    network_best, best = _finish(course, state)
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


def _count_steps(course: Course) -> int:
    return sum(count_steps(plan(course, epoch), course.config.accumulation) for epoch in range(course.config.epochs))


def _start_state(course: Course, request: str, setting: Setting) -> RunState:
    config, progress = course.config, setting.progress
    scales = dict(adapt(course, setting))
    if setting.found is not None:
        precision = read_place(setting.found).precision
    elif config.precision == "auto" and not has_bf16():
        precision = "fp32"
        progress.message("precision_known", precision=precision)
    elif config.precision == "auto":
        precision, seconds = choose_precision(course.module, _typical_losses(course))
        times = {name: round(value * 1e3) for name, value in seconds.items()}
        progress.message("precision_chosen", fp32=times["fp32"], bf16=times["bf16"], precision=precision)
    else:
        precision = config.precision
    frozen = {} if precision == "fp32" else frozen_weights(course.module)
    masters = Masters(course.module, config, TORCH_DTYPES[precision], scales)
    average = Average(masters.masters, config.average) if config.average else None
    return RunState(course.module, masters, average, Place(request, precision), frozen)


def _typical_losses(course: Course) -> list[Callable[[nn.Module], Tensor]]:
    batches = plan(course, 0)
    if not isinstance(course, PlansBatches):  # whose are all alike
        batches = sorted(batches, key=lambda batch: course.lengths[batch[-1]])
    chosen = [batches[len(batches) * quarter // 4] for quarter in (1, 2, 3)]
    return [partial(_loss_of, course, batch) for batch in chosen]


def _loss_of(course: Course, batch: Sequence[int], module: nn.Module) -> Tensor:
    return course.loss(module, batch)


def _run(course: Course, state: RunState, setting: Setting, checkpoints: Checkpoints, peers: Peers) -> tuple[float, int]:
    """Drive the loop. Returns seconds and tokens of this attempt."""
    progress, tokenizer, total = setting.progress, setting.out / "tokenizer.json", _count_steps(course)
    started = saved = time.perf_counter()
    costs: deque[float] = deque(maxlen=3)  # the least counts: a disk that stumbles now and then is not dear
    first_step = state.place.step
    mean_tokens = sum(course.lengths) * course.config.epochs / max(1, total)
    for step, metrics in steps(course, state, total, peers):
        now = time.perf_counter()
        speed = (step - first_step) * mean_tokens / max(now - started, 1e-9)
        progress.report(step, total, metrics | {"tokens_per_s": speed})
        progress.check_cancelled()
        if _is_due(now - saved, min(costs, default=0.0), is_judged="validation_loss" in metrics):
            began = time.perf_counter()
            checkpoints.save(step, lambda folder: state.write(folder, tokenizer))
            saved = time.perf_counter()
            costs.append(saved - began)
    return time.perf_counter() - started, int((state.place.step - first_step) * mean_tokens)


def _is_due(passed: float, cost: float, *, is_judged: bool) -> bool:
    """Whether to save a checkpoint `passed` seconds after the last one, which took `cost` seconds."""
    wanted = cost / CHECKPOINT_COST
    if wanted <= CHECKPOINT_SECONDS or not CHECKPOINT_SECONDS:
        return is_judged or passed > CHECKPOINT_SECONDS
    return passed > min(wanted, MAX_CHECKPOINT_SECONDS)


def _finish(course: Course, state: RunState) -> tuple[float, float]:
    """Put the best weights into the module and save it. Returns the watched figure of the network alone, and of what was saved."""
    module = course.module.float()
    with torch.no_grad():
        torch._foreach_copy_([parameter.data for parameter in state.masters.parameters], state.best)
    put_back(module, state.frozen)
    module.eval()
    assert state.place.best is not None
    network_best = -state.place.best if course.config.metric == "loss" else state.place.best
    return network_best, course.finish(network_best)
