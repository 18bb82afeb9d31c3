"""The base of all tables: how moments and JSON are stored, how constraints are named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import JSON, DateTime, MetaData, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

from hanlin.types import JsonObject, JsonValue


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with time zone; stored in UTC, and read back in UTC where the database forgets the zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses moments without a zone: they are a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Gives SQLite's naive value its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[object, object]] = {
        datetime: UtcDateTime,
        JsonObject: JSON,
        JsonValue: JSON,
        list[str]: JSON,
        str: String(255),
    }
