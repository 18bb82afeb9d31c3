"""The process tree of `hanlin up`: names, one per home, ends that leave nothing running, starts that lose nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from hanlin.client import Hanlin
from hanlin.errors import Conflict, HanlinError
from hanlin.settings import load_settings

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def running(mortal):
    return mortal


def test_processes_name_themselves_and_the_gateway_is_light(running) -> None:
    running.find("hanlin runner")  # it follows the others
    titles = {" ".join(process.cmdline()).strip() for process in running.tree()}
    assert {"hanlin gateway", "hanlin reconciler", "hanlin runner"} <= titles
    gateway = running.find("hanlin gateway")
    assert gateway.memory_info().rss < 150 * 2**20
    assert not any("libtorch" in mapped.path for mapped in gateway.memory_maps())


def test_secrets_stand_in_no_environment_or_command_line(running) -> None:
    for process in running.tree():
        assert running.key not in " ".join(process.cmdline())
        assert running.key not in "\n".join(process.environ().values())


def test_a_second_up_on_the_same_home_refuses(running) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "hanlin", "up", "--home", str(running.home), "--port", "0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode != 0
    assert "already" in again.stdout + again.stderr


def test_a_taken_port_is_named(tmp_path) -> None:
    from hanlin.app.supervisor import bind

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Conflict) as caught:
        bind(load_settings({}, home=tmp_path, port=taken.getsockname()[1]))
    assert caught.value.code == "address_in_use"


def wait_for_another(running, title: str, old: psutil.Process) -> None:
    deadline = time.monotonic() + 60
    while running.find(title).pid == old.pid:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("title", ["hanlin reconciler", "hanlin runner"])
def test_a_killed_child_is_started_again(running, title) -> None:
    old = running.find(title)
    os.kill(old.pid, signal.SIGKILL)
    wait_for_another(running, title, old)
    with running.client() as client:
        assert client.tasks()


def test_a_connection_outlives_the_gateway_it_waited_for(running) -> None:
    """The supervisor owns the socket: a call that arrives while no gateway runs is answered by the next one."""
    gateway = running.find("hanlin gateway")
    os.kill(gateway.pid, signal.SIGKILL)
    with Hanlin(running.url, running.key, max_retries=0, timeout=60) as client:
        assert client.tasks()
    wait_for_another(running, "hanlin gateway", gateway)


def test_kill_9_of_the_server_ends_everything_and_loses_nothing(running) -> None:
    with running.client() as client:
        key, datasets = client.keys.create("kept", ["read"]), client.datasets.list()
    before = psutil.Process().num_fds()
    running.kill()
    running.start()
    with running.client() as client:
        assert "kept" in [found.name for found in client.keys.list()]
    with Hanlin(running.url, key.secret, max_retries=0) as reader:
        assert reader.datasets.list() == datasets
        with pytest.raises(HanlinError) as caught:
            reader.keys.list()
    assert caught.value.code == "scope_missing"
    assert psutil.Process().num_fds() <= before + 2


def test_sigterm_drains_and_exits_0(running) -> None:
    below = running.tree()
    assert running.stop() == 0
    assert not any(process.is_running() for process in below)
    assert not (running.home / "run" / "server.json").exists()
