"""`hanlin deploy | undeploy | rollback | scale | endpoint … | task …`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli import curl, scaling
from hanlin.cli.options import EndpointName, JsonFlag, Wait, add_command, connect, group
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import items, part, words
from hanlin.cli.warnings import tell_warnings
from hanlin.cli.words import headed, listed, name_of, say
from hanlin.errors import InvalidInput
from hanlin.types import MAX_CACHE_TTL_S, MAX_CANARY, MAX_SHADOW, Isolation, LongText

if TYPE_CHECKING:
    from hanlin.client import Deployment, Endpoint, Hanlin


def register(app: typer.Typer) -> None:
    """Add the commands."""
    add_command(app, "deploy", deploy, "help.deploy")
    add_command(app, "undeploy", undeploy, "help.undeploy")
    add_command(app, "rollback", rollback, "help.rollback")
    add_command(app, "scale", scaling.scale, "help.scale")
    endpoint = group(app, "endpoint")
    add_command(endpoint, "list", list_, "help.endpoint_list")
    add_command(endpoint, "show", show, "help.endpoint_show")
    add_command(endpoint, "set", set_, "help.endpoint_set")
    add_command(endpoint, "promote", scaling.promote, "help.endpoint_promote")
    add_command(endpoint, "abort", scaling.abort, "help.endpoint_abort")
    task = group(app, "task")
    add_command(task, "list", tasks, "help.task_list")


def deploy(  # noqa: PLR0917  # Typer passes them by name
    model: Annotated[str, typer.Argument(help=say("option.model"))],
    endpoint: Annotated[str, typer.Option("--endpoint", help=say("option.endpoint"))],
    variant: Annotated[str | None, typer.Option("--variant", help=say("option.variant"))] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", help=say("option.replicas"), min=0)] = None,
    isolation: Annotated[Isolation | None, typer.Option("--isolation", help=say("option.isolation"))] = None,
    idle_s: Annotated[float | None, typer.Option("--idle-s", help=say("option.idle_s"), min=0)] = None,
    long_text: Annotated[LongText | None, typer.Option("--long-text", help=say("option.long_text"))] = None,
    canary: Annotated[int | None, typer.Option("--canary", help=say("option.canary"), min=1, max=MAX_CANARY, metavar="PERCENT")] = None,
    shadow: Annotated[int | None, typer.Option("--shadow", help=say("option.shadow"), min=1, max=MAX_SHADOW, metavar="PERCENT")] = None,
    draft: Annotated[str | None, typer.Option("--draft", help=say("option.draft"), metavar="MODEL")] = None,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.deploy`."""
    with connect() as hanlin:
        deployment = hanlin.deployments.create(
            model,
            endpoint,
            variant=variant,
            replicas=replicas,
            isolation=isolation,
            idle_s=idle_s,
            long_text=long_text,
            canary=canary,
            shadow=shadow,
            draft=draft,
        )
        tell_warnings(deployment.warnings)
        if wait:
            deployment = _settle(hanlin, deployment)
        url = absolute(hanlin, deployment.url or f"/models/{endpoint}")
    if json:
        SCREEN.document(deployment.model_dump(mode="json"))
        return
    SCREEN.line(_state(deployment))
    if deployment.role != "live":
        SCREEN.line(say(f"trial.{deployment.role}_begun", endpoint=endpoint, weight=deployment.weight))
    elif deployment.state in {"ready", "asleep"}:
        SCREEN.line(f"  {curl.command(url)}")


def _settle(hanlin: Hanlin, deployment: Deployment) -> Deployment:
    """Wait until it serves, with a spinner on a terminal. Ctrl-C leaves it starting."""
    spinner = SCREEN.console(is_error=True).status(say("deploy.starting")) if sys.stderr.isatty() else nullcontext()
    with spinner:
        return hanlin.deployments.wait(deployment)


def undeploy(endpoint: EndpointName, wait: Wait = True, json: JsonFlag = False) -> None:
    """See `help.undeploy`."""
    with connect() as hanlin:
        hanlin.endpoints.delete(endpoint, wait=wait)
    state = "stopped" if wait else "stopping"
    if json:
        SCREEN.document({"endpoint": endpoint, "state": state})
    else:
        SCREEN.line(say(f"deploy.{state}", endpoint=endpoint))
        SCREEN.note(say("deploy.forgotten"))


def rollback(
    endpoint: EndpointName,
    to: Annotated[str | None, typer.Option("--to", metavar="MODEL:VERSION", help=say("option.to"))] = None,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.rollback`."""
    with connect() as hanlin:
        seen = hanlin.endpoints.get(endpoint)
        done = hanlin.endpoints.rollback(endpoint, to=to, expected=seen.id)
        tell_warnings(done.warnings)
        deployment = _settle(hanlin, done) if wait else done
    if json:
        SCREEN.document(deployment.model_dump(mode="json") | {"is_changed": done.is_changed})
        return
    SCREEN.line(_state(deployment))
    if not done.is_changed:
        SCREEN.line(say("deploy.rolled_back_already", endpoint=endpoint))


def _state(deployment: Deployment) -> str:
    model = f"{deployment.model}:{deployment.version}" if deployment.version is not None else deployment.model
    return say(
        "deploy.state",
        endpoint=deployment.endpoint,
        model=model,
        variant=deployment.variant or "",
        state=name_of("state", deployment.state),
    )


def absolute(hanlin: Hanlin, url: str | None) -> str:
    """An address as the server gave it, made whole where it is a path only."""
    return f"{hanlin.url}{url}" if url and url.startswith("/") else url or ""


def list_(json: JsonFlag = False) -> None:
    """See `help.endpoint_list`."""
    with connect() as hanlin:
        found = hanlin.endpoints.list()
    if json:
        SCREEN.document([item.model_dump(mode="json") for item in found])
        return
    rows = [
        (
            item.endpoint,
            f"{item.model or ''}:{item.version or ''}",
            item.variant,
            name_of("state", item.state),
            scaling.span(item.replicas, item.max_replicas),
            absolute(hanlin, item.url),
        )
        for item in found
    ]
    columns = [say(f"column.{name}") for name in ("endpoint", "model", "variant", "state", "replicas", "url")]
    SCREEN.show(grid(columns, rows, right=(4,)))
    for item in found:
        if item.reason:
            SCREEN.line(headed(item.endpoint, words(item.reason)))


def show(endpoint: EndpointName, json: JsonFlag = False) -> None:
    """See `help.endpoint_show`."""
    with connect() as hanlin:
        found = hanlin.endpoints.get(endpoint)
    _show(found, json)


def set_(
    endpoint: EndpointName,
    long_text: Annotated[LongText | None, typer.Option("--long-text", help=say("option.long_text"))] = None,
    cache: Annotated[int | None, typer.Option("--cache", metavar="SECONDS", help=say("option.cache"), min=0, max=MAX_CACHE_TTL_S)] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.endpoint_set`."""
    if long_text is None and cache is None:
        raise InvalidInput("nothing_to_set")
    with connect() as hanlin:
        found = hanlin.endpoints.update(endpoint, long_text=long_text, cache_ttl_s=cache)
    _show(found, json)


def _show(found: Endpoint, json: bool) -> None:
    document = found.model_dump(mode="json")
    if json:
        SCREEN.document(document)
    else:
        SCREEN.show(
            grid(
                [say("column.endpoint"), found.endpoint],
                [
                    (name_of("field", "endpoint_id" if name == "id" else name), _value(name, value))
                    for name, value in document.items()
                    if name not in ("endpoint", "said", "trial") and value not in (None, "", [], ())
                    if name != "idle_s" or found.replicas == 0  # no other endpoint sleeps
                ],
            )
        )
        if found.trial is not None:
            scaling.show_trial(document["trial"])


def _value(name: str, value: object) -> str:
    """A field for people: the state, what becomes of long texts and what 0 seconds mean in their language, a list as words."""
    if name == "state":
        return name_of("state", words(value))
    if name == "long_text":
        return name_of("long_text", words(value))
    if name == "cache_ttl_s":
        return say("endpoint.cache", seconds=value) if value else say("endpoint.no_cache")
    if name == "idle_s" and not value:
        return say("endpoint.for_others")
    return listed(map(words, value)) if isinstance(value, list) else words(value)


def tasks(json: JsonFlag = False) -> None:
    """See `help.task_list`."""
    with connect() as hanlin:
        found = hanlin.tasks()
    if json:
        SCREEN.document([item.model_dump(mode="json") for item in found])
        return
    rows = [
        (item.name, name_of("metric", item.main_metric), ", ".join(words(part(column, "name") or column) for column in items(item.columns)))
        for item in found
    ]
    SCREEN.show(grid([say("column.task"), say("column.metric"), say("column.columns")], rows))
