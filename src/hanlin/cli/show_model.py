"""Model versions as tables for people: metrics, confusion matrix, variants, certificate, compression report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hanlin.cli import show_study
from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import figure, items, moment, number, pairs, part, percent, size, words
from hanlin.cli.warnings import show_warnings
from hanlin.cli.words import headed, name_of, say
from hanlin.messages import terminal_language
from hanlin.messages.figures import figure_name, figure_value, figure_with_interval, measured
from hanlin.messages.said import Said
from hanlin.messages.task_words import asked_words, certified_words, task_figure
from hanlin.types import ModelRef

if TYPE_CHECKING:
    from hanlin.client import Hanlin, Job, Model, ModelVersion
    from hanlin.client.values import Certificate

STATES = {"published": "green", "certified": "cyan", "candidate": "yellow", "ok": "green", "over budget": "yellow", "failed": "red"}
MAX_LABELS = 20
_SHARES = ("label_agreement", "greedy_agreement", "accuracy", "trained_accuracy")  # of a certificate, told in percents


def result(hanlin: Hanlin, job: Job) -> None:
    """What a finished train, import, evaluate or compress job made."""
    if report := part(job.result, "report"):
        compression(report)
    elif study := part(job.result, "study"):
        show_study.show(study)
    elif job.kind == "evaluate":
        metrics(part(job.result, "metrics") or job.result, ())
    name, number_ = words(part(job.result, "model")), number(part(job.result, "version"))
    if not name or job.kind == "evaluate":
        return
    plain = ModelRef.parse(name).name
    model = hanlin.models.get(plain)
    version = model.version(ModelRef(plain, int(number_)) if number_ is not None else None)
    if part(job.result, "reused"):
        SCREEN.line(say("model.reused"))
    if job.kind == "compress":
        headline(model, version)
        certificates(version)
    else:
        show(model, version)
    show_warnings(job.result)


def show(model: Model, version: ModelVersion) -> None:
    """Print one version in full."""
    headline(model, version)
    metrics(version.metrics, version.labels)
    variants(version)
    certificates(version)
    lineage = [
        (name_of("lineage", name), words(value))
        for name, value in pairs(version.lineage)
        if value is not None and not isinstance(value, dict | list)
    ]
    if lineage:
        SCREEN.show(grid([say("column.lineage"), ""], lineage))


def headline(model: Model, version: ModelVersion) -> None:
    """Name, state, aliases, time."""
    from rich.text import Text

    aliases = " ".join(f"@{alias}" for alias, number_ in sorted(model.aliases.items()) if number_ == version.number)
    about = [model.task, aliases, moment(version.published_at or version.created_at)]
    title = Text.assemble(
        cell(f"{model.name}:{version.number}", "bold"), "  ", cell(name_of("state", version.state), STATES.get(version.state, ""))
    )
    SCREEN.show(title, cell(" · ".join(item for item in about if item), "dim"))


def metrics(found: object, labels: Sequence[str]) -> None:
    """Main figures, per-class table, confusion matrix."""
    found = part(found, "test") if isinstance(part(found, "test"), dict) else found
    known = dict(pairs(found))
    owner, between = figure_with_interval(known), _between(part(found, "interval"))
    line = [figure_words(name, value) + (between if name == owner else "") for name, value in measured(known)]
    if line:
        SCREEN.show(cell(" · ".join(line)))
    show_warnings(found)
    classes = _classes(part(found, "per_class"))
    if classes:
        columns = [say(f"column.{name}") for name in ("label", "precision", "recall", "f1", "support")]
        SCREEN.show(grid(columns, classes, right=(1, 2, 3, 4)))
    confusion(part(found, "confusion"), labels or [row[0] for row in classes])


def figure_words(name: str, value: float) -> str:
    """A figure with its name, in the terminal's language."""
    return f"{figure_name(name, language=terminal_language())} {figure_value(name, value)}"


def _between(interval: object) -> str:
    """` (low … high)`, or nothing where there is no interval."""
    ends = items(interval)
    return f" ({percent(ends[0])} … {percent(ends[1])})" if len(ends) == 2 else ""


def _classes(found: object) -> list[tuple[str, ...]]:
    rows = [(name, value) for name, value in pairs(found)] or [(words(part(row, "label")), row) for row in items(found)]
    figures = ("precision", "recall", "f1")
    return [(label, *(percent(part(row, name)) for name in figures), figure(part(row, "support"))) for label, row in rows[:MAX_LABELS]]


def confusion(found: object, labels: Sequence[str]) -> None:
    """Rows are the truth, columns the prediction; the diagonal stands out."""
    rows = items(found)
    if not rows or len(rows) != len(labels) or len(rows) > MAX_LABELS:
        return
    body = [
        (
            label,
            *(
                cell(figure(value), "bold green" if column == index else "red" if number(value) else "dim")
                for column, value in enumerate(items(row))
            ),
        )
        for index, (label, row) in enumerate(zip(labels, rows, strict=True))
    ]
    SCREEN.show(grid([say("column.truth"), *labels], body, right=range(1, len(labels) + 1)))


def variants(version: ModelVersion) -> None:
    """The variants with their evidence; the chosen one is starred."""
    if any(part(item.evidence, "latency_ms") for item in version.variants):
        _show_variants((item.evidence or {}, item.variant, item.is_chosen, item.size_bytes) for item in version.variants)
        _reasons((item.variant, item.evidence or {}) for item in version.variants)
        for item in version.variants:
            if item.is_chosen:
                _bounds(part(item.evidence, "report"))
                show_warnings(part(item.evidence, "report"), without={"few_test_rows"})  # said beside the metrics


def compression(report: object) -> None:
    """The whole compression report."""
    chosen = words(part(report, "chosen"))
    named = [(row, words(part(row, "variant"))) for row in items(part(report, "variants"))]
    _show_variants((row, name, name == chosen, None) for row, name in named)
    _reasons((words(part(row, "variant")), row) for row in items(part(report, "variants")))
    params = {"chosen": chosen, "target": name_of("target", words(part(report, "target"))), "budget": words(part(report, "budget"))}
    if (best := _best(report)) != chosen:
        SCREEN.line(say("compress.near", best=best, **params))
    else:
        SCREEN.line(say("compress.kept" if part(report, "is_reference_kept") else "compress.chosen", **params))
    _bounds(report)
    show_warnings(report)
    machine = part(report, "machine")
    if machine:
        flags = ", ".join(words(flag) for flag in items(part(machine, "flags"))[:8])
        SCREEN.show(cell(say("compress.machine", cpu=words(part(machine, "cpu")), cores=words(part(machine, "cores")), flags=flags), "dim"))


def _bounds(report: object) -> None:
    """What was bounded and asked besides the budget's points."""
    kl, same = number(part(report, "max_kl")), number(part(report, "min_greedy_agreement"))
    bounds = [say("compress.max_kl", value=f"{kl:g}")] if kl is not None else []
    bounds += [say("compress.min_greedy_agreement", value=percent(same))] if same is not None else []
    if bounds:
        SCREEN.show(cell(" · ".join(bounds), "dim"))
    if told := asked_words(part(report, "task"), terminal_language()):
        SCREEN.show(cell(told, "dim"))


def _best(report: object) -> str:
    """The variant with the best figure within the budget; one nearly as good is chosen where it is closer to the trained model."""
    where, sign = {"throughput": (("throughput_rows_s",), -1), "latency": (("latency_ms", "p50"), 1), "memory": (("memory_bytes",), 1)}.get(
        words(part(report, "target")), ((), 1)
    )
    rows = [(figure_, row) for row in items(part(report, "variants")) if (figure_ := number(part(row, *where))) is not None]
    good = [(sign * figure_, words(part(row, "variant"))) for figure_, row in rows if part(row, "status") == "ok"]
    return min(good, default=(0.0, words(part(report, "chosen"))))[1]


VARIANT_COLUMNS = ("variant", "metric", "drop", "p50", "p99", "throughput", "memory", "size", "status")


def _show_variants(found: Iterable[tuple[object, str, bool, int | None]]) -> None:
    """Evidence, name, whether it is chosen, and bytes of each; what is known of models that are read, where there is some."""
    rows, columns = list(found), [*VARIANT_COLUMNS]
    shown = [_variant_row(*row) for row in rows]
    if any(number(part(row[0], "perplexity")) is not None for row in rows):
        columns[3:3] = ["perplexity", "divergence", "greedy"]
        for cells, row in zip(shown, rows, strict=True):
            told = [figure(part(row[0], name), digits) for name, digits in (("perplexity", 3), ("mean_score_difference", 4))]
            cells[4:4] = [*told, percent(part(row[0], "greedy_agreement"))]
    if any(figures := [task_figure(part(row[0], "task")) for row in rows]):
        columns[-1:-1] = ["task_figure", "task_drop"]
        for cells, found_ in zip(shown, figures, strict=True):
            cells[-1:-1] = [figure_value(*found_[:2]), figure(found_[2])] if found_ else ["", ""]
    count = len(columns)
    SCREEN.show(grid(["", *(say(f"column.{name}") for name in columns)], shown, right=range(2, count), whole=range(1, count)))


def _variant_row(row: object, name: str, is_chosen: bool, size_bytes: int | None) -> list[object]:
    status = words(part(row, "status"))
    return [
        cell("★" if is_chosen else "", "yellow"), cell(name, "bold" if is_chosen else ""), percent(part(row, "validation", "metric")),
        figure(part(row, "validation", "drop_points")), figure(part(row, "latency_ms", "p50")), figure(part(row, "latency_ms", "p99")),
        figure(part(row, "throughput_rows_s"), 0), size(part(row, "memory_bytes")), size(part(row, "size_bytes") or size_bytes),
        cell(name_of("state", status), STATES.get(status, "")),
    ]  # fmt: skip


def _reasons(evidence: Iterable[tuple[str, object]]) -> None:
    """Below the table, because they are longer than its last column is wide: why variants are out."""
    for name, row in evidence:
        said, status = Said.from_json(part(row, "said")), words(part(row, "status"))
        reason = said.text(terminal_language()) if said else words(part(row, "reason"))
        if reason and status != "ok":
            SCREEN.show(cell(headed(name, headed(name_of("state", status), reason)), STATES.get(status, "")))


def is_agreement_only(certificate: Certificate) -> bool:
    """Whether it was made without labelled rows: it says that variants agree, nothing about how good they are."""
    return part(certificate.report, "is_agreement_only") is True


def certificates(version: ModelVersion) -> None:
    """One line a certificate: variant, verdict, its figures."""
    for item in version.certificates:
        figures = [
            f"{name_of('evidence', name)} {percent(value) if name in _SHARES else f'{number(value):.4g}'}"
            + _between(part(item.report, f"{name}_interval"))
            for name, value in pairs(item.report)
            if number(value) is not None
        ]
        verdict = say("certificate.passed" if item.is_passed else "certificate.refused")
        style = "green" if item.is_passed else "red"
        if is_agreement_only(item):
            verdict, style = f"{verdict} ({say('certificate.agreement_only')})", "yellow" if item.is_passed else style
        SCREEN.show(cell(f"{verdict} {item.variant}  {moment(item.created_at)}", style), cell("  " + " · ".join(figures), "dim"))
        if told := certified_words(part(item.report, "task"), terminal_language()):
            SCREEN.show(cell("  " + told, "dim"))
