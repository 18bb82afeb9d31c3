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
from tests.engines.vllm_recording import FILE, Player, installed, standing_in
from tests.engines.vllm_scenes import POSITIONS, SCENES, asked, make_folder, rows_of

import hanlin
from hanlin.engines import check_apart, load_variant
from hanlin.engines.apart import SHARE_VARIABLE, check_version
from hanlin.engines.base import StreamingSession, WritingSession, writing
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


def test_a_step_that_fails_loses_all_rows_and_not_the_session(session: VllmWriter, player: Player) -> None:
    row, settings = rows_of(5)[0], asked(3, stop_ids=())
    told = {**_first_request("coming_and_going"), "max_tokens": 3, "stop_token_ids": []}
    add = ["add_request", "1", {"prompt_token_ids": row}, told]
    player.events = [[add, None], [["step"], {"raises": "RuntimeError: lost"}], [["abort_request", ["1"]], None]]
    session.admit(1, row, settings)
    with pytest.raises(EngineFailed) as caught:
        session.turn()
    assert caught.value.code == "engine_step_failed"
    assert session.turn() == []
    player.events = [[add, None], [["abort_request", ["1"]], None]]
    session.admit(1, row, settings)
    session.drop(1)
    assert player.events == []


def test_rows_that_vllm_does_not_leave_are_told_again_and_then_all_that_is_open_fails(session: VllmWriter, player: Player) -> None:
    row, settings = rows_of(5)[0], asked(3, stop_ids=())
    told = {**_first_request("coming_and_going"), "max_tokens": 3, "stop_token_ids": []}
    adds = [[["add_request", number, {"prompt_token_ids": row}, told], None] for number in ("1", "2")]
    lost = {"raises": "RuntimeError: lost"}
    player.events = [*adds, [["abort_request", ["1"]], lost], [["abort_request", ["1"]], lost], [["abort_request", ["1", "2"]], None]]
    for number in (1, 2):
        session.admit(number, row, settings)
    session.drop(1)
    with pytest.raises(EngineFailed) as caught:
        session.turn()
    assert caught.value.code == "engine_step_failed"
    assert "lost" in str(caught.value.details)
    assert (session.turn(), player.events) == ([], [])


def test_rows_of_a_batch_are_not_told_before_those_of_their_numbers_have_left(session: VllmWriter, player: Player) -> None:
    row, settings = rows_of(5)[0], asked(3, stop_ids=())
    told = {**_first_request("coming_and_going"), "max_tokens": 3, "stop_token_ids": []}
    lost = {"raises": "RuntimeError: lost"}
    player.events = [[["add_request", "0", {"prompt_token_ids": row}, told], None], *([["abort_request", ["0"]], lost] for _ in range(3))]
    session.admit(0, row, settings)
    session.drop(0)
    with pytest.raises(EngineFailed) as caught:
        session.generate([row], [settings])
    assert (caught.value.code, player.events) == ("engine_step_failed", [])


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EACCES, "write nowhere"), (errno.ENOSPC, "no room left"), (errno.EIO, "Input/output error")]
)
def test_where_it_cannot_write_that_is_said_and_nothing_else(
    folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def start(_: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere")

    monkeypatch.setattr(sys.modules["vllm"], "LLMEngine", SimpleNamespace(from_engine_args=start))
    with pytest.raises(EngineFailed, match=reason) as caught:
        load_variant(folder, VARIANT, threads=1)
    assert "somewhere" not in str(caught.value)


def test_it_takes_as_much_of_a_graphics_processor_as_it_is_told(folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(sys.modules["vllm"], "EngineArgs", told.update)
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
    aborted: list[str] = []
    said = [
        SimpleNamespace(request_id="1", finished=False, outputs=[SimpleNamespace(finish_reason=None, token_ids=[5], logprobs=[{}])]),
        SimpleNamespace(
            request_id="2", finished=True, num_cached_tokens=0,
            outputs=[SimpleNamespace(finish_reason="length", token_ids=[5], logprobs=[{5: SimpleNamespace(logprob=-1.0, rank=1)}])],
        ),
    ]  # fmt: skip
    engine = SimpleNamespace(add_request=lambda *_: None, abort_request=aborted.extend, step=lambda: said)
    with monkeypatch.context() as patch:
        patch.setattr(session, "_engine", engine)
        for number in (1, 2):
            session.admit(number, [4, 5], GenerationSettings(max_new_tokens=1))
        broken, whole = session.turn()
    assert (broken.number, broken.finish, getattr(broken.error, "code", "")) == (1, "cancelled", "engine_step_failed")
    assert (whole.number, whole.finish, whole.ids, aborted) == (2, "length", (5,), ["1"])


def test_without_it_the_next_step_is_told(folder: Path) -> None:
    for ask in (lambda: load_variant(folder, VARIANT, threads=1), lambda: check_apart(VARIANT, {})):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert caught.value.code == "engine_apart"
        assert 'pip install "hanlin[vllm]"' in str(caught.value)
        assert "HANLIN_VLLM_PYTHON" in str(caught.value)
    check_apart(VARIANT, {"vllm": Path("/there/bin/python")})
    check_apart("torch-fp32", {})


def _first_request(scene: str) -> dict[str, Any]:
    found: dict[str, Any] = RECORDING["scenes"][scene][0][0][3]
    return found


@pytest.mark.soak
def test_the_real_library_plays_the_same_scenes() -> None:
    python = ROOT / "build" / "clients" / "vllm" / "bin" / "python"
    command = [str(python), str(ROOT / "scripts" / "record_vllm.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert all(f"{name}: " in done.stdout for name in SCENES)
