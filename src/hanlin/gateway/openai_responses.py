"""OpenAI's stored responses: looked at and deleted by keys of the team that made them. Source: its reference of `/v1/responses`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import JsonValue

from hanlin.control import stored_responses
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, NotFound
from hanlin.gateway.control_api_routing import Caller, Routes, refused
from hanlin.gateway.control_api_wire import Answer, Json
from hanlin.types import shorten

_MAX_LISTED = 100


class ItemsAnswer(Answer):
    """A page of items."""

    object: Literal["list"] = "list"
    data: list[dict[str, JsonValue]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(Answer):
    """A response that is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["openai"], prefix="/v1", ignored_query=("beta",))

    @data.add("GET", "/responses/{response_id}", "predict", responses=refused(404))
    def get_response(
        caller: Caller, response_id: str, stream: Annotated[bool, Query(description="false: nothing is told again")] = False
    ) -> Json:  # fmt: skip
        """A response that was stored, without chances of its tokens."""
        if stream:
            raise InvalidInput("field_not_taken", name="stream")
        return dict(stored_responses.get_response(platform, caller, response_id).answer)

    @data.add("DELETE", "/responses/{response_id}", "predict")
    def delete_response(caller: Caller, response_id: str) -> DeletedResponse:
        """Deletes a response. Talks that went on from it cannot be gone on with."""
        stored_responses.delete_response(platform, caller, response_id)
        return DeletedResponse(id=response_id)

    @data.add("GET", "/responses/{response_id}/input_items", "predict", responses=refused(404))
    def list_response_items(
        caller: Caller, response_id: str, after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 20, order: Literal["asc", "desc"] = "desc",
    ) -> ItemsAnswer:  # fmt: skip
        """The items that the call of a response sent, newest first unless `order` says otherwise; not those of the turns before it."""
        items = list(stored_responses.get_response(platform, caller, response_id).items)
        items = items if order == "asc" else items[::-1]
        names = [str(item["id"]) for item in items]
        start = 0 if after is None else _place(names, after) + 1
        page = items[start : start + limit]
        first, last = (str(page[0]["id"]), str(page[-1]["id"])) if page else (None, None)
        return ItemsAnswer(data=[dict(item) for item in page], first_id=first, last_id=last, has_more=start + limit < len(items))

    return data.router


def _place(names: list[str], name: str) -> int:
    if name not in names:
        raise NotFound("not_found", kind="item", name=shorten(name))
    return names.index(name)
