"""The budgeted search: make every variant, judge it on validation rows, measure it, choose the best within the budget.

The reference (torch-fp32, or what a version without torch weights names) always takes part and is always eligible, so something is
always chosen; a variant that fails or is over budget stands in the report with its reason and is never chosen. Test rows are scored
once, after the choice.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hanlin.compression.base import convert, said_of
from hanlin.compression.batches import spread
from hanlin.compression.bench_client import BenchClient, Scores
from hanlin.compression.choice import choose
from hanlin.compression.examining import examine
from hanlin.compression.judge import Bounds, Judgement, judge, odd_neighbours, perplexity_of, tolerance_of, unlike_reason
from hanlin.compression.main_figure import figure_name, main_figure
from hanlin.compression.measure import Timing, measure
from hanlin.compression.plan import EncodedSplit, Plan, check_plan, runnable
from hanlin.compression.report import CompressionReport, Machine, Target, VariantEvidence
from hanlin.compression.task_exam import TaskExam
from hanlin.engines import TRAINED_FILES, max_batch_rows, reference_of, split_variant, variant_files
from hanlin.errors import Cancelled, EngineFailed, HanlinError
from hanlin.generation import GenerationSettings
from hanlin.messages.said import Plain
from hanlin.tasks.base import TASKS
from hanlin.tasks.problems import likeness_of
from hanlin.tasks.spec import FILE_NAME, ModelSpec
from hanlin.training.ports import Progress

NEIGHBOUR_ROWS = 4
BATCH_TOKENS = 2048


def search(
    folder: Path, *, spec: ModelSpec, validation: EncodedSplit, test: EncodedSplit, calibration: Sequence[Sequence[int]],
    bounds: Bounds, target: Target, variants: Sequence[str], threads: int, progress: Progress, out: Path | None = None,
    rounds: int = 3, max_batch_tokens: int = BATCH_TOKENS, more: EncodedSplit | None = None,
    writing: GenerationSettings | None = None, pythons: Mapping[str, Path] | None = None, memory_share: float = 0.92,
    exam: TaskExam | None = None,
) -> CompressionReport:  # fmt: skip
    """Find the variant of `folder` that serves best within the budget, on this machine.

    Args:
        bounds: what may be lost on validation rows; all but points are of texts that are read.
        target: what "best" means: rows a second at the dataset's length mix, p50 of one row, or memory.
        variants: which to try; the reference is added.
        out: artifact folder that receives `variants/…`; None means `folder`.
        rounds: measuring rounds; fewer on a machine so busy that they take longer than 45 s.
        max_batch_tokens: token budget of a batch, padding included, as in serving.
        more: rows besides validation on which likeness to the trained model is judged, so that a tolerance stands on enough of them;
            calibration must not have seen them.
        writing: how a network that writes is asked to, when its answers are compared; each row of a split with questions under the
            grammar that the task gives it.
        pythons: of engines that live in an environment of their own.
        memory_share: of a graphics processor's memory, for all variants of such an engine together.
        exam: a task that every variant that was judged is asked to do besides, by writing.

    Raises:
        InvalidInput: `unknown_variant`, `invalid_search`, `bound_needs_reading`, `judging_rows_missing`, `calibration_empty`.
        EngineFailed: `reference_failed`.
        Cancelled: from `progress`.
    """
    names = tuple(dict.fromkeys([reference_of(folder), *runnable(folder, variants)]))
    plan = Plan(
        folder, out or folder, spec, validation, test, calibration, names, bounds, threads, rounds, max_batch_tokens,
        more or EncodedSplit([]), writing, pythons or {}, memory_share, exam,
    )  # fmt: skip
    check_plan(plan, target)
    running = _Search(plan, progress)
    try:
        return running.run(target)
    finally:
        running.close()


class _Search:
    """State of one search: the processes, and each variant's evidence so far."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.plan, self.progress = plan, progress
        self.folder, self.out, self.spec = plan.folder, plan.out, plan.spec
        self.validation, self.test = plan.validation, plan.test
        self.likeness = likeness_of(TASKS.get(plan.spec.task), plan.spec)
        self.original = plan.names[0]
        is_alone = plan.spec.is_alone
        self.evidence = {n: VariantEvidence(n, "ok", batch_invariant=max_batch_rows(n, is_alone=is_alone) is None) for n in plan.names}
        self.clients: dict[str, BenchClient] = {}
        self.reference: Judgement | None = None
        self.step, self.steps = 0, len(plan.names) * (1 + (len(plan.exam.calls) if plan.exam else 0)) + 5

    def run(self, target: Target) -> CompressionReport:
        """All stages in order."""
        start = time.monotonic()
        self._make()
        self._load()
        self._judge()
        self._examine()
        self._measure()
        chosen = choose(list(self.evidence.values()), target, reference=self.original)
        self._tick("variant_chosen", variant=chosen)
        self._read_test()
        rows = {"validation": len(self.validation.ids), "test": len(self.test.ids), "calibration": len(self.plan.calibration)}
        rows |= {"likeness": len(self.validation.ids) + len(self.plan.more.ids)}
        return CompressionReport(
            target=target, budget=self.plan.bounds.points, metric=figure_name(self.plan), chosen=chosen, reference=self.original,
            machine=Machine.here(self.plan.threads), variants=tuple(self.evidence.values()), rows=rows, seconds=time.monotonic() - start,
            max_kl=self.plan.bounds.max_kl, min_greedy_agreement=self.plan.bounds.min_greedy_agreement,
            task=self.plan.exam.to_json() | {"budget": self.plan.bounds.task_points} if self.plan.exam else None,
        )  # fmt: skip

    def close(self) -> None:
        """End all child processes."""
        for client in self.clients.values():
            client.close()

    def _make(self) -> None:
        if self.out != self.folder:
            more = ["tokenizer.json"] if self.validation.questions or self.plan.exam else []  # grammars are made of it
            for name in ("config.json", FILE_NAME, *more):  # engines read there what a graph answers with, and how long texts may be
                shutil.copyfile(self.folder / name, self.out / name)
        with tempfile.TemporaryDirectory(prefix="hanlin-compression-") as scratch:
            for name in list(self.evidence):
                began = time.monotonic()
                out = self._home(name)
                try:
                    convert(self.folder, name, calibration=self.plan.calibration, out=out, workdir=Path(scratch))
                except Cancelled:
                    raise
                except Exception as error:  # converters raise anything; one failing variant must not end the search
                    self._fail(name, error)
                    continue
                files = [out / file for file in variant_files(name) or TRAINED_FILES]
                size = sum(path.stat().st_size for path in files if path.is_file())
                self._note(name, size_bytes=size)
                self._tick("variant_made", variant=name, seconds=round(time.monotonic() - began, 1), megabytes=round(size / 1e6, 1))

    def _load(self) -> None:
        parts = (self.validation, self.test, self.plan.more)
        whole = EncodedSplit(
            [row for part in parts for row in part.ids], types=[row for part in parts for row in part.types],
            questions=[one for part in parts for one in part.questions],
        )  # fmt: skip
        apart = [name for name in self._alive() if split_variant(name)[0] in self.plan.pythons]
        for name in self._alive():
            if name not in apart:
                self._start(name, len(apart))
        for name in self._alive():
            if name in apart:  # one after the other: each looks how much of a graphics processor's memory is free
                self._start(name, len(apart))
            if name in self.clients:
                self._try(name, lambda client: self._note(client.variant, load_s=client.wait_loaded(whole)))  # also sends the rows
        self._tick("variants_loaded")

    def _start(self, name: str, num_apart: int) -> None:
        """Have a process of its own load it; one that is of another version, or dies at once, fails alone."""
        try:
            self.clients[name] = BenchClient(
                self._home(name), name, threads=self.plan.threads, pad_id=self.spec.pad_id, is_alone=self.spec.is_alone,
                writing=self.plan.writing, python=self.plan.pythons.get(split_variant(name)[0]),
                memory_share=self.plan.memory_share / max(1, num_apart),
            )  # fmt: skip
        except EngineFailed as error:
            self._fail(name, error)

    def _judge(self) -> None:
        for name in self._alive():
            self._try(name, self._judge_one)
            if name == self.original:
                self._require_reference()
        self._tick("validation_scored")

    def _judge_one(self, client: BenchClient) -> None:
        name, texts = client.variant, len(self.validation.ids)
        first = texts + len(self.test.ids)
        judged = [*range(texts), *range(first, first + len(self.plan.more.ids))]
        raw, seen = self.plan.that_count(client.score(judged, max_tokens=self.plan.max_tokens), self.validation, self.plan.more)
        scores, held, strays = self._numbers(name, raw), self.plan.num_held, 0.0
        if self.evidence[name].batch_invariant:
            sample = spread([len(row) for row in self.validation.ids], NEIGHBOUR_ROWS)
            answers = client.neighbours(sample, odd_neighbours(self.validation.ids))
            found_in = {kind: self._numbers(name, value) for kind, value in answers.items()}
            strays = max(float(self.likeness.differ(found_in[kind], found_in["alone"]).max()) for kind in ("padded", "among"))
        reference = self.reference.scores[:held] if self.reference else None
        metric = main_figure(self.plan, scores[:held], seen[:held], self.validation, reference)[0]
        found = judge(scores, metric, self.reference, self.likeness, num_held=held, is_read=self.plan.is_read)
        if name == self.original:
            self.reference = found
        tolerance = tolerance_of(split_variant(name)[1], max(found.max_difference, strays))
        problem = unlike_reason(split_variant(name)[1], found, strays, tolerance)
        over = self.plan.bounds.broken_by(found)
        self._note(
            name, validation_metric=metric, drop_points=found.drop_points, max_score_difference=found.max_difference,
            label_agreement=found.agreement, neighbour_difference=strays, tolerance=tolerance, reason=over or problem,
            perplexity=perplexity_of(seen[:held, 0]), mean_score_difference=found.mean_difference,
            greedy_agreement=found.greedy_agreement, status="over budget" if over else "failed" if problem else "ok",
        )  # fmt: skip

    def _judged(self) -> dict[str, BenchClient]:
        return {name: client for name, client in self.clients.items() if self.evidence[name].validation_metric is not None}

    def _examine(self) -> None:
        """The task that is asked besides."""
        exam, reference = self.plan.exam, None
        for name, found in examine(self._judged(), exam, on_rows=self._tell_rows, on_failure=self._fail) if exam else ():
            self._require_reference()
            reference = reference or found
            self._note(name, task=found.to_json(reference))
            over = self.plan.bounds.broken_in_task(found.metric, found.lost(reference))
            if over and self.evidence[name].status != "over budget":
                self._note(name, status="over budget", reason=over)

    def _tell_rows(self, name: str, done: int, new: int) -> None:
        self.step += new - 1
        self._tick("task_rows_written", variant=name, done=done, total=len(self.plan.exam.calls) if self.plan.exam else 0)

    def _measure(self) -> None:
        measured = self._judged()
        lengths = [len(row) for row in self.validation.ids]
        timings = measure(
            measured, lengths, max_tokens=self.plan.max_tokens, rounds=self.plan.rounds, on_failure=self._fail,
            tick=self.progress.check_cancelled,
        )  # fmt: skip
        for name, timing in timings.items():
            self._note_timing(name, timing)
        self._require_reference()
        self._tick("speed_measured")

    def _note_timing(self, name: str, timing: Timing) -> None:
        self._try(name, lambda client: self._note(name, memory_bytes=client.memory_bytes()))
        self._note(
            name, latency_p50_ms=timing.latency_p50_ms, latency_p99_ms=timing.latency_p99_ms, throughput_rows_s=timing.throughput_rows_s,
        )  # fmt: skip

    def _read_test(self) -> None:
        first = len(self.validation.ids)
        indices = range(first, first + len(self.test.ids))
        reference: Scores | None = None
        for name, client in list(self.clients.items()) if indices else []:
            if self.evidence[name].validation_metric is None:
                continue
            try:
                raw, seen = self.plan.that_count(client.score(indices, max_tokens=self.plan.max_tokens), self.test)
                scores = self._numbers(name, raw)
            except HanlinError as error:
                self.progress.message("test_not_scored", variant=name, reason=said_of(error))
                continue
            reference = scores if name == self.original else reference
            metric, interval = main_figure(self.plan, scores, seen, self.test, reference)
            self._note(name, test_metric=metric, test_interval=interval)
        self._tick("test_scored")

    def _numbers(self, variant: str, raw: Scores) -> Scores:
        """What a network wrote, or how it read, is comparable as it comes."""
        return _finite(variant, raw) if self.plan.writing else self.likeness.numbers(_finite(variant, raw))

    def _require_reference(self) -> None:
        row = self.evidence[self.original]
        if row.status != "ok":
            raise EngineFailed("reference_failed", reason=row.reason.text("en") if row.reason else row.status)

    def _try(self, name: str, work: Callable[[BenchClient], None]) -> None:
        try:
            work(self.clients[name])
        except EngineFailed as error:
            self._fail(name, error)

    def _fail(self, name: str, error: Exception) -> None:
        reason = said_of(error)
        self._note(name, status="failed", reason=reason)
        self.progress.message("variant_failed", variant=name, reason=reason)

    def _note(self, name: str, **values: object) -> None:
        self.evidence[name] = replace(self.evidence[name], **values)  # type: ignore[arg-type]

    def _alive(self) -> list[str]:
        return [name for name, row in self.evidence.items() if row.status != "failed"]

    def _home(self, name: str) -> Path:
        return self.out if variant_files(name) and name != self.original else self.folder

    def _tick(self, code: str, /, **params: Plain) -> None:
        self.step += 1
        self.progress.report(min(self.step, self.steps), self.steps, {})
        self.progress.message(code, **params)
        self.progress.check_cancelled()


def _finite(variant: str, logits: Scores) -> Scores:
    if not np.isfinite(logits).all():
        raise EngineFailed("probe_not_finite", variant=variant)
    return logits
