"""C135: the disk of a running server is full. What serves serves on, reads go on, writes are refused with the reason; it heals by itself.

The disk is a small one of its own: a tmpfs in a mount namespace of the server's, which needs no rights. It is reached through `/proc`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hanlin.client import Hanlin
from hanlin.errors import HanlinError

pytestmark = pytest.mark.e2e
SIZE_MIB = 24
MOUNT = 'mount -t tmpfs -o size={size}m none "$1" && cp -a "$2" "$1/home" && shift 2 && exec "$@"'


class Small:
    """A server whose home is all its disk."""

    def __init__(self, folder: Path, made: Path) -> None:
        disk = folder / "disk"
        disk.mkdir()
        up = [sys.executable, "-m", "hanlin", "up", "--home", str(disk / "home"), "--port", "0"]
        own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT.format(size=SIZE_MIB), "sh"]
        script = [*own, str(disk), str(made), *up]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")}
        with (folder / "up.log").open("wb") as log:
            self.process = subprocess.Popen(script, stdout=log, stderr=subprocess.STDOUT, env=environ)
        self.disk = Path(f"/proc/{self.process.pid}/root") / disk.relative_to("/")
        self.home = self.disk / "home"
        until(lambda: self.process.poll() is not None or (self.home / "run" / "server.json").is_file())
        assert self.process.poll() is None, (folder / "up.log").read_text()
        self.url = str(json.loads((self.home / "run" / "server.json").read_text())["url"])
        self.key = (self.home / "owner.key").read_text().strip()

    def client(self, **options: float) -> Hanlin:
        return Hanlin(self.url, self.key, **{"timeout": 60.0, "max_retries": 8, **options})  # type: ignore[arg-type]

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.disk / "filler").open("wb", buffering=0) as filler:
            for size in (2**20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"\0" * size)
        assert os.statvfs(self.disk).f_bavail == 0

    def free(self) -> None:
        (self.disk / "filler").unlink()


@pytest.fixture
def small(tmp_path: Path, publish_fakes) -> Iterator[Small]:
    publish_fakes(tmp_path / "made", {}, name="m")
    found = Small(tmp_path, tmp_path / "made")
    yield found
    found.process.terminate()
    found.process.wait(60)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.05)


def test_on_a_full_disk_calls_and_reads_go_on_writes_say_why_and_all_heals(small) -> None:
    with small.client() as client:
        client.deployments.wait(client.deployments.create("m:1", "steady"))
        truth = client.classify("steady", "w1 w2")
        client.keys.create("before", ["predict"])
        small.fill()
        with small.client(max_retries=0) as impatient:
            refused = set()
            for number in range(20):
                with pytest.raises(HanlinError) as caught:
                    impatient.keys.create(f"refused-{number}" + "x" * 40, ["predict"])
                refused.add(caught.value.code)
            assert refused == {"storage_full"}
            assert [impatient.classify("steady", "w1 w2") for _ in range(50)] == [truth] * 50
            assert {key.name for key in impatient.keys.list()} == {"owner", "before"}
            assert impatient.endpoints.get("steady").state == "ready"
        assert httpx.get(small.url + "/healthz", timeout=60).status_code == 200
        small.free()
        assert client.keys.create("after", ["predict"]).name == "after"
        assert {key.name for key in client.keys.list()} == {"owner", "before", "after"}
        assert client.deployments.wait(client.endpoints.scale("steady", 2)).state == "ready"
        assert client.classify("steady", "w1 w2") == truth
