"""A file of examples becomes a model that answers under a name of its own: read → train → certify → publish → deploy.

All but the first and the last step are the training's.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from hanlin.control import deployments
from hanlin.control.job_kinds import FineTune, Train
from hanlin.datasets import ReadOptions, SourceFile, ingest
from hanlin.errors import DeadlineExceeded, EngineFailed, InvalidInput
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import fetch_files
from hanlin.pipelines.train import Training
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.base import TASKS
from hanlin.tasks.labelled import AnsweredTexts
from hanlin.types import JsonObject, model_of_endpoint, shorten

_POLL_S = 0.1
_ROUTE_S = 0.2  # a gateway that must look for new routes does so every 50 ms


@PIPELINES.register("fine-tune")
class FineTunePipeline:
    """What `/v1/fine_tuning/jobs` asks for."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        asked = FineTune.model_validate(config)
        dataset = context.step("read", lambda: _read(context, asked))
        training = Training(context, _training_of(asked, str(dataset["dataset"])))
        version = training.make()
        context.step("deploy", lambda: _deploy(context, asked.name))
        trained = training.trained()
        shutil.rmtree(context.workdir, ignore_errors=True)
        return {
            "model": version.model, "version": version.number, "dataset": dataset["dataset"], "endpoint": asked.name,
            "fine_tuned_model": model_of_endpoint(asked.name), "metrics": version.metrics, "best_step": trained["best_step"],
            "history": trained["history"],
        }  # fmt: skip


def _read(context: JobContext, asked: FineTune) -> JsonObject:
    """The dataset of the files; where one says what is validated on, its rows are the validation split."""
    files = [asked.training_file, *([asked.validation_file] if asked.validation_file else [])]
    paths = fetch_files(context, files, context.workdir / "files")
    source = [SourceFile(file.path, _plain(path, asked.task)) for file, path in zip(files, paths, strict=True)]
    out = context.workdir / "dataset"
    shutil.rmtree(out, ignore_errors=True)
    context.progress.message("reading_files", files=len(source))
    found = ingest(source, task=TASKS.get(asked.task), options=ReadOptions(), out=out, validation=(1,) if asked.validation_file else ())
    registry = context.platform.registry
    manifest = pack_folder(out, context.platform.blobs)
    version = registry.create_dataset_version(context.job.team_id, asked.name, asked.task, manifest, found.to_json())
    return {"dataset": f"{version.name}:{version.number}"}


def _training_of(asked: FineTune, dataset: str) -> Train:
    named = {"task": asked.task, "dataset": dataset, "model": asked.model, "name": asked.name, "seed": asked.seed, "options": asked.options}
    return Train.model_validate({**named, "force": True})


def _deploy(context: JobContext, name: str) -> JsonObject:
    """An endpoint that sleeps while nobody calls it; returns when it would answer. Raises EngineFailed, DeadlineExceeded."""
    platform, principal = context.platform, context.principal
    found = deployments.deploy(
        platform, principal, model=f"{name}:1", endpoint=name, replicas=0, idle_s=platform.settings.fine_tuned_idle_s
    )
    deadline_s = time.monotonic() + platform.settings.worker_start_timeout_s + 30.0
    while time.monotonic() < deadline_s:
        context.progress.check_cancelled()
        state = next(view.state for view in deployments.list_deployments(platform, principal) if view.id == found.id)
        if state in {"ready", "asleep"}:
            time.sleep(_ROUTE_S)
            return {"deployment": found.id}
        if state in {"failed", "stopped"}:
            raise EngineFailed("private_endpoint_failed", variant=found.variant)
        time.sleep(_POLL_S)
    raise DeadlineExceeded("private_endpoint_slow", variant=found.variant)


def _plain(path: Path, task: str) -> Path:
    """The file itself; where its lines are chats, as OpenAI has them for chat models, one whose rows are text and label."""
    form = TASKS.get(task).examples
    if path.suffix != ".jsonl" or not isinstance(form, AnsweredTexts):
        return path
    with path.open("rb") as source:
        if not _is_chat(source.readline(2**22)):
            return path
        source.seek(0)
        made = path.with_name(f"plain-{path.name}")
        with made.open("w", encoding="utf-8") as sink:
            for number, line in enumerate(source, 1):
                if line.strip():
                    text, label = _turns(line, number)
                    sink.write(json.dumps({form.text: text, form.label: label}))
                sink.write("\n")  # rows keep their lines, by which bad ones are told
    return made


def _is_chat(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "messages" in found


def _turns(line: bytes, number: int) -> tuple[str, str]:
    """What the user says, and what the assistant answers. Raises InvalidInput (`chat_line_wrong`)."""
    try:
        turns = [(turn["role"], turn["content"]) for turn in json.loads(line)["messages"] if turn["role"] != "system"]
        (user, text), (assistant, label) = turns
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput("chat_line_wrong", line=number, found=shorten(line[:40].decode("utf-8", "replace"))) from error
    if (user, assistant) != ("user", "assistant") or not isinstance(text, str) or not isinstance(label, str):
        raise InvalidInput("chat_line_wrong", line=number, found=shorten(line[:40].decode("utf-8", "replace")))
    return text, label
