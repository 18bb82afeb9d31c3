"""Models fetched from Hugging Face's hub, ModelScope, or a mirror of theirs, into a folder that keeps what it has.

A broken transfer goes on where it stopped; nothing is kept whose digest is not what the hub's listing said. Only names that importers
read are asked for. Redirects are followed by hand: few, never from https to http, never into a private network unless the hub itself
stands there, and without the token on another host. Runs where the caller is: a server never fetches for anybody. Blocking.
Source: huggingface_hub, `/api/models/{repo}/revision/{revision}`, `/{repo}/resolve/{revision}/{path}`; modelscope,
`/api/v1/models/{repo}/repo/files`, `/api/v1/models/{repo}/repo`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from hanlin.client.hub_source import HubFile, HubSource, endpoint_of, token_of, wanted
from hanlin.errors import DataCorrupt, HanlinError, InvalidInput, NotFound, NotReady, Overloaded, PermissionDenied
from hanlin.types import shorten

OnBytes = Callable[[int, int], None]  # (bytes done, bytes in all)
MAX_BYTES = 50 * 2**30
MAX_LISTING_BYTES = 32 * 2**20
MAX_REDIRECTS = 5
MAX_TRIES = 6
MAX_BREAKS = 1000  # of one file
MAX_PAUSE_S = 60.0
_PIECE = 2**20
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_IS_SHA256, _IS_SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where fetched files are kept: `XDG_CACHE_HOME`, else `~/.cache`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hanlin" / "hub"


def fetch(
    source: HubSource, *, environ: Mapping[str, str] | None = None, on_bytes: OnBytes | None = None, max_bytes: int = MAX_BYTES
) -> Path:
    """A folder with the model's files, each as the hub describes it.

    Args:
        environ: endpoint, token, `HF_HUB_OFFLINE`, cache folder; None takes the process's own.
        on_bytes: told of the progress.
        max_bytes: of all files.

    Raises:
        NotFound: `hub_not_found`. PermissionDenied: `hub_refused`. Overloaded: `hub_busy`. NotReady: `hub_offline`, `hub_unreachable`.
        InvalidInput: `hub_no_weights`, `hub_too_large`, `hub_redirect_refused`, `hub_answer_wrong`. DataCorrupt: `hub_digest_wrong`.
    """
    environ = os.environ if environ is None else environ
    home = cache_folder(environ) / source.hub / source.repository.replace("/", "--")
    note = home / "revisions" / quote(source.revision, safe="")
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return _kept(home, note, source)
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=True, headers={"User-Agent": "hanlin"}) as client:
        hub = _Hub(client, source, endpoint_of(source.hub, environ), token_of(source.hub, environ))
        commit, files = hub.listing()
        files = wanted(source, files)
        total = sum(file.size_bytes for file in files)
        if total > max_bytes:
            raise InvalidInput("hub_too_large", name=str(source), problem=f"{total:,} > {max_bytes:,} bytes")
        folder, done = home / commit, 0
        for file in files:
            hub.fetch(file, commit, folder, lambda part, start=done: on_bytes(start + part, total) if on_bytes else None)  # type: ignore[misc]
            done += file.size_bytes
        _remove_others(folder, {file.path for file in files})
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(commit, encoding="ascii")
    return folder


def _kept(home: Path, note: Path, source: HubSource) -> Path:
    commit = note.read_text(encoding="ascii") if note.is_file() else source.revision
    folder = home / commit
    if not note.is_file() or not folder.is_dir():
        raise NotReady("hub_offline", name=str(source))
    return folder


def _remove_others(folder: Path, paths: set[str]) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in paths:
            path.unlink()


@dataclass(slots=True)
class _Hub:
    """One repository of one hub."""

    client: httpx.Client
    source: HubSource
    endpoint: str
    token: str | None
    _checked: set[str] = field(default_factory=set)

    def listing(self) -> tuple[str, list[HubFile]]:
        """(what the revision means now, all files)."""
        name, revision = self.source.repository, quote(self.source.revision, safe="")
        if self.source.hub == "hf":
            found = self._json(f"{self.endpoint}/api/models/{name}/revision/{revision}?blobs=true")
            commit, items = found.get("sha"), found.get("siblings")
            files = [self._hf_file(item) for item in items] if isinstance(items, list) else []
        else:
            found = self._json(f"{self.endpoint}/api/v1/models/{name}/repo/files?Revision={revision}&Recursive=true")
            data = found.get("Data")
            items = data.get("Files") if isinstance(data, dict) else None
            files = [self._ms_file(item) for item in items if item.get("Type") != "tree"] if isinstance(items, list) else []
            commit = hashlib.sha1(repr(sorted(map(repr, files))).encode(), usedforsecurity=False).hexdigest()  # it names no commit
        if not isinstance(commit, str) or not _IS_SHA1.fullmatch(commit) or not files:
            raise self._wrong("no files, or no commit")
        return commit, files

    def _hf_file(self, item: Any) -> HubFile:
        large = item.get("lfs") or {}
        return self._file(item.get("rfilename"), large.get("size", item.get("size")), large.get("sha256"), item.get("blobId"))

    def _ms_file(self, item: Any) -> HubFile:
        return self._file(item.get("Path"), item.get("Size"), item.get("Sha256"), None)

    def _file(self, path: object, size: object, sha256: object, sha1: object) -> HubFile:
        is_right = isinstance(path, str) and isinstance(size, int) and size >= 0
        sha256 = sha256 if isinstance(sha256, str) and _IS_SHA256.fullmatch(sha256) else None
        sha1 = sha1 if isinstance(sha1, str) and _IS_SHA1.fullmatch(sha1) else None
        if not is_right or (sha256 is None and sha1 is None):
            raise self._wrong(f"{shorten(str(path))}: no size, or no digest")
        return HubFile(str(path), int(str(size)), sha256, sha1)

    def _url(self, path: str, commit: str) -> str:
        name = self.source.repository
        if self.source.hub == "hf":
            return f"{self.endpoint}/{name}/resolve/{commit}/{quote(path)}"
        revision = quote(self.source.revision, safe="")
        return f"{self.endpoint}/api/v1/models/{name}/repo?Revision={revision}&FilePath={quote(path, safe='')}"

    def fetch(self, file: HubFile, commit: str, folder: Path, report: Callable[[int], None]) -> None:
        """Bring one file into `folder`, from wherever an earlier try stopped."""
        target = folder.joinpath(*file.path.split("/"))
        if target.is_file() and target.stat().st_size == file.size_bytes:
            report(file.size_bytes)
            return
        part = target.with_name(target.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        self._pull_all(part, self._url(file.path, commit), file, report)
        if not _is_right(part, file):
            part.unlink()
            raise DataCorrupt("hub_digest_wrong", file=file.path, name=str(self.source))
        part.replace(target)

    def _pull_all(self, part: Path, url: str, file: HubFile, report: Callable[[int], None]) -> None:
        """Until all is there; a transfer that moves on has all its tries again."""
        failures = 0
        for _ in range(MAX_BREAKS):
            start = part.stat().st_size if part.is_file() else -1
            if start == file.size_bytes:
                return
            try:
                self._pull(url, part, file, report)
                return
            except (httpx.TransportError, Overloaded, NotReady) as error:
                is_further = part.is_file() and part.stat().st_size > max(start, 0)
                failures = 1 if is_further else failures + 1
                if failures == MAX_TRIES:
                    raise self._unreachable(error) from error
                self._pause(error, failures - 1)
        raise NotReady("hub_unreachable", name=str(self.source), problem="broken off too often")

    def _pull(self, url: str, part: Path, file: HubFile, report: Callable[[int], None]) -> None:
        start = part.stat().st_size if part.is_file() else 0
        with self._get(url, {"Range": f"bytes={start}-"} if start else {}) as reply:
            if reply.status_code == 416 or (reply.status_code == 206 and not _continues(reply, start)):
                part.unlink(missing_ok=True)
                raise NotReady("hub_unreachable", name=str(self.source), problem="another range than was asked for")
            with part.open("ab" if reply.status_code == 206 else "wb") as out:
                for piece in reply.iter_raw():  # as it comes: what a buffer holds is lost when the line breaks
                    out.write(piece)
                    if out.tell() > file.size_bytes:
                        break
                    report(out.tell())
        if part.stat().st_size > file.size_bytes:
            part.unlink()
            raise DataCorrupt("hub_digest_wrong", file=file.path, name=str(self.source))
        if part.stat().st_size < file.size_bytes:
            raise NotReady("hub_unreachable", name=str(self.source), problem="the transfer broke off")

    def _json(self, url: str) -> dict[str, Any]:
        for attempt in range(MAX_TRIES):
            try:
                with self._get(url, {}) as reply:
                    body = b""
                    for piece in reply.iter_bytes(_PIECE):
                        body += piece
                        if len(body) > MAX_LISTING_BYTES:
                            raise self._wrong("the listing is too long")
                found = httpx.Response(200, content=body).json()
                if not isinstance(found, dict):
                    raise self._wrong("no JSON object")
                return found
            except ValueError as error:
                raise self._wrong("no JSON") from error
            except (httpx.TransportError, Overloaded, NotReady) as error:
                if attempt == MAX_TRIES - 1:
                    raise self._unreachable(error) from error
                self._pause(error, attempt)
        raise AssertionError("the last try raises")

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer behind the redirects. Raises for anything but 200, 206 and 416."""
        first = urlsplit(url)
        headers = {"Accept-Encoding": "identity", **headers}
        for _ in range(MAX_REDIRECTS + 1):
            self._check_address(url)
            parts = urlsplit(url)
            own = {"Authorization": f"Bearer {self.token}"} if self.token and parts.netloc == first.netloc else {}
            with self.client.stream("GET", url, headers=headers | own) as reply:
                if reply.status_code not in (301, 302, 303, 307, 308):
                    self._check_status(reply)
                    yield reply
                    return
                to = urljoin(url, reply.headers.get("location", ""))
            if urlsplit(to).scheme not in ("https", first.scheme):
                raise InvalidInput("hub_redirect_refused", name=str(self.source), address=shorten(urlsplit(to).netloc or to, 100))
            url = to
        raise InvalidInput("hub_redirect_refused", name=str(self.source), address=shorten(urlsplit(url).netloc, 100))

    def _check_address(self, url: str) -> None:
        """A hub may not send its callers into their own network; only the endpoint that they chose may stand there."""
        host = urlsplit(url).hostname or ""
        if host == urlsplit(self.endpoint).hostname or host in self._checked:
            return
        try:
            found = {item[4][0] for item in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        except OSError as error:
            raise NotReady("hub_unreachable", name=str(self.source), problem=shorten(host, 100)) from error
        if not all(ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in found):
            raise InvalidInput("hub_redirect_refused", name=str(self.source), address=shorten(host, 100))
        self._checked.add(host)

    def _check_status(self, reply: httpx.Response) -> None:
        status, name = reply.status_code, str(self.source)
        if status in (200, 206, 416):
            return
        if status in (401, 403):
            raise PermissionDenied("hub_refused", name=name, status=status)
        if status == 404:
            raise NotFound("hub_not_found", name=name)
        if status == 429 or status >= 500:
            told = reply.headers.get("retry-after", "")
            raise Overloaded("hub_busy", name=name, status=status, retry_after_s=float(told) if told.isdigit() else None)
        raise self._wrong(f"status {status}")

    def _pause(self, error: Exception, attempt: int) -> None:
        told = error.retry_after_s if isinstance(error, HanlinError) else None
        time.sleep(min(told if told is not None else _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)], MAX_PAUSE_S))

    def _unreachable(self, error: Exception) -> HanlinError:
        if isinstance(error, HanlinError):
            return error
        return NotReady("hub_unreachable", name=str(self.source), problem=type(error).__name__, details=str(error))

    def _wrong(self, problem: str) -> InvalidInput:
        return InvalidInput("hub_answer_wrong", name=str(self.source), problem=problem)


def _continues(reply: httpx.Response, start: int) -> bool:
    return str(reply.headers.get("content-range", "")).startswith(f"bytes {start}-")


def _is_right(path: Path, file: HubFile) -> bool:
    if file.sha256 is not None:
        with path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest() == file.sha256
    digest = hashlib.sha1(f"blob {file.size_bytes}\0".encode(), usedforsecurity=False)
    with path.open("rb") as raw:
        while piece := raw.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest() == file.git_sha1
