"""Files that a team keeps for a while: what is swept away, and what a batch may ask of them."""

from __future__ import annotations

import os
import time

import pytest

from hanlin.control import files, jobs
from hanlin.errors import InvalidInput


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


@pytest.mark.parametrize("url", ["/v1/keys", "/v1/embeddings\r\nx: y", "", "http://elsewhere/v1/embeddings", "/v1/embeddings?x"])
def test_a_batch_asks_at_the_doors_of_batches_only(platform, owner, url: str) -> None:
    """The url becomes the first line of requests of the job itself."""
    file = {"path": "lines.jsonl", "sha256": platform.blobs.put(b"{}"), "size_bytes": 2}
    with pytest.raises(InvalidInput) as caught:
        jobs.submit(platform, owner, kind="batch", config={"url": url, "file": file})
    assert caught.value.code == "invalid_job_config"
