"""Engines that live in an environment of their own: their workers run on its Python, alone, and are not confined."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions
from hanlin.serving.workers import Wanted, Workers, options_for
from hanlin.settings import load_settings


@pytest.mark.e2e
async def test_models_of_such_an_engine_run_on_its_python_one_in_each_worker(tmp_path: Path, make_folder) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nVLLM_MARK=there exec {sys.executable} "$@"\n')
    python.chmod(0o700)
    options = WorkerOptions(run_dir=tmp_path / "run", pythons={"fake": python}, threads=3, memory_share=0.3)
    workers = Workers(options, has_spare=False)
    places = [Place(workers.options.run_dir) for _ in range(2)]
    folder = make_folder("own:1")
    wanted = Wanted("team", "d", folder, "fake-fp32", "own:1", "e", isolation="shared")
    loaded = [await workers.start(wanted, place) for place in places]
    try:
        assert len({one.pid for one in loaded}) == 2
        assert all(one.info.protections == () for one in loaded)
        around = Path(f"/proc/{loaded[0].pid}/environ").read_bytes().split(b"\0")
        assert {b"VLLM_MARK=there", b"HANLIN_VLLM_MEMORY_SHARE=0.3", b"OMP_NUM_THREADS=3"} <= {*around}
    finally:
        for one, place in zip(loaded, places, strict=True):
            await one.stop()
            place.close()
        await workers.close()


def test_what_must_be_confined_does_not_run_there(tmp_path: Path) -> None:
    options = WorkerOptions(run_dir=tmp_path, pythons={"vllm": Path("/there/bin/python")}, confinement="required", start_timeout_s=5.0)
    assert options_for(options, "torch-fp32") is options
    with pytest.raises(EngineFailed) as caught:
        options_for(options, "vllm-bf16")
    assert caught.value.code == "confinement_incomplete"
    apart = options_for(WorkerOptions(run_dir=tmp_path, pythons=options.pythons, start_timeout_s=5.0), "vllm-bf16")
    assert (apart.python, apart.confinement) == (Path("/there/bin/python"), "off")
    assert apart.start_timeout_s > 60


def test_its_python_is_a_program_that_is_there(tmp_path: Path) -> None:
    environ = {"HANLIN_HOME": str(tmp_path)}
    assert load_settings(environ).pythons == {}
    assert load_settings(environ | {"HANLIN_VLLM_PYTHON": sys.executable}).pythons == {"vllm": Path(sys.executable)}
    for wrong in ("bin/python", str(tmp_path), str(tmp_path / "python")):
        with pytest.raises(InvalidInput, match="vllm_python"):
            load_settings(environ | {"HANLIN_VLLM_PYTHON": wrong})
