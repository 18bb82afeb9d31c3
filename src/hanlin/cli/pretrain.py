"""`hanlin pretrain`: raw text to a base with its masked-word head, or to a language model. The short way to `dataset add` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hanlin.cli.options import Force, JsonFlag, Publish, Wait, add_command, connect, named_values
from hanlin.cli.screen import SCREEN
from hanlin.cli.shape import part, words
from hanlin.cli.training import run_training
from hanlin.cli.waiting import see_through, uploading
from hanlin.cli.words import say
from hanlin.types import JsonObject

TASK, CAUSAL = "fill-mask", "clm"


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "pretrain", pretrain, "help.pretrain")


def pretrain(  # noqa: PLR0917  # Typer passes them by name
    texts: Annotated[str, typer.Argument(help=say("option.raw_texts"), metavar="FILE|DATASET[:N]")],
    name: Annotated[str, typer.Option("--name", help=say("option.model_name"))],
    model: Annotated[
        str, typer.Option("--model", help=say("option.pretrain_base"), metavar="transformer|lstm|gru|rnn|MODEL")
    ] = "transformer",
    objective: Annotated[str, typer.Option("--objective", help=say("option.objective"), metavar="mlm|mlm+nsp|clm")] = "mlm",
    seed: Annotated[int, typer.Option("--seed", help=say("option.seed"), min=0)] = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", help=say("option.epochs"), min=1)] = None,
    lr: Annotated[float | None, typer.Option("--lr", help=say("option.lr"))] = None,
    patience: Annotated[int | None, typer.Option("--patience", help=say("option.patience"), min=0)] = None,
    more: Annotated[list[str] | None, typer.Option("--set", help=say("option.set"), metavar="NAME=VALUE")] = None,
    publish: Publish = True,
    force: Force = False,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.pretrain`."""
    task, goal = ("text-generation", {"packing": True}) if objective == CAUSAL else (TASK, {"objective": objective})
    dataset = _add(Path(texts), f"{name}-texts", task) if Path(texts).exists() else texts
    given: JsonObject = {"epochs": epochs, "rate": lr, "patience": patience}
    options = {**goal, **{key: value for key, value in given.items() if value is not None}, **named_values(more or [])}
    config: JsonObject = {"task": task, "dataset": dataset, "model": model, "name": name, "seed": seed, "options": options}
    run_training("train", config, publish=publish, force=force, wait=wait, json=json)


def _add(source: Path, name: str, task: str) -> str:
    """The files as a version of the dataset `name`; what is there already is used again."""
    with connect() as hanlin:
        with uploading(source) as bar:
            job = hanlin.datasets.add(name, source, task=task, options={}, on_bytes=bar)
        ended = see_through(hanlin, job, wait=True, json=False)
        dataset = f"{name}:{words(part(ended.result, 'version'))}" if ended else name
        SCREEN.line(say("pretrain.texts", dataset=dataset))
        return dataset
