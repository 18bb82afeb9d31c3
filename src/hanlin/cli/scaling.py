"""`hanlin scale` and `hanlin endpoint promote | abort`: how much of what an endpoint serves."""

from __future__ import annotations

from typing import Annotated

import typer

from hanlin.cli.options import EndpointName, JsonFlag, Wait, connect
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import Json, figure, pairs, part, percent, words
from hanlin.cli.warnings import tell_warnings
from hanlin.cli.words import name_of, say
from hanlin.types import MAX_REPLICAS

Minimum = Annotated[int, typer.Option("--min", help=say("option.min_replicas"), min=0, max=MAX_REPLICAS)]
Maximum = Annotated[int | None, typer.Option("--max", help=say("option.max_replicas"), min=1, max=MAX_REPLICAS)]


def scale(endpoint: EndpointName, low: Minimum = 1, high: Maximum = None, json: JsonFlag = False) -> None:
    """See `help.scale`."""
    with connect() as hanlin:
        deployment = hanlin.endpoints.scale(endpoint, low, high)
    if json:
        SCREEN.document(deployment.model_dump(mode="json"))
    else:
        SCREEN.line(say("deploy.scaled", endpoint=endpoint, replicas=span(deployment.replicas, deployment.max_replicas)))


def promote(endpoint: EndpointName, wait: Wait = True, json: JsonFlag = False) -> None:
    """See `help.endpoint_promote`."""
    with connect() as hanlin:
        deployment = hanlin.endpoints.promote(endpoint)
        tell_warnings(deployment.warnings)
        if wait:
            deployment = hanlin.deployments.wait(deployment)
    if json:
        SCREEN.document(deployment.model_dump(mode="json"))
    else:
        model = f"{deployment.model}:{deployment.version}"
        SCREEN.line(say("deploy.promoted", endpoint=endpoint, model=model, variant=deployment.variant or ""))


def abort(endpoint: EndpointName, json: JsonFlag = False) -> None:
    """See `help.endpoint_abort`."""
    with connect() as hanlin:
        deployment = hanlin.endpoints.abort(endpoint)
    if json:
        SCREEN.document(deployment.model_dump(mode="json"))
    else:
        SCREEN.line(say("deploy.aborted", endpoint=endpoint, model=f"{deployment.model}:{deployment.version}"))


def span(low: Json, high: Json) -> str:
    """A range of replicas; one number where it is none."""
    return words(low) if high in (None, low) else f"{words(low)}-{words(high)}"


def show_trial(trial: Json) -> None:
    """What is tried, how far it is, and what it and the version that serves did meanwhile."""
    role, stats = words(part(trial, "role")), part(trial, "stats")
    SCREEN.line(
        say(
            "trial.line", role=name_of("trial", role), model=f"{words(part(trial, 'model'))}:{words(part(trial, 'version'))}",
            variant=words(part(trial, "variant")), weight=words(part(trial, "weight")), state=name_of("state", words(part(trial, "state"))),
        )
    )  # fmt: skip
    if reason := words(part(trial, "reason")):
        SCREEN.line(reason)
    if stats is None:
        return
    sides = [(say("trial.tried"), part(stats, "trial")), (say("trial.serving"), part(stats, "live"))]
    rows = [(name, *(figure(part(side, key)) for key in _FIGURES), _labels(part(side, "labels"))) for name, side in sides]
    SCREEN.show(grid(["", *(say(f"trial.{key}") for key in _FIGURES), say("trial.labels")], rows, right=(1, 2, 3, 4, 5)))


_FIGURES = ("calls", "failed", "p50_ms", "p95_ms", "p99_ms")


def _labels(shares: Json) -> str:
    best = sorted(pairs(shares), key=lambda pair: pair[0])[:4]
    return "  ".join(f"{label} {percent(share, 0)}" for label, share in best)
