"""`hanlin compress`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from hanlin.cli.options import Force, JsonFlag, Publish, TaskDataset, TaskModel, TaskRows, Wait, add_command
from hanlin.cli.training import run_job
from hanlin.cli.words import say
from hanlin.types import JsonObject, JsonValue


class Target(StrEnum):
    """What the search makes best."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    MEMORY = "memory"


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "compress", compress, "help.compress")


def compress(  # noqa: PLR0917  # Typer passes them by name
    model: Annotated[str, typer.Argument(help=say("option.model"))],
    budget: Annotated[float, typer.Option("--budget", help=say("option.budget"), min=0.0, max=100.0)] = 0.5,
    max_kl: Annotated[float | None, typer.Option("--max-kl", help=say("option.max_kl"), min=0.0, max=1.0)] = None,
    min_greedy_agreement: Annotated[
        float | None, typer.Option("--min-greedy-agreement", help=say("option.min_greedy_agreement"), min=0.0, max=1.0)
    ] = None,
    target: Annotated[Target, typer.Option("--target", help=say("option.target"))] = Target.THROUGHPUT,
    dataset: Annotated[str | None, typer.Option("--dataset", help=say("option.dataset_compress"), metavar="NAME[:N]")] = None,
    variants: Annotated[str | None, typer.Option("--variants", help=say("option.variants"), metavar="A,B,…")] = None,
    keep_losers: Annotated[bool, typer.Option("--keep-losers", help=say("option.keep_losers"))] = False,
    task_model: TaskModel = None,
    task_dataset: TaskDataset = None,
    task_rows: TaskRows = None,
    task_budget: Annotated[float | None, typer.Option("--task-budget", help=say("option.task_budget"), min=0.0, max=100.0)] = None,
    publish: Publish = True,
    force: Force = False,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.compress`."""
    config: JsonObject = {"model": model, "budget": budget, "target": target.value, "keep_losers": keep_losers, "publish": publish}
    more: JsonObject = {
        "max_kl": max_kl, "min_greedy_agreement": min_greedy_agreement, "task_model": task_model, "task_dataset": task_dataset,
        "task_rows": task_rows, "task_budget": task_budget,
    }  # fmt: skip
    config |= {name: value for name, value in more.items() if value is not None}
    if dataset:
        config["dataset"] = dataset
    if variants:
        names: list[JsonValue] = [name.strip() for name in variants.split(",") if name.strip()]
        config["variants"] = names
    run_job("compress", config | ({"force": True} if force else {}), wait=wait, json=json)
