"""C134: what a worker that turns against us can do: nothing. Tried through an engine in a real worker, and the filter on paper."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed
from hanlin.serving import confinement, seccomp
from hanlin.serving.confinement import PROTECTIONS, Cell
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions, WorkerProcess
from hanlin.serving.wire import ReplicaInfo

EXPECTED = {
    **dict.fromkeys(("read_passwd", "read_artifact", "list_home", "read_environ", "thread"), "EACCES"),
    **dict.fromkeys(("write_outside", "write_own_model", "write_tmp", "remove_artifact"), "EACCES"),
    **dict.fromkeys(("chmod_model", "connect", "datagram", "unix_connect", "unix_datagram"), "EPERM"),
    **dict.fromkeys(("execve", "subprocess", "ptrace", "kill", "stop_signal", "fork_bomb", "limits", "bind"), "EPERM"),
    **dict.fromkeys(("mmap", "mmap_private", "mmap_reserved"), "ENOMEM"),
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the prisoner registered by entry point, as an outsider's engine is."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("prisoner.py"), folder)
    about = folder / "hanlin_prisoner-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanlin-prisoner\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[hanlin.engines]\nprisoner = prisoner\n")
    return folder


@pytest.mark.e2e
async def test_a_worker_cannot_get_out(plugin: Path, tmp_path: Path, make_folder) -> None:
    own, other = make_folder("own:1"), make_folder("other:1") / "hanlin.json"
    listener = socket.create_server(("127.0.0.1", 0))
    stranger = socket.socket(socket.AF_UNIX)
    stranger.bind(str(tmp_path / "s"))
    stranger.listen()
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    told = {
        "artifact": str(other),
        "outside": str(tmp_path),
        "port": listener.getsockname()[1],
        "pid": victim.pid,
        "socket": str(tmp_path / "s"),
    }
    (own / "attempts.json").write_text(json.dumps(told))
    before = other.read_bytes()
    log = tmp_path / "log"
    environ = os.environ | {"PYTHONPATH": f"{plugin}:{os.environ.get('PYTHONPATH', '')}"}
    options = WorkerOptions(run_dir=tmp_path / "run", log=log, environ=environ, confinement="required", memory_bytes=2**32)
    try:
        assert (await load(options, own, "prisoner-fp32")).protections == PROTECTIONS
    finally:
        victim.communicate(b"\n")
        listener.close()
        stranger.close()
    assert victim.returncode == 0
    said = json.loads(next(line for line in log.read_text().splitlines() if line.startswith("{")))
    assert said["attempts"] == EXPECTED
    assert said["status"] == {"CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    assert other.read_bytes() == before
    assert not (tmp_path / "written").exists()


@pytest.mark.e2e
async def test_policy_off_confines_nothing_and_says_so(tmp_path: Path, make_folder) -> None:
    info = await load(WorkerOptions(run_dir=tmp_path / "run", confinement="off"), make_folder("own:1"), "fake-fp32")
    assert info.protections == ()


async def load(options: WorkerOptions, folder: Path, variant: str) -> ReplicaInfo:
    """What a worker of its own says of the model."""
    place = Place(options.run_dir)
    worker = await WorkerProcess.start(options)
    try:
        info, _ = await worker.load("one", folder, variant, version="own:1", endpoint="e", threads=1, place=place)
        return info
    finally:
        await worker.stop()
        place.close()


def test_required_protections_that_are_missing_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.sys, "platform", "other")
    assert confinement.offered() == ()
    assert confinement.confine(Cell(policy="available")) == ()
    with pytest.raises(EngineFailed) as caught:
        confinement.confine(Cell(policy="required"))
    assert caught.value.code == "confinement_incomplete"
    assert "system_calls" in str(caught.value.params["missing"])


def test_a_home_inside_pythons_folders_stays_closed(tmp_path: Path) -> None:
    (tmp_path / "lib" / "python").mkdir(parents=True)
    home = tmp_path / "var" / "home"
    home.mkdir(parents=True)
    (tmp_path / "var" / "other").mkdir()
    found = {str(path.relative_to(tmp_path)) for path in confinement._around(tmp_path, home)}
    assert found == {"lib", "var/other"}
    assert confinement._around(home / "venv", home) == [home / "venv"], "Python itself may live in the home"
    assert confinement._around(home, home) == []


def run(program: list[seccomp.Instruction], number: int, *arguments: int, architecture: int) -> int:
    """A BPF machine of one page: the filter's verdict, 0 for allowed, else the errno."""
    memory = {0: number, 4: architecture, **{16 + 8 * index: value & 0xFFFFFFFF for index, value in enumerate(arguments)}}
    memory |= {20 + 8 * index: value >> 32 & 0xFFFFFFFF for index, value in enumerate(arguments)}
    place = held = 0
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        if code == 0x20:
            held = memory.get(value, 0)
        elif code == 0x54:
            held &= value
        elif code == 0x06:
            return 0 if value == 0x7FFF0000 else value - 0x00050000
        else:
            is_so = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            place += if_true if is_so else if_false


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_on_paper(machine: str, architecture: int) -> None:
    """Never installed here: each verdict is read off the program."""
    program = seccomp.program(machine, 4711)
    column = ("x86_64", "aarch64").index(machine)
    own = {name: numbers[column] for name, numbers in seccomp._NUMBERS.items()}

    def verdict(number: int | None, *arguments: int) -> int:
        assert number is not None
        return run(program, number, *arguments, architecture=architecture)

    assert {verdict(numbers[column]) for numbers in seccomp._REFUSED.values() if numbers[column] is not None} == {errno.EPERM}
    assert {verdict(number) for number in seccomp._ABSENT} == {errno.ENOSYS}
    assert [verdict(own["socketpair"], *kind) for kind in ((1, 1), (1, 0x80801), (1, 2), (2, 1), (10, 1), (16, 3))] == [
        0,
        0,
        *[errno.EPERM] * 4,
    ]
    assert [verdict(own[name], *kind) for name in ("kill", "tgkill") for kind in ((4711, 9), (1, 0), (0, 0), (-1, 0), (-4711, 0))] == [
        0, *[errno.EPERM] * 4, 0, *[errno.EPERM] * 4
    ]  # fmt: skip
    assert [verdict(own["clone"], flags) for flags in (0x3D0F00, 17)] == [0, errno.EPERM]
    assert [verdict(own["prlimit64"], 0, 2, limits) for limits in (0, 4096, 2**40)] == [0, errno.EPERM, errno.EPERM]
    assert [verdict(number) for number in ((0, 1, 9, 202, 231, 288) if machine == "x86_64" else (63, 64, 222, 98, 94, 242))] == [0] * 6
    assert run(program, 0, architecture=0x40000003) == errno.EPERM, "another processor's table"
    assert machine != "x86_64" or verdict(0x40000000 | 59) == errno.EPERM
