"""Compiled libraries run where they were compiled for, only whole, only on what their code can take, and without Python's lock."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hanlin.engines import load_variant
from hanlin.engines.inductor_engine import Compiled
from hanlin.errors import EngineFailed
from hanlin.observe.machine import processor

VARIANT = "inductor-bf16"
PLACE = Path("variants") / VARIANT

pytestmark = pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")


def edited(artifact: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of the artifact whose library claims to have been compiled for something else."""
    folder = tmp_path / "copy"
    shutil.copytree(artifact, folder)
    compiled = msgspec.json.decode((folder / PLACE / "compiled.json").read_bytes(), type=Compiled)
    (folder / PLACE / "compiled.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(compiled, **changes)))
    return folder


def test_its_scratch_is_ours_and_only_library_and_description_stay(artifact: Path) -> None:
    assert {file.name for file in (artifact / PLACE).iterdir()} == {"model.so", "compiled.json"}
    assert [entry.name for entry in artifact.with_name("compiling").iterdir()] == ["inductor"]


@pytest.mark.parametrize("changes", [{"torch": "1.0"}, {"machine": "mips"}, {"flags": ("avx1024",)}])
def test_a_library_for_another_machine_is_refused(artifact: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(EngineFailed) as caught:
        load_variant(edited(artifact, tmp_path, **changes), VARIANT, threads=1)
    assert caught.value.code == "compiled_for_another"
    assert str(next(iter(changes.values()))).strip("(),'") in caught.value.message


def test_a_lesser_processor_s_library_is_run(artifact: Path, tmp_path: Path) -> None:
    load_variant(edited(artifact, tmp_path, flags=processor().flags[:1]), VARIANT, threads=1).close()


def test_a_library_that_was_touched_is_not_even_mapped(artifact: Path, tmp_path: Path) -> None:
    folder = edited(artifact, tmp_path)
    with (folder / PLACE / "model.so").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EngineFailed) as caught:
        load_variant(folder, VARIANT, threads=1)
    assert caught.value.code == "engine_load_failed"


@pytest.mark.parametrize("ids", [np.ones((1, 65)), np.full((1, 3), 60), np.full((2, 2), -1), np.ones((1, 0))])
def test_rows_its_code_cannot_take_fail_and_the_next_answers(artifact: Path, ids: np.ndarray) -> None:
    session = load_variant(artifact, VARIANT, threads=1)
    with pytest.raises(EngineFailed) as caught:
        session.run(ids.astype(np.int64), np.ones(ids.shape, np.int64))
    assert caught.value.code == "engine_step_failed"
    assert np.isfinite(session.run(np.ones((1, 64), np.int64), np.ones((1, 64), np.int64))["logits"]).all()
    session.close()


def test_python_s_lock_is_free_while_it_computes(artifact: Path) -> None:
    """Another thread goes on during a step; with the lock held it could move on once before it and once after."""
    session = load_variant(artifact, VARIANT, threads=1)
    ids = np.ones((128, 64), np.int64)
    ticks, during = [0], []
    call = session._library._call

    def watched(*arguments: object) -> None:
        before = ticks[0]
        call(*arguments)
        during.append(ticks[0] - before)

    session._library._call = watched
    is_over = threading.Event()

    def tick() -> None:
        while not is_over.wait(0.001):
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    for _ in range(20):
        session.run(ids, ids)
    is_over.set()
    ticker.join()
    assert max(during) > 5
