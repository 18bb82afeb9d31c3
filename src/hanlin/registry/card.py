"""Model cards: a version's record as Markdown, in English or Chinese. Reads values only.

Reports and evidence come from other rooms as JSON; what is missing there is left out here, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hanlin.messages.figures import figure_name, figure_value, figure_with_interval, measured
from hanlin.messages.said import Said
from hanlin.messages.task_words import asked_words, certified_words, task_figure
from hanlin.registry.card_figures import NONE, as_list, as_object, figure, megabytes, moment, number, percent, plain
from hanlin.registry.card_words import LIMITS, VECTOR_LIMITS, word
from hanlin.registry.values import Certificate, DatasetVersion, Model, ModelVersion, Variant, certified_digest
from hanlin.types import JsonObject


def write_card(
    model: Model,
    version: ModelVersion,
    *,
    variants: Sequence[Variant],
    certificates: Sequence[Certificate],
    dataset: DatasetVersion | None,
    language: str = "en",
) -> str:
    """The card; `certificates` newest first. Every text that users wrote is escaped, except the notes, which are Markdown."""
    card = _Card(language)
    card.title(f"{version}")
    _write_facts(card, model, version)
    card.section("notes")
    card.text(model.notes.strip() or card.word("no_notes").format(name=model.name))
    _write_data(card, version, dataset)
    _write_training(card, version)
    _write_metrics(card, version.metrics)
    _write_variants(card, variants)
    _write_certificates(card, version, variants, certificates)
    _write_lineage(card, version)
    card.section("limits")
    for pair in LIMITS if version.labels else VECTOR_LIMITS:
        card.item(pair[1 if language.startswith("zh") else 0])
    return card.markdown()


class _Card:
    """Collects lines of Markdown."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._lines: list[str] = []

    def word(self, name: str) -> str:
        return word(name, self.language)

    def title(self, text: str) -> None:
        self._lines += [f"# {text}", ""]

    def section(self, name: str) -> None:
        if self._lines[-1]:
            self._lines.append("")
        self._lines += [f"## {self.word(name)}", ""]

    def text(self, text: str) -> None:
        self._lines += [text, ""]

    def warnings(self, found: JsonObject, *, without: Collection[str] = ()) -> None:
        """What a report warns of, in the card's language."""
        for said in map(Said.from_json, as_list(found.get("warnings"))):
            if said is not None and said.code not in without:
                self.text(f"**{self.word('warning')}**: {escape(said.text(self.language))}")

    def item(self, text: str) -> None:
        self._lines.append(f"- {text}")

    def fact(self, name: str, text: str) -> None:
        self.item(f"**{self.word(name)}**: {text}")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        if self._lines[-1]:
            self._lines.append("")
        self._lines.append("| " + " | ".join(self.word(head) for head in heads) + " |")
        self._lines.append("|" + "---|" * len(heads))
        self._lines += ["| " + " | ".join(row) + " |" for row in rows]
        self._lines.append("")

    def markdown(self) -> str:
        return "\n".join(self._lines).rstrip() + "\n"


def _write_facts(card: _Card, model: Model, version: ModelVersion) -> None:
    state = card.word(f"state_{version.state}")
    if version.state == "published" and version.is_base:
        state += f" ({card.word('base')})"
    card.fact("task", escape(version.task))
    card.fact("state", state)
    if languages := as_list(version.lineage.get("languages")):
        card.fact("languages", escape(", ".join(map(str, languages))))
    if version.labels:
        card.fact("labels", ", ".join(code(label, is_cell=False) for label in version.labels))
    if pooling := as_object(version.lineage.get("head")).get("pooling"):
        assumed = f" ({card.word('assumed')})" if as_object(version.lineage.get("head")).get("is_assumed") else ""
        card.fact("pooling", f"`{escape(str(pooling))}`{assumed}")
    card.fact("created", moment(version.created_at))
    if version.published_at:
        card.fact("published", moment(version.published_at))
    if names := [alias.name for alias in model.aliases if alias.number == version.number]:
        card.fact("aliases", ", ".join(f"`{name}`" for name in names))
    card.fact("artifact", f"`{version.digest}`, {megabytes(version.manifest.size_bytes)} MB")


def _write_data(card: _Card, version: ModelVersion, dataset: DatasetVersion | None) -> None:
    card.section("data")
    name, digest = version.lineage.get("dataset"), version.lineage.get("dataset_digest")
    if dataset is None and name is None:
        return card.text(card.word("no_data"))
    card.fact("dataset", escape(str(dataset or name)))
    if dataset or digest:
        card.fact("digest", f"`{dataset.digest if dataset else escape(str(digest))}`")
    counts = _label_counts(dataset.report if dataset else {})
    if counts:
        splits = sorted({split for row in counts.values() for split in row}, key=_split_order)
        card.table(
            ["label", *(f"split_{split}" for split in splits)],
            ([code(label), *(str(row.get(split, 0)) for split in splits)] for label, row in sorted(counts.items())),
        )
    elif dataset and (kept := number(dataset.report, "rows_kept")) is not None:
        card.fact("rows", f"{kept:,.0f}")
    return None


def _write_training(card: _Card, version: ModelVersion) -> None:
    card.section("training")
    config = as_object(version.lineage.get("config"))
    if not config:
        return card.text(card.word("no_training"))
    return card.table(["setting", "value"], ((code(name), code(plain(value))) for name, value in sorted(config.items())))


def _write_metrics(card: _Card, metrics: JsonObject) -> None:
    card.section("metrics")
    if not metrics:
        return card.text(card.word("no_metrics"))
    interval, owner = as_list(metrics.get("interval")), figure_with_interval(metrics)
    rows: list[list[str]] = []
    for name, score in measured(metrics):
        ends = [figure_value(name, float(end), digits=2) for end in interval if isinstance(end, int | float)]
        span = f"{ends[0]} – {ends[1]}" if name == owner else NONE
        rows.append([capital(figure_name(name, language=card.language)), figure_value(name, score, digits=2), span])
    card.table(["metric", "value", "interval"], rows)
    if (count := number(metrics, "rows")) is not None:
        card.text(f"{card.word('rows')}: {count:,.0f}")
    card.warnings(metrics)
    classes = [as_object(item) for item in as_list(metrics.get("per_class"))]
    if classes:
        heads = ["label", "precision", "recall", "f1", "support"]
        card.table(
            heads,
            (
                [code(str(item.get("label"))), *(percent(item.get(key)) for key in heads[1:4]), str(item.get("support", NONE))]
                for item in classes
            ),
        )
    return None


def _write_variants(card: _Card, variants: Sequence[Variant]) -> None:
    card.section("variants")
    heads, rows = ["variant", "test", "drop", "latency", "throughput", "memory", "size"], [_variant_row(card, each) for each in variants]
    if any(number(variant.evidence, "perplexity") is not None for variant in variants):
        heads[3:3] = ["perplexity", "divergence", "greedy"]
        for row, variant in zip(rows, variants, strict=True):
            divergence = figure(number(variant.evidence, "mean_score_difference"), digits=4)
            row[3:3] = [
                figure(number(variant.evidence, "perplexity"), digits=3),
                divergence,
                percent(number(variant.evidence, "greedy_agreement")),
            ]
    if any(figures := [task_figure(variant.evidence.get("task")) for variant in variants]):
        heads += ["task_figure", "task_drop"]
        for row, found in zip(rows, figures, strict=True):
            row.extend([figure_value(*found[:2]), figure(found[2])] if found else [NONE, NONE])
    card.table(heads, rows)
    for variant in variants:
        if variant.is_chosen and (told := asked_words(as_object(variant.evidence.get("report")).get("task"), card.language)):
            card.text(told)
        if variant.is_chosen:
            card.warnings(as_object(variant.evidence.get("report")), without={"few_test_rows"})  # said above, at the metrics


def _variant_row(card: _Card, variant: Variant) -> list[str]:
    found = variant.evidence
    name = f"`{variant.variant}`" + (f" **({card.word('chosen')})**" if variant.is_chosen else "")
    latency = [number(found, "latency_ms", key) for key in ("p50", "p99")]
    size = number(found, "size_bytes") or (variant.manifest.size_bytes if variant.manifest else None)
    return [
        name,
        percent(number(found, "test", "metric")),
        figure(number(found, "validation", "drop_points")),
        " / ".join(figure(value) for value in latency) if any(value is not None for value in latency) else NONE,
        figure(number(found, "throughput_rows_s"), digits=0),
        megabytes(number(found, "memory_bytes")),
        megabytes(size),
    ]


def _write_certificates(card: _Card, version: ModelVersion, variants: Sequence[Variant], certificates: Sequence[Certificate]) -> None:
    card.section("certificate")
    if not certificates:
        return card.text(card.word("no_certificate"))
    present = {variant.variant: certified_digest(version, variant.manifest) for variant in variants}
    shown: set[str] = set()
    for certificate in certificates:
        if certificate.variant in shown:
            continue  # the newest one counts
        shown.add(certificate.variant)
        verdict = card.word("passed" if certificate.is_passed else "failed")
        stale = "" if present.get(certificate.variant) == certificate.digest else f" ({card.word('stale')})"
        card.item(f"`{certificate.variant}`: **{verdict}**{stale}, {moment(certificate.created_at)}{_answers(card, certificate.report)}")
    return card.text("")


def _answers(card: _Card, report: JsonObject) -> str:
    """How far the served answers were off, as `; …` pieces, with what was allowed."""
    pieces = []
    if (rows := number(report, "rows")) is not None:
        pieces.append(f"{card.word('replayed')} {rows:,.0f}")
    if (agreement := number(report, "label_agreement")) is not None:
        ends = report.get("label_agreement_interval")
        likely = f"95 %: {percent(ends[0])} … {percent(ends[1])}; " if isinstance(ends, list) and len(ends) == 2 else ""
        pieces.append(
            f"{card.word('agreement')} {percent(agreement)} ({likely}≥ {percent(number(report, 'tolerance', 'label_agreement'))})"
        )
    if (difference := number(report, "max_score_difference")) is not None:
        allowed = number(report, "tolerance", "max_score_difference")
        pieces.append(f"{card.word('difference')} {difference:.2g}" + ("" if allowed is None else f" (≤ {allowed:.2g})"))
    if (mean := number(report, "mean_score_difference")) is not None:
        pieces.append(f"{card.word('mean_difference')} {mean:.2g}")
    if (perplexity := number(report, "perplexity")) is not None:
        trained = figure(number(report, "trained_perplexity"), digits=3)
        pieces.append(f"{card.word('likelihood')} {figure(perplexity, digits=3)} ({trained})")
    if (accuracy := number(report, "accuracy")) is not None:
        pieces.append(f"{card.word('foreseen')} {percent(accuracy)} ({percent(number(report, 'trained_accuracy'))})")
    if (greedy := number(report, "greedy_agreement")) is not None:
        pieces.append(f"{card.word('greedy')} {percent(greedy)}")
    if told := certified_words(report.get("task"), card.language):
        pieces.append(told)
    if report.get("is_agreement_only") is True:
        pieces.append(card.word("agreement_only"))
    return "".join(f"; {piece}" for piece in pieces)


_LINEAGE = ("parent", "vectors_digest", "raw_text_digest", "seed", "code_version")


def _write_lineage(card: _Card, version: ModelVersion) -> None:
    card.section("lineage")
    for name in _LINEAGE:
        if (value := version.lineage.get(name)) is not None:
            card.fact(name, code(plain(value), is_cell=False))
    if version.job_id:
        card.fact("job", f"`{version.job_id}`")
    if not any(version.lineage.get(name) is not None for name in _LINEAGE) and not version.job_id:
        card.text(NONE)


def escape(text: str) -> str:
    """Foreign text as harmless Markdown: no cell borders, line breaks, HTML, links or code marks of its own."""
    text = " ".join(text.split())[:300]
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;"), ("[", "&#91;"), ("]", "&#93;")):
        text = text.replace(sign, entity)
    return text


def capital(text: str) -> str:
    """With a capital letter first."""
    return text[:1].upper() + text[1:]


def code(text: str, *, is_cell: bool = True) -> str:
    """Foreign text as a code span; within a table's cell its bars are escaped, as tables ask."""
    text = " ".join(text.split())[:300].replace("`", "'")
    return f"`{text.replace('|', chr(92) + '|') if is_cell else text}`"


def _label_counts(report: JsonObject) -> dict[str, dict[str, int]]:
    """`{label: {split: rows}}` from a dataset report."""
    found: dict[str, dict[str, int]] = {}
    for label, counts in as_object(report.get("labels")).items():
        row = {split: count for split, count in as_object(counts).items() if isinstance(count, int)}
        if row:
            found[label] = row
    return found


def _split_order(split: str) -> tuple[int, str]:
    order = ("train", "validation", "test")
    return (order.index(split) if split in order else len(order), split)
