"""A dataset version is looked through before anybody trains on it: near-twins, leaks, label-noise suspects, lengths, languages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import cast

from hanlin.control.job_kinds import Check
from hanlin.datasets.checking import MAX_LISTED, UNITS, Found, Row, fetch_rows, look_through, read_rows, shown_pairs, twins_report
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import dataset_folder
from hanlin.registry.values import DatasetVersion
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.frames import FramedTexts
from hanlin.tasks.labelled import read_gold
from hanlin.tasks.tagged_texts import TaggedTexts
from hanlin.training.doubted_tokens import Read, find_doubted_tokens, of_entities, of_frames
from hanlin.training.doubts import Doubt, Doubts, find_doubts
from hanlin.types import JsonObject, JsonValue, ModelRef, utc_now

_TAGGED: dict[type, Read] = {TaggedTexts: of_entities, FramedTexts: of_frames}


@PIPELINES.register("check")
class CheckPipeline:
    """The findings stay with the dataset version, the newest only."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        asked = Check.model_validate(config)
        dataset = context.platform.registry.resolve_dataset(context.job.team_id, asked.dataset)
        folder, rows = dataset_folder(context, dataset), _rows_of(dataset)
        context.progress.message("checking_dataset", dataset=str(dataset), rows=rows)
        work = context.workdir / "twins"
        shutil.rmtree(work, ignore_errors=True)  # of a killed attempt
        work.mkdir(parents=True)
        form = TASKS.get(dataset.task).examples
        count, limit, by = _counting(context, asked.model, dataset.task)

        def told(done: int, total: int) -> None:
            context.progress.check_cancelled()
            context.progress.report(done, total, {})

        found = look_through(
            folder, work, rows=rows, is_classified=form.is_classified and form.has_answers, likeness=asked.likeness, limit=limit,
            counted_by=by, count=count, told=told,
        )  # fmt: skip
        doubts = None
        if found.golds:
            context.progress.message("doubting_labels", rows=found.rows)
            texts = [text for _, piece in read_rows(folder) for text in piece.texts]
            golds = [read_gold(label) for _, piece in read_rows(folder) for label in piece.labels]
            doubts = find_doubts(texts, golds, found.twins.leaders, told=told)
        elif read := _TAGGED.get(type(form)):
            context.progress.message("doubting_labels", rows=found.rows)
            texts = [text for _, piece in read_rows(folder) for text in piece.texts]
            labels = [label for _, piece in read_rows(folder) for label in piece.labels]
            doubts = find_doubted_tokens(texts, labels, read, found.twins.leaders, told=told)
        numbers = [row for pair in shown_pairs(found) for row in (pair.first, pair.second)]
        numbers += [doubt.row for doubt in doubts.doubts[:MAX_LISTED]] if doubts else []
        shown = fetch_rows(folder, found.edges, numbers)
        report = _report(found, doubts, shown, asked)
        context.platform.registry.keep_check(dataset, {**report, "checked_at": utc_now().isoformat()})
        shutil.rmtree(context.workdir, ignore_errors=True)
        return {"dataset": dataset.name, "version": dataset.number, "digest": dataset.digest, "found": _summary(report)}


def _rows_of(dataset: DatasetVersion) -> int:
    rows = dataset.report.get("rows_kept")
    return rows if isinstance(rows, int) else 0


def _counting(context: JobContext, model: str | None, task: str) -> tuple[Callable[[Sequence[str]], Sequence[int]] | None, int, str]:
    """How tokens are counted, how many a text may have, and what counts them: a model's own tokenizer where one is named."""
    if model is None:
        from hanlin.training.config import preset

        return None, preset("transformer" if TASKS.get(task).head == "targets" else "lstm", task).max_length, UNITS
    version = context.platform.registry.resolve(context.job.team_id, ModelRef.parse(model))
    encoder = TextEncoder.load(context.platform.registry.materialize(version, context.platform.artifact_cache, variants=()))
    return lambda texts: [encoder.size(text) for text in texts], encoder.max_length, str(version)


def _report(found: Found, doubts: Doubts | None, shown: dict[int, Row], asked: Check) -> JsonObject:
    own: JsonObject = {
        "rows": found.rows,
        "likeness": asked.likeness,
        "twins": twins_report(found, shown),
        "doubts": _doubted(doubts, shown),
    }
    return {**own, **found.profile}


def _doubted(doubts: Doubts | None, shown: dict[int, Row]) -> JsonValue:
    if doubts is None:
        return None
    listed: list[JsonValue] = [
        {**shown[doubt.row].to_json(), "given": doubt.given, "seems": doubt.other, "lead": round(doubt.lead, 3), **_words(doubt)}
        for doubt in doubts.doubts[:MAX_LISTED]
    ]
    confusions: list[JsonValue] = [{"label": one, "seems": other, "rows": rows} for one, other, rows in doubts.confusions[:MAX_LISTED]]
    return {
        "rows": doubts.rows, "suspects": len({doubt.row for doubt in doubts.doubts}), "right": round(doubts.right, 4),
        "plain": round(doubts.plain, 4), "first": listed, "confusions": confusions,
    }  # fmt: skip


def _words(doubt: Doubt) -> JsonObject:
    return {"words": doubt.words} if doubt.words else {}


def _summary(report: JsonObject) -> JsonObject:
    """The numbers alone: what a job's result repeats of it."""
    twins, doubts = cast("JsonObject", report["twins"]), cast("JsonObject | None", report["doubts"])
    leaks, tokens = cast("JsonObject", twins["leaks"]), cast("JsonObject", report["tokens"])
    return {
        "rows": report["rows"], "near_twins": twins["rows"], "leaks": leaks["total"], "suspects": doubts and doubts["suspects"],
        "cut": tokens["cut"],
    }  # fmt: skip
