"""Tables of what teams send, or are answered, and keep for a while: uploads, files, responses. `tables.py` has them all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hanlin.storage.table_base import Table
from hanlin.types import JsonObject, JsonValue


class UploadRow(Table):
    """Bytes a team sends or has sent; a finished one keeps its blob from collection until an artifact names it."""

    __tablename__ = "uploads"
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    is_complete: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FileRow(Table):
    """A file that a team keeps for a while: input of a batch, or what a batch job made (`job_id`). Its bytes are a blob."""

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("job_id", "purpose"), Index(None, "team_id", "created_at"))
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id"))
    name: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str]  # batch, batch_output, batch_errors, fine-tune, user_data
    digest: Mapped[str] = mapped_column(index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ResponseRow(Table):
    """A response of `/v1/responses` that can be gone on from (`previous_id`), with the items that its call sent."""

    __tablename__ = "responses"
    __table_args__ = (Index(None, "team_id", "created_at", "size_bytes"), Index(None, "expires_at"))
    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.team_id", ondelete="CASCADE"))
    previous_id: Mapped[str | None]
    size_bytes: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    items: Mapped[JsonValue] = mapped_column(nullable=False)
    answer: Mapped[JsonObject]
