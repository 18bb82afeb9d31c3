"""Responses of `/v1/responses` that teams may look at again and go on from, each with the items that its call sent.

A row is of the team that made it. It goes `response_ttl_s` after the last turn of its talk, when it is deleted, when its team keeps more
than `max_responses` or `max_responses_bytes` (the oldest first), and with its team.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy import Select, func, literal, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, NotFound
from hanlin.storage.kept_tables import ResponseRow
from hanlin.types import JsonObject, Principal, TeamId, shorten, utc_now

MAX_TURNS = 1000  # of a talk: as many as it may have messages
_MAX_GONE = 1000  # rows that one call drops


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as its team sees it: the answer, and what its call sent beside the turns before it."""

    id: str
    previous_id: str | None
    items: tuple[JsonObject, ...]
    answer: JsonObject
    created_at: datetime
    expires_at: datetime


class StoredResponses:
    """What a gateway stores and reads while it answers."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def check(self, items: Sequence[JsonObject], instructions: str) -> bool:
        """Whether anything is stored here. Raises InvalidInput (`response_too_large`) where a call's own items are too many to be."""
        settings = self._platform.settings
        size_bytes = len(msgspec.json.encode([*items, instructions]))
        if settings.response_ttl_s and size_bytes > settings.max_response_bytes:
            raise InvalidInput("response_too_large", size_bytes=size_bytes, limit=settings.max_response_bytes)
        return settings.response_ttl_s > 0

    def talk(self, principal: Principal, response_id: str) -> list[StoredResponse]:
        """The turns of a talk up to a response, oldest first.

        Raises:
            NotFound: for one of which a turn is gone too.
            InvalidInput: `talk_too_large`, before any of it is read: as much as a body may hold.
        """
        principal.require("predict")
        if "\x00" in response_id:  # PostgreSQL takes none in a text
            raise _missing(response_id)
        team_id, now, limit = principal.team_id, utc_now(), self._platform.settings.max_body_bytes
        is_here = (ResponseRow.team_id == team_id, ResponseRow.expires_at >= now)
        named = ResponseRow.id == response_id[:100]
        of_turn = (ResponseRow.id, ResponseRow.previous_id, ResponseRow.size_bytes)
        turns = select(*of_turn, literal(0).label("turn")).where(named, *is_here).cte("turns", recursive=True)
        before = select(*of_turn, turns.c.turn + 1).where(ResponseRow.id == turns.c.previous_id, turns.c.turn < MAX_TURNS, *is_here)
        turns = turns.union_all(before)
        query = select(ResponseRow).join(turns, ResponseRow.id == turns.c.id).order_by(turns.c.turn.desc())
        with self._platform.database.read() as session:
            size_bytes = session.scalar(select(func.coalesce(func.sum(turns.c.size_bytes), 0))) or 0
            if size_bytes > limit:
                raise InvalidInput("talk_too_large", size_bytes=int(size_bytes), limit=limit)
            found = [_value(row) for row in session.scalars(query)]
        if not found or found[0].previous_id is not None:
            raise _missing(response_id)
        return found

    def keep(self, principal: Principal, answer: JsonObject, items: Sequence[JsonObject], turns: Sequence[str]) -> None:
        """Store a response behind the `turns` of its talk, oldest first, whose time begins anew.

        Raises NotReady; NotFound when the team is gone.
        """
        settings, now = self._platform.settings, utc_now()
        expires_at = now + timedelta(seconds=settings.response_ttl_s)
        row = ResponseRow(
            id=str(answer["id"]), team_id=principal.team_id, previous_id=turns[-1] if turns else None,
            size_bytes=len(msgspec.json.encode([*items, answer])), created_at=now, expires_at=expires_at, items=[*items], answer=answer,
        )  # fmt: skip
        with self._platform.database.write() as session:
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise NotFound("not_found", kind="team", name=principal.team_id) from error
            if turns:
                mine = (ResponseRow.team_id == principal.team_id, ResponseRow.id.in_(turns))
                session.execute(update(ResponseRow).where(*mine).values(expires_at=expires_at))
            _drop_oldest(session, principal.team_id, settings.max_responses, settings.max_responses_bytes)


def get_response(platform: Platform, principal: Principal, response_id: str) -> StoredResponse:
    """One response. Raises NotFound."""
    principal.require("predict")
    with platform.database.read() as session:
        return _value(_find(session, principal.team_id, response_id))


def delete_response(platform: Platform, principal: Principal, response_id: str) -> None:
    """Forget a response; talks that went on from it cannot be gone on with. Raises NotFound."""
    principal.require("predict")
    with platform.database.write() as session:
        session.delete(_find(session, principal.team_id, response_id))


def sweep(platform: Platform) -> None:
    """Forgets responses of all teams whose time is over."""
    with platform.database.write() as session:
        session.execute(delete_rows(ResponseRow).where(ResponseRow.expires_at < utc_now()))


def _drop_oldest(session: Session, team_id: TeamId, most: int, most_bytes: int) -> None:
    """What a team keeps beyond its bounds goes, but for the newest."""
    mine = ResponseRow.team_id == team_id
    count, size = session.execute(select(func.count(), func.coalesce(func.sum(ResponseRow.size_bytes), 0)).where(mine)).one()
    if count <= most and size <= most_bytes:
        return
    gone: list[str] = []
    oldest = select(ResponseRow.id, ResponseRow.size_bytes).where(mine).order_by(ResponseRow.created_at, ResponseRow.id)
    for row_id, row_size in session.execute(oldest.limit(min(_MAX_GONE, count - 1))):
        if count <= most and size <= most_bytes:
            break
        count, size = count - 1, size - row_size
        gone.append(row_id)
    session.execute(delete_rows(ResponseRow).where(ResponseRow.id.in_(gone)))


def _alive(team_id: str) -> Select[ResponseRow]:
    return select(ResponseRow).where(ResponseRow.team_id == team_id, ResponseRow.expires_at >= utc_now())


def _find(session: Session, team_id: str, response_id: str) -> ResponseRow:
    row = session.scalar(_alive(team_id).where(ResponseRow.id == response_id[:100])) if "\x00" not in response_id else None
    if row is None:
        raise _missing(response_id)
    return row


def _missing(response_id: str) -> NotFound:
    return NotFound("not_found", kind="response", name=shorten(response_id))


def _value(row: ResponseRow) -> StoredResponse:
    items = tuple(cast("list[JsonObject]", row.items))
    return StoredResponse(row.id, row.previous_id, items, row.answer, row.created_at, row.expires_at)
