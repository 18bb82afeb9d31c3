"""`hanlin tune`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from hanlin.cli.options import Force, JsonFlag, Publish, Task, Wait, add_command, named_values, read_object
from hanlin.cli.training import NETWORKS, run_training
from hanlin.cli.words import say
from hanlin.types import JsonObject


class Pruner(StrEnum):
    """Which trials end early."""

    ASHA = "asha"
    HYPERBAND = "hyperband"
    NONE = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "tune", tune, "help.tune")


def tune(  # noqa: PLR0917  # Typer passes them by name
    dataset: Annotated[str, typer.Option("--dataset", help=say("option.dataset"), metavar="NAME[:N]")],
    model: Annotated[str, typer.Option("--model", help=say("option.base"), metavar="|".join((*NETWORKS, "MODEL")))],
    name: Annotated[str, typer.Option("--name", help=say("option.model_name"))],
    task: Task = "text-classification",
    space: Annotated[str | None, typer.Option("--space", help=say("option.space"), metavar="FILE|JSON")] = None,
    trials: Annotated[int, typer.Option("--trials", help=say("option.trials"), min=1, max=500)] = 20,
    within: Annotated[float | None, typer.Option("--within", help=say("option.tune_within"), min=0.01, max=720, metavar="HOURS")] = None,
    parallel: Annotated[int, typer.Option("--parallel", help=say("option.parallel"), min=1, max=16)] = 1,
    pruner: Annotated[Pruner, typer.Option("--pruner", help=say("option.pruner"))] = Pruner.ASHA,
    seed: Annotated[int, typer.Option("--seed", help=say("option.seed"), min=0)] = 0,
    metric: Annotated[str | None, typer.Option("--metric", help=say("option.metric"))] = None,
    more: Annotated[list[str] | None, typer.Option("--set", help=say("option.tune_set"), metavar="NAME=VALUE")] = None,
    publish: Publish = True,
    force: Force = False,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.tune`."""
    options = ({"metric": metric} if metric else {}) | named_values(more or [])
    config: JsonObject = {
        "task": task, "dataset": dataset, "model": model, "name": name, "seed": seed, "options": options,
        "trials": trials, "parallel": parallel, "pruner": pruner.value,
    }  # fmt: skip
    if within is not None:
        config["time_s"] = within * 3600
    if space is not None:
        config["space"] = read_object(space, otherwise="space_unreadable")
    run_training("tune", config, publish=publish, force=force, wait=wait, json=json)
