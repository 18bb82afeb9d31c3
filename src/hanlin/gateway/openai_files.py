"""OpenAI's files: inputs of batches and fine-tunings, sets of documents, and what batches made. Source: its reference of `/v1/files`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from hanlin.control import files
from hanlin.control.files import StoredFile
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput
from hanlin.gateway.control_api_routing import Caller, Routes, answers, refused
from hanlin.gateway.control_api_wire import Answer
from hanlin.gateway.downloads import send
from hanlin.gateway.multipart import Form, read_form
from hanlin.types import Principal, shorten

_MIN_TTL_S, _MAX_TTL_S = 3600, 30 * 86_400
_FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
_ROWS = '{"text": "The food was wonderful.", "label": "positive"}\n'
_LINES = '{"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"model": "search", "input": "Sending goods back"}}\n'
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object", "required": ["file", "purpose"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "purpose": {"type": "string", "enum": ["batch", "fine-tune", "user_data"]},
                    "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                    "expires_after[seconds]": {"type": "integer", "minimum": _MIN_TTL_S, "maximum": _MAX_TTL_S},
                },
            },
            "examples": {
                "rows to learn": {"summary": "rows to learn", "value": {"purpose": "fine-tune", "file": _ROWS}},
                "requests, kept for a day": {
                    "summary": "requests, kept for a day",
                    "value": {
                        "purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": 86_400, "file": _LINES,
                    },
                },
            },
        }
    },
}  # fmt: skip
Purpose = Literal["batch", "batch_output", "fine-tune", "user_data"]
_INPUTS: dict[str, files.Purpose] = {"batch": "batch", "fine-tune": "fine-tune", "user_data": "user_data"}


class FileAnswer(Answer):
    """A file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="seconds since 1970")
    expires_at: int
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"

    @classmethod
    def made(cls, file: StoredFile) -> FileAnswer:
        """Of a stored file; what a batch made is output, its errors too."""
        return cls(
            id=file.id, bytes=file.size_bytes, created_at=int(file.created_at.timestamp()), expires_at=int(file.expires_at.timestamp()),
            filename=file.name, purpose=_shown(file),
        )  # fmt: skip


class FilesAnswer(Answer):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileAnswer]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedAnswer(Answer):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["openai"], prefix="/v1")

    @data.add("POST", "/files", "write", openapi_extra={"requestBody": _FORM})
    async def create_batch_file(caller: Caller, request: Request) -> FileAnswer:
        """Uploads the input of a batch or of a fine-tuning as a form with `file` and `purpose`: `batch`, `fine-tune`, or
        `user_data`, a set of documents to ask questions about."""
        await asyncio.to_thread(files.check_room, platform, caller)
        limit = platform.settings.max_batch_file_bytes
        form = await read_form(request, files.arrivals(platform), limit=limit, prefix=files.ARRIVING)
        try:
            return FileAnswer.made(await asyncio.to_thread(_keep, platform, caller, form))
        finally:
            form.close()

    @data.add("GET", "/files", "read", responses=refused(404))
    def list_batch_files(
        caller: Caller, purpose: Purpose | None = None, after: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=files.MAX_LISTED)] = files.MAX_LISTED, order: Literal["asc", "desc"] = "desc",
    ) -> FilesAnswer:  # fmt: skip
        """The team's files, newest first unless `order` says otherwise."""
        is_oldest_first = order == "asc"
        found = files.list_files(platform, caller, purpose=purpose, after=after, limit=limit + 1, is_oldest_first=is_oldest_first)
        page = [FileAnswer.made(file) for file in found[:limit]]
        first, last = (page[0].id, page[-1].id) if page else (None, None)
        return FilesAnswer(data=page, first_id=first, last_id=last, has_more=len(found) > limit)

    @data.add("GET", "/files/{file_id}", "read")
    def get_batch_file(caller: Caller, file_id: str) -> FileAnswer:
        """One file."""
        return FileAnswer.made(files.get_file(platform, caller, file_id))

    @data.add("DELETE", "/files/{file_id}", "write")
    def delete_batch_file(caller: Caller, file_id: str) -> DeletedAnswer:
        """Deletes a file. A batch that runs keeps what it reads."""
        files.delete_file(platform, caller, file_id)
        return DeletedAnswer(id=file_id)

    @data.add("GET", "/files/{file_id}/content", "read", response_class=StreamingResponse, responses=answers("application/octet-stream"))
    def get_batch_file_content(caller: Caller, file_id: str, request: Request) -> StreamingResponse:
        """The bytes of a file; with `Range`, from any byte on."""
        found = files.get_file(platform, caller, file_id)
        return send(request, files.open_file(platform, caller, file_id), found.size_bytes)

    return data.router


def _keep(platform: Platform, caller: Principal, form: Form) -> StoredFile:
    """Raises InvalidInput naming the field that is wrong."""
    for name in form.fields:
        if name not in _FIELDS:
            raise InvalidInput("unknown_field", name=shorten(name), near="purpose", choices=", ".join(("file", *_FIELDS)))
    if form.file_field != "file":
        raise InvalidInput("missing_field", name="file")
    if "purpose" not in form.fields:
        raise InvalidInput("missing_field", name="purpose")
    purpose = _INPUTS.get(form.fields["purpose"])
    if purpose is None:
        raise InvalidInput(
            "invalid_parameter", name="purpose", expected="one of batch, fine-tune and user_data", found=shorten(form.fields["purpose"])
        )
    return files.add(platform, caller, form.path, name=_name(form.file_name), purpose=purpose, ttl_s=_ttl_s(form))


def _shown(file: StoredFile) -> Purpose:
    """As OpenAI has it: errors are output too."""
    return "batch_output" if file.purpose in {"batch_output", "batch_errors"} else cast("Purpose", file.purpose)


def _name(text: str) -> str:
    """The last part of a file's name, without what cannot be shown."""
    last = text.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()) or "batch.jsonl"


def _ttl_s(form: Form) -> float | None:
    text = form.fields.get("expires_after[seconds]")
    if form.fields.get("expires_after[anchor]", "created_at") != "created_at":
        raise InvalidInput("invalid_parameter", name="expires_after[anchor]", expected="one of created_at", found="another")
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not _MIN_TTL_S <= seconds <= _MAX_TTL_S:
        expected = f"an integer from {_MIN_TTL_S} to {_MAX_TTL_S}"
        raise InvalidInput("invalid_parameter", name="expires_after[seconds]", expected=expected, found="one out of range")
    return float(seconds)
