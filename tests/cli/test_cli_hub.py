"""`hanlin model import NAME hf:ORG/NAME`: fetched to this machine, uploaded by digest, imported."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.client.hub_standin import FILES, TAKEN, serve_hub

from hanlin.client import hub


@pytest.mark.parametrize("source", ["hf:org/name", "modelscope:org/name"])
def test_a_model_of_a_hub_is_fetched_here_and_uploaded(run, world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(hub, "_PAUSES_S", (0.0,))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with serve_hub() as found:
        found.faults = [("model.safetensors", "broken")]
        for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
            monkeypatch.setenv(name, found.url)
        done = run("model", "import", "mood", source, "--task", "text-classification", "--no-wait")
    assert done.status == 0, done.err
    digests = {path: hashlib.sha256(FILES[path]).hexdigest() for path in TAKEN}
    assert {digest: world.blobs.get(digest) for digest in digests.values()} == {digests[path]: FILES[path] for path in TAKEN}
    config = world.jobs["job-1"]["config"]
    assert {file["path"]: file["sha256"] for file in config["files"]} == digests
    assert (config["name"], config["task"]) == ("mood", "text-classification")
    assert world.jobs["job-1"]["kind"] == "import"
