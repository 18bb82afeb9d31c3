"""Files that a team keeps for a while: what is swept away, and what a batch may ask of them."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from hanlin.control import files, jobs
from hanlin.control.document_files import StoredDocuments
from hanlin.errors import InvalidInput, NotFound, PermissionDenied
from hanlin.types import TeamId


def test_forms_that_never_arrived_are_swept_away(platform) -> None:
    folder = files.arrivals(platform)
    folder.mkdir(parents=True, exist_ok=True)
    old, new, other = (folder / name for name in (f"{files.ARRIVING}old.tmp", f"{files.ARRIVING}new.tmp", "other"))
    long_ago_s = time.time() - platform.settings.upload_ttl_s - 60
    for path in (old, new, other):
        path.write_bytes(b"half a form")
    for path in (old, other):
        os.utime(path, (long_ago_s, long_ago_s))
    files.sweep(platform)
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_a_set_of_documents_is_its_teams_and_of_its_purpose(platform, owner, tmp_path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(b'"one"')
    kept = files.add(platform, owner, path, name="set.jsonl", purpose="user_data")
    other = files.add(platform, owner, path, name="rows.jsonl", purpose="batch")
    sets = StoredDocuments(platform)
    asking = replace(owner, scopes=frozenset({"predict"}))
    assert sets.find(asking, kept.id) == (kept.digest, 5)
    assert sets.read(kept.digest) == b'"one"'
    for principal, name in ((asking, other.id), (asking, kept.id + "x"), (asking, "\x00"), (replace(asking, team_id=TeamId("x")), kept.id)):
        with pytest.raises(NotFound):
            sets.find(principal, name)
    with pytest.raises(PermissionDenied):
        sets.find(replace(owner, scopes=frozenset({"read"})), kept.id)


@pytest.mark.parametrize("url", ["/v1/keys", "/v1/embeddings\r\nx: y", "", "http://elsewhere/v1/embeddings", "/v1/embeddings?x"])
def test_a_batch_asks_at_the_doors_of_batches_only(platform, owner, url: str) -> None:
    """The url becomes the first line of requests of the job itself."""
    file = {"path": "lines.jsonl", "sha256": platform.blobs.put(b"{}"), "size_bytes": 2}
    with pytest.raises(InvalidInput) as caught:
        jobs.submit(platform, owner, kind="batch", config={"url": url, "file": file})
    assert caught.value.code == "invalid_job_config"
