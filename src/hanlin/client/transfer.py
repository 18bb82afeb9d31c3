"""Uploads and downloads of files by digest: resumable, verified. Free of network input and output: see `steps.py`."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue

from hanlin.client import calls, hub, hub_source, replies
from hanlin.client.files import LocalFile, describe_files, digest_file, read_piece
from hanlin.client.flows import Policy, exchange, step_of
from hanlin.client.steps import Broken, Flow, Reply, Sleep, read, send, work
from hanlin.client.value import JsonObject
from hanlin.client.values import UploadedFile
from hanlin.errors import DataCorrupt, HanlinError, Internal, InvalidInput
from hanlin.types import shorten

OnBytes = Callable[[int, int], None]  # (bytes done, bytes in all)
MAX_STALLS = 5


def upload(source: Path, policy: Policy, *, on_bytes: OnBytes | None = None) -> Flow[list[UploadedFile]]:
    """Send a file, or every file of a folder, unless the server has it. Returns what was sent, for a job's config.

    Raises:
        InvalidInput: `file_missing`, `folder_empty`, `file_unreadable`.
        DataCorrupt: `file_changed` when a file changed while it was sent.
    """
    files = yield from work(lambda: describe_files(source))
    total = sum(file.size_bytes for file in files)
    done = 0
    for file in files:
        start = done

        def report(offset: int, start: int = start) -> None:
            if on_bytes:
                on_bytes(start + offset, total)

        yield from _upload_file(file, policy, report)
        done += file.size_bytes
        report(file.size_bytes)
    return [UploadedFile(path=file.path, sha256=file.sha256, size_bytes=file.size_bytes) for file in files]


def upload_model(source: str | Path, policy: Policy, *, on_bytes: OnBytes | None = None) -> Flow[list[UploadedFile]]:
    """Send a model: of a folder, or of a hub, from which it is fetched to this machine first. Raises as `upload` and `hub.fetch` do."""
    if isinstance(source, str) and hub_source.is_hub_name(source):
        named = hub_source.parse(source)
        source = yield from work(lambda: hub.fetch(named, on_bytes=on_bytes))
    return (yield from upload(Path(source), policy, on_bytes=on_bytes))


def _upload_file(file: LocalFile, policy: Policy, report: Callable[[int], None]) -> Flow[None]:
    """Send one file piece by piece from wherever the server stands."""
    offset = yield from _offset(file, policy)
    stalls = 0
    while offset is not None:
        report(offset)
        piece = yield from work(lambda at=offset: read_piece(file.source, at))  # type: ignore[misc]
        if not piece and offset < file.size_bytes:
            raise DataCorrupt("file_changed", path=file.path)
        piece = piece[: file.size_bytes - offset]
        reply = yield from exchange(calls.put_blob(file.sha256, piece, offset=offset, total=file.size_bytes), policy)
        if reply.status in (200, 201, 204):
            return
        # 308 tells what is stored; 409 and 416 mean that we and the server disagree, so ask.
        following = _stored(reply) if reply.status == 308 else (yield from _offset(file, policy))
        stalls = stalls + 1 if following is not None and following <= offset else 0
        if stalls > MAX_STALLS:
            raise replies.error_of(reply, url=policy.url) if reply.status >= 400 else Internal("unexpected_answer", status=reply.status)
        if stalls:
            yield Sleep(policy.pause_s(stalls, Internal("internal")))
        offset = following


def _offset(file: LocalFile, policy: Policy) -> Flow[int | None]:
    """Where to go on; None when the server has the whole file."""
    reply = yield from exchange(calls.blob_status(file.sha256), policy)
    if reply.status == 200:
        return None
    begun = reply.headers.get("upload-offset", "0")
    offset = int(begun) if reply.status == 308 and begun.isascii() and begun.isdigit() else 0
    return min(offset, file.size_bytes)


def _stored(reply: Reply) -> int:
    last = reply.headers.get("range", "").rpartition("-")[2]
    return int(last) + 1 if last.isascii() and last.isdigit() else 0


def download(file: UploadedFile, target: Path, policy: Policy) -> Flow[None]:
    """Fetch one file of a manifest into `target`, verified, then put in place whole; a cut stream starts anew.

    Raises:
        DataCorrupt: `download_corrupt` when the bytes do not match the digest.
        InvalidInput: `file_unwritable`: no folder can be made there, the disk is full, the target is a device, …
    """
    try:
        yield from _download(file, target, policy)
    except OSError as error:
        raise _unwritable(target, error) from error


def _download(file: UploadedFile, target: Path, policy: Policy) -> Flow[None]:
    if target.is_file() and (yield from work(lambda: digest_file(target)))[0] == file.sha256:
        return
    if target.exists() and not target.is_file():  # it would not be written to but replaced
        raise _unwritable(target, OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)))
    yield from work(lambda: _make_folder(target.parent))
    for attempt in range(policy.max_retries + 1):
        error = yield from _fetch(file, target, policy)
        if error is None:
            return
        if attempt == policy.max_retries or not error.is_retryable:
            raise error
        yield Sleep(policy.pause_s(attempt, error))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput("file_unwritable", path=shorten(str(path), 200), problem=error.strerror or type(error).__name__)


def _fetch(file: UploadedFile, target: Path, policy: Policy) -> Flow[HanlinError | None]:
    outcome = yield from send(step_of(calls.get_blob(file.sha256), policy, policy.timeout_s, idle_s=policy.timeout_s))
    if isinstance(outcome, Broken) or outcome.status != 200:
        return replies.error_of(outcome, url=policy.url)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    aside = Path(name)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as out:
            while True:
                chunk = yield from read()
                if isinstance(chunk, Broken):
                    return replies.error_of(chunk, url=policy.url)
                if not chunk:
                    break
                size += len(chunk)
                if size > file.size_bytes:
                    break
                digest.update(chunk)
                out.write(chunk)
        if size != file.size_bytes or digest.hexdigest() != file.sha256:
            return DataCorrupt("download_corrupt", path=file.path)
        aside.replace(target)
        return None
    finally:
        aside.unlink(missing_ok=True)


def ingest_config(name: str, task: str, files: Sequence[UploadedFile], options: JsonObject | None) -> JsonObject:
    """The config of an `ingest` job over uploaded files."""
    return {"dataset": name, "task": task, "files": _rows(files), "options": options or {}}


def import_config(
    name: str, task: str, files: Sequence[UploadedFile], *, rows: str | None, labels: Sequence[str] | None, publish: bool,
    base: str | None = None,
) -> JsonObject:  # fmt: skip
    """The config of an `import` job over uploaded files."""
    config: JsonObject = {"name": name, "task": task, "files": _rows(files), "publish": publish}
    if rows:
        config["rows"] = rows
    if labels is not None:
        config["labels"] = list(labels)
    if base:
        config["base"] = base
    return config


def _rows(files: Sequence[UploadedFile]) -> list[JsonValue]:
    return [file.model_dump(mode="json") for file in files]
