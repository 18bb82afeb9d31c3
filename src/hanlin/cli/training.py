"""`hanlin train` and `hanlin evaluate`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli import show_model
from hanlin.cli.options import Force, JsonFlag, Publish, Task, Wait, add_command, connect, named_values, read_object
from hanlin.cli.screen import SCREEN
from hanlin.cli.shape import part, words
from hanlin.cli.waiting import see_through, uploading
from hanlin.cli.words import say
from hanlin.errors import HanlinError, InvalidInput, NotFound
from hanlin.types import JsonObject, JsonValue, shorten

if TYPE_CHECKING:
    from hanlin.client import Job

NETWORKS = ("lstm", "gru", "rnn", "transformer")
CLEANING = "html,control,width,simplify,lower,space"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    add_command(app, "train", train, "help.train")
    add_command(app, "evaluate", evaluate, "help.evaluate")


def train(  # noqa: PLR0917  # Typer passes them by name
    dataset: Annotated[str, typer.Option("--dataset", help=say("option.dataset"), metavar="NAME[:N]")],
    model: Annotated[str, typer.Option("--model", help=say("option.base"), metavar="|".join((*NETWORKS, "MODEL")))],
    name: Annotated[str, typer.Option("--name", help=say("option.model_name"))],
    task: Task = "text-classification",
    seed: Annotated[int, typer.Option("--seed", help=say("option.seed"), min=0)] = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", help=say("option.epochs"), min=1)] = None,
    lr: Annotated[float | None, typer.Option("--lr", help=say("option.lr"))] = None,
    batch_tokens: Annotated[int | None, typer.Option("--batch-tokens", help=say("option.batch_tokens"), min=1)] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help=say("option.optimizer"))] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help=say("option.max_length"), min=1)] = None,
    tokenizer: Annotated[str | None, typer.Option("--tokenizer", help=say("option.tokenizer"))] = None,
    cleaning: Annotated[str | None, typer.Option("--cleaning", help=say("option.cleaning"), metavar=CLEANING)] = None,
    segmentation: Annotated[str | None, typer.Option("--segmentation", help=say("option.segmentation"))] = None,
    vectors: Annotated[Path | None, typer.Option("--vectors", help=say("option.vectors"), metavar="FILE")] = None,
    raw_text: Annotated[Path | None, typer.Option("--raw-text", help=say("option.raw_text"), metavar="FILE")] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", help=say("option.adapter"))] = None,
    schema: Annotated[str | None, typer.Option("--schema", help=say("option.schema"), metavar="FILE|JSON")] = None,
    class_weights: Annotated[str | None, typer.Option("--class-weights", help=say("option.class_weights"))] = None,
    patience: Annotated[int | None, typer.Option("--patience", help=say("option.patience"), min=0)] = None,
    metric: Annotated[str | None, typer.Option("--metric", help=say("option.metric"))] = None,
    precision: Annotated[str | None, typer.Option("--precision", help=say("option.precision"))] = None,
    more: Annotated[list[str] | None, typer.Option("--set", help=say("option.set"), metavar="NAME=VALUE")] = None,
    publish: Publish = True,
    force: Force = False,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.train`."""
    options: JsonObject = {
        "epochs": epochs, "rate": lr, "batch_tokens": batch_tokens, "optimizer": optimizer, "max_length": max_length,
        "tokenizer": tokenizer, "class_weights": class_weights, "patience": patience, "metric": metric, "precision": precision,
        "adapter": adapter,
    }  # fmt: skip
    options = {key: value for key, value in options.items() if value is not None}
    options.update(named_values(more or []))
    if schema is not None:
        options["schema"] = read_object(schema, otherwise="schema_unreadable")
    if cleaning is not None or segmentation is not None:
        steps: list[JsonValue] = [step.strip() for step in (CLEANING if cleaning is None else cleaning).split(",") if step.strip()]
        options["text"] = {"cleaning": steps, "segmentation": segmentation or "none"}
    config: JsonObject = {"task": task, "dataset": dataset, "model": model, "name": name, "seed": seed, "options": options}
    if vectors and raw_text:
        raise InvalidInput("vectors_twice")
    for field, path in (("vectors", vectors), ("raw_text", raw_text)):
        if path:
            config[field] = _upload(path)
    run_training("train", config, publish=publish, force=force, wait=wait, json=json)


def run_training(kind: str, config: JsonObject, *, publish: bool, force: bool, wait: bool, json: bool) -> None:
    """As `run_job`, of a job that learns. Raises InvalidInput or NotFound, naming the network that was probably meant by `model`."""
    config["publish"] = publish
    if force:
        config["force"] = True
    try:
        run_job(kind, config, wait=wait, json=json)
    except (InvalidInput, NotFound) as error:
        raise _nearest_network(error, str(config["model"])) from error


def _upload(path: Path) -> JsonValue:
    if path.is_dir():
        raise InvalidInput("file_not_one", path=shorten(str(path), 200))
    with connect() as hanlin, uploading(path) as bar:
        file: JsonValue = hanlin.blobs.upload(path, on_bytes=bar)[0].model_dump(mode="json")
        return file


def evaluate(
    model: Annotated[str, typer.Argument(help=say("option.model"))],
    dataset: Annotated[str | None, typer.Option("--dataset", help=say("option.dataset_test"), metavar="NAME[:N]")] = None,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.evaluate`."""
    config: JsonObject = {"model": model}
    if dataset:
        config["dataset"] = dataset
    run_job("evaluate", config, wait=wait, json=json)


def run_job(kind: str, config: JsonObject, *, wait: bool, json: bool) -> None:
    """Submit a job that makes or measures a model version, wait for it, and show what came of it."""
    with connect() as hanlin:
        if ended := see_through(hanlin, hanlin.jobs.submit(kind, config), wait=wait, json=json):
            show_model.result(hanlin, ended)
            tell_next(ended)


def tell_next(job: Job) -> None:
    """The command that goes on from a version that was made."""
    name, number = words(part(job.result, "model")).partition(":")[0], words(part(job.result, "version"))
    key = {"train": "trained", "tune": "trained", "compress": "compressed"}.get(job.kind)
    if key and name and number:
        word = key if job.config.get("publish") is not False else "unpublished"
        SCREEN.line(say(f"next.{word}", model=f"{name}:{number}", name=name))


def _nearest_network(error: HanlinError, model: str) -> HanlinError:
    """The refusal of `--model`, naming the network that was probably meant; any other error as it is."""
    near = difflib.get_close_matches(model.lower(), NETWORKS, n=1, cutoff=0.7)
    if not near or error.code not in {"not_found", "invalid_model_reference"} or shorten(model) not in error.text("en"):
        return error
    return type(error)("unknown_base", name=shorten(model), near=near[0], choices=", ".join(NETWORKS))
