"""Decoders on vLLM, as it was heard (`vllm_recording.py`): the scenes that the real library plays in its own environment, without it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.engines.vllm_recording import CORE, FILE, Player, installed, output_of, standing_in
from tests.engines.vllm_scenes import POSITIONS, SCENES, asked, make_folder, rows_of

import hanlin
from hanlin.engines import check_apart, load_variant
from hanlin.engines.apart import SHARE_VARIABLE, check_version
from hanlin.engines.base import StreamingSession, WritingSession, writing
from hanlin.engines.vllm_children import run_core
from hanlin.engines.vllm_writer import VllmWriter
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import GenerationSettings

RECORDING: dict[str, Any] = json.loads(FILE.read_text())
VARIANT = "vllm-fp32"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("vllm"))


@pytest.fixture(scope="module")
def reference(folder: Path) -> WritingSession:
    return writing(load_variant(folder, "torch-fp32", threads=1), "torch-fp32")


@pytest.fixture
def player(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Player:
    modules = standing_in(RECORDING, folder)
    installed(modules, monkeypatch)
    found: Player = modules["vllm"].player
    return found


@pytest.fixture
def session(folder: Path, player: Player) -> Iterator[VllmWriter]:
    found = load_variant(folder, VARIANT, threads=1)
    assert isinstance(found, VllmWriter)
    yield found
    found.close()


@pytest.mark.parametrize("name", SCENES)
def test_what_was_heard_is_understood(name: str, session: VllmWriter, player: Player, reference: WritingSession, folder: Path) -> None:
    player.events = list(RECORDING["scenes"][name])
    SCENES[name](session, reference, folder)
    assert player.events == [], "calls that were recorded and not made"


def test_its_room_is_what_vllm_has_blocks_for(session: VllmWriter) -> None:
    assert isinstance(session, StreamingSession)
    assert session.room_tokens == RECORDING["config"]["num_gpu_blocks"] * RECORDING["config"]["block_size"] > POSITIONS


def test_a_request_that_fails_ends_its_row_alone(session: VllmWriter, player: Player) -> None:
    row, settings, said = rows_of(5)[0], asked(3, stop_ids=()), _said([7], "length")
    player.events = [*_adds(row, 1, 2), [["heard"], [[1, {"raises": "lost"}], [2, said]]], *_adds(row, 3), [["leave", 3], None]]
    for number in (1, 2):
        session.admit(number, row, settings)
    broken, whole = session.turn()
    assert (broken.number, broken.finish, getattr(broken.error, "code", "")) == (1, "cancelled", "engine_step_failed")
    assert "lost" in str(getattr(broken.error, "details", ""))
    assert (whole.number, whole.finish, whole.ids) == (2, "length", (7,))
    session.drop(1)
    session.admit(1, row, settings)
    session.drop(1)
    assert (session.turn(), player.events) == ([], [])


def test_what_is_still_said_of_a_dropped_row_is_not_told_of_the_next_one_of_its_number(session: VllmWriter, player: Player) -> None:
    row, settings = rows_of(5)[0], asked(3, stop_ids=())
    late = [["heard"], [[1, _said([9])], [1, _said([], "abort")]]]
    player.events = [*_adds(row, 1), [["leave", 1], None], *_adds(row, 2), late, [["heard"], [[1, _said([9])], [2, _said([7], "length")]]]]
    session.admit(0, row, settings)
    session.drop(0)
    session.admit(0, row, settings)
    assert session.turn() == []
    assert [(delta.ids, delta.finish) for delta in session.turn()] == [((7,), "length")]
    assert player.events == []


def test_a_batch_that_fails_leaves_no_row_behind(session: VllmWriter, player: Player) -> None:
    row, settings = rows_of(5)[0], asked(3, stop_ids=())
    told = [["add", number, row, {**_settings_told(), "skip_reading_prefix_cache": True}] for number in (1, 2)]
    player.events = [*([add, None] for add in told), [["heard"], [[1, {"raises": "lost"}]]], [["leave", 2], None]]
    with pytest.raises(EngineFailed) as caught:
        session.generate([row, row], [settings] * 2)
    assert caught.value.code == "engine_step_failed"
    assert (session.turn(), player.events) == ([], [])


def test_vllms_processes_end_with_the_session_also_where_that_cannot_be_made(
    folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_variant(folder, VARIANT, threads=1).close()
    assert player.is_closed
    assert sys.modules[CORE].EngineCoreProc.run_engine_core.run is run_core
    player.is_closed = False
    monkeypatch.setattr("hanlin.engines.vllm_engine.Constraints", None)
    with pytest.raises(TypeError):
        load_variant(folder, VARIANT, threads=1)
    assert player.is_closed
    del sys.modules[CORE].EngineCoreProc.run_engine_core
    with pytest.raises(EngineFailed, match="could not start"):
        load_variant(folder, VARIANT, threads=1)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EACCES, "write nowhere"), (errno.ENOSPC, "no room left"), (errno.EIO, "Input/output error")]
)
def test_where_it_cannot_write_that_is_said_and_nothing_else(
    folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def start(_: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere")

    monkeypatch.setattr(sys.modules["vllm"], "AsyncLLMEngine", SimpleNamespace(from_engine_args=start))
    with pytest.raises(EngineFailed, match=reason) as caught:
        load_variant(folder, VARIANT, threads=1)
    assert "somewhere" not in str(caught.value)


def test_it_takes_as_much_of_a_graphics_processor_as_it_is_told(folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(sys.modules["vllm"], "AsyncEngineArgs", told.update)
    monkeypatch.setattr(sys.modules["vllm.platforms"].current_platform, "is_cpu", lambda: False)
    load_variant(folder, VARIANT, threads=1).close()
    assert "gpu_memory_utilization" not in told
    monkeypatch.setenv(SHARE_VARIABLE, "0.46")
    load_variant(folder, VARIANT, threads=1).close()
    assert told["gpu_memory_utilization"] == 0.46


def test_another_hanlin_in_its_environment_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    for told, found in ((hanlin.__version__, None), ("0.0.9", "0.0.9"), ("", "?")):
        python.write_text(f"#!/bin/sh\necho {told}\n")
        python.chmod(0o700)
        if found is None:
            check_version("vllm", python, {})
            continue
        with pytest.raises(EngineFailed) as caught:
            check_version("vllm", python, {})
        assert (caught.value.code, caught.value.params["found"]) == ("engine_apart_version", found)
        assert f'"hanlin[vllm]=={hanlin.__version__}"' in str(caught.value)
    with pytest.raises(EngineFailed, match=r"holds Hanlin \?"):
        check_version("vllm", tmp_path / "nowhere", {})


def test_what_it_does_not_load_is_said(folder: Path, player: Player, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(EngineFailed, match=r"no model\.safetensors"):
        load_variant(tmp_path, VARIANT, threads=1)
    (tmp_path / "model.safetensors").touch()
    values = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"model_type": "hanlin-decoder"}))
    with pytest.raises(EngineFailed, match="networks of the kind hanlin-decoder"):
        load_variant(tmp_path, VARIANT, threads=1)


def test_a_row_that_is_told_otherwise_than_was_heard_fails_alone(session: VllmWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    said = [
        (1, SimpleNamespace(finished=False, outputs=[SimpleNamespace(finish_reason=None, token_ids=[5], logprobs=[{}])])),
        (2, output_of(_said([5], "length"))),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(session, "_loop", SimpleNamespace(add=lambda *_: None, leave=left.append, heard=lambda: said))
        for number in (1, 2):
            session.admit(number, [4, 5], GenerationSettings(max_new_tokens=1))
        broken, whole = session.turn()
    assert (broken.number, broken.finish, getattr(broken.error, "code", "")) == (1, "cancelled", "engine_step_failed")
    assert (whole.number, whole.finish, whole.ids, left) == (2, "length", (5,), [1])


def test_without_it_the_next_step_is_told(folder: Path) -> None:
    for ask in (lambda: load_variant(folder, VARIANT, threads=1), lambda: check_apart(VARIANT, {})):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert caught.value.code == "engine_apart"
        assert 'pip install "hanlin[vllm]"' in str(caught.value)
        assert "HANLIN_VLLM_PYTHON" in str(caught.value)
    check_apart(VARIANT, {"vllm": Path("/there/bin/python")})
    check_apart("torch-fp32", {})


def _settings_told() -> dict[str, Any]:
    """Of three tokens and no end."""
    told: dict[str, Any] = RECORDING["scenes"]["coming_and_going"][0][0][3]
    return {**told, "max_tokens": 3, "stop_token_ids": []}


def _adds(row: list[int], *requests: int) -> list[list[Any]]:
    return [[["add", request, row, _settings_told()], None] for request in requests]


def _said(tokens: list[int], reason: str | None = None) -> dict[str, Any]:
    chances = [[[token, -1.0, 1]] for token in tokens]
    return {"finished": reason is not None, "cached": 0, "prompt": None, "tokens": tokens, "reason": reason, "chances": chances}


@pytest.mark.soak
def test_the_real_library_plays_the_same_scenes() -> None:
    python = ROOT / "build" / "clients" / "vllm" / "bin" / "python"
    command = [str(python), str(ROOT / "scripts" / "record_vllm.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert all(f"{name}: " in done.stdout for name in SCENES)
