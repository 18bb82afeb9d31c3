"""Files of the purpose `user_data` as sets of documents: what a gateway reads for a caller who asks about one."""

from __future__ import annotations

from sqlalchemy import select

from hanlin.control.platform import Platform
from hanlin.errors import NotFound
from hanlin.storage.kept_tables import FileRow
from hanlin.types import Digest, Principal, shorten, utc_now


class StoredDocuments:
    """Finds and reads them. A key that may predict may have its team's sets read for it: it sees the answers, not the set."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def find(self, principal: Principal, file_id: str) -> tuple[str, int]:
        """Digest and size of a set. Raises NotFound, alike for all reasons."""
        principal.require("predict")
        query = select(FileRow.digest, FileRow.size_bytes).where(
            FileRow.team_id == principal.team_id, FileRow.id == file_id[:100], FileRow.purpose == "user_data",
            FileRow.expires_at >= utc_now(),
        )  # fmt: skip
        with self._platform.database.read() as session:
            row = session.execute(query).first()
        if row is None or "\x00" in file_id:
            raise NotFound("not_found", kind="file", name=shorten(file_id))
        return row.digest, row.size_bytes

    def read(self, digest: str) -> bytes:
        """Its bytes, verified. Raises DataCorrupt."""
        with self._platform.blobs.open(Digest(digest)) as stream:
            return stream.read()
