"""How a route of the control API is made: behind authentication and a declared scope, with a strict body.

A route without a declared scope cannot be made: `Routes.add` asks for it, and a test holds that nothing else adds routes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Path, Request
from fastapi.routing import APIRoute

from hanlin.control.platform import Platform
from hanlin.gateway.control_api_strict import IGNORED_QUERY, StrictRoute
from hanlin.gateway.operation import JSON, PREFIX, refusals, told
from hanlin.types import JsonObject, Principal, Scope

_KEY: list[dict[str, list[str]]] = [{"key": []}]


def answers(kind: str) -> dict[int | str, dict[str, Any]]:
    """For the description: a good answer that is text of this media type, and no JSON."""
    return told(200, "The answer", {"type": "string"}, kind=kind)


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the description: refusals that a route of its kind does not have by itself."""
    return {int(status): cast("dict[str, Any]", answer) for status, answer in refusals(statuses).items()}


def events() -> dict[int | str, dict[str, Any]]:
    """For the description: server-sent events, whose form OpenAPI 3.1 has no words for."""
    return told(200, "Events with `id`, `event` and `data` (JSON on one line), as they come", {}, kind="text/event-stream")


def principal_of(request: Request) -> Principal:
    """Who calls; put there by `authenticate`."""
    found = request.state.principal
    assert isinstance(found, Principal)
    return found


def language_of_caller(request: Request) -> str:
    """What the caller reads (`en` or `zh`); put there by the edge."""
    return str(request.scope["state"].get("language", "en"))


Caller = Annotated[Principal, Depends(principal_of)]
Language = Annotated[str, Depends(language_of_caller)]
Number = Annotated[int, Path(ge=1, lt=2**31)]  # of a version


def _sent(examples: dict[str, JsonObject] | None) -> dict[str, Any]:
    """The part of the description that shows `examples`; FastAPI adds the schema."""
    shown = {name: {"summary": name, "value": value} for name, value in (examples or {}).items()}
    return {"requestBody": {"content": {JSON: {"examples": shown}}}} if shown else {}


def _name_of(route: APIRoute) -> str:
    """The route's name in the description and in clients that are made of it."""
    return route.name


class Routes:
    """Adds routes to a router, each behind authentication and a scope.

    Args:
        ignored_query: parameters behind their addresses that clients send, and that change nothing here; unknown ones are refused.
    """

    def __init__(self, platform: Platform, *, tags: list[str], prefix: str = PREFIX, ignored_query: tuple[str, ...] = ()) -> None:
        self.platform = platform
        self._ignored = {IGNORED_QUERY: list(ignored_query)} if ignored_query else {}
        self.router = APIRouter(prefix=prefix, route_class=StrictRoute, tags=list(tags), generate_unique_id_function=_name_of)

    def add(
        self, method: str, path: str, scope: Scope, *, status: int = 200, examples: dict[str, JsonObject] | None = None,
        openapi_extra: dict[str, Any] | None = None, **options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
        """Decorator: `method path` calls the function, for keys that have `scope`.

        Args:
            examples: JSON bodies by what they are for; a test sends each.
        """

        def authenticate(request: Request) -> None:
            principal = self.platform.accounts.authenticate(request.headers.get("authorization"))
            principal.require(scope)
            request.state.principal = principal

        return self.router.api_route(
            path, methods=[method], status_code=status, dependencies=[Depends(authenticate)],
            openapi_extra={"x-scope": scope, "security": _KEY, **self._ignored, **_sent(examples), **(openapi_extra or {})}, **options,
        )  # fmt: skip
