"""Large OpenVINO steps are cut: every row once, pieces within their limit, and the answers those of whole steps."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hanlin.engines import load_variant, openvino_engine
from hanlin.engines.base import Ids
from hanlin.engines.openvino_engine import LAVISH, LEAN, Thrift, widened
from hanlin.engines.pieces import PIECE_TOKENS, cut
from hanlin.engines.resting import RestingSession
from hanlin.engines.streams import Streams, load_with_streams
from hanlin.errors import EngineFailed


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_every_row_stands_in_one_piece_within_the_limit(parts: int) -> None:
    lengths = np.random.default_rng(parts).integers(1, 600, 300)
    pieces = cut(lengths, parts)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(300))
    assert len(pieces) >= parts
    for piece in pieces:
        assert len(piece) == 1 or len(piece) * lengths[piece].max() <= PIECE_TOKENS


@pytest.mark.parametrize("artifact", ["lstm", "bert"], indirect=True, scope="session")
def test_a_cut_step_answers_like_its_rows_alone(artifact: Path) -> None:
    generator = np.random.default_rng(5)
    lengths = generator.integers(1, 25, 90)
    mask = (np.arange(24)[None, :] < lengths[:, None]).astype(np.int64)
    ids = generator.integers(3, 60, (90, 24)) * mask
    for threads in (1, 2):
        session = load_variant(artifact, "openvino-fp32", threads=threads)
        alone = [session.run(ids[i : i + 1, :n], mask[i : i + 1, :n])["logits"][0] for i, n in enumerate(lengths)]
        np.testing.assert_allclose(session.run(ids, mask)["logits"], alone, atol=1e-5)


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_after_a_step_that_failed_the_next_one_is_right(artifact: Path) -> None:
    session = load_variant(artifact, "openvino-fp32", threads=2)
    ids = np.full((40, 20), 7, dtype=np.int64)
    expected = session.run(ids, np.ones_like(ids))["logits"]
    with pytest.raises(EngineFailed):
        session.run(np.full((40, 200), 7, dtype=np.int64), np.ones((40, 200), dtype=np.int64))  # beyond the position table
    np.testing.assert_array_equal(session.run(ids, np.ones_like(ids))["logits"], expected)


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_after_a_rest_a_step_answers_as_before(artifact: Path) -> None:
    session = load_variant(artifact, "openvino-fp32", threads=2)
    assert isinstance(session, RestingSession)
    ids, mask = np.arange(5, 5 + 24, dtype=np.int64).reshape(2, 12) % 30 + 5, np.ones((2, 12), dtype=np.int64)
    before = session.run(ids, mask)
    session.rest()
    after = session.run(ids, mask)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    session.close()
    session.rest()  # there is nothing left to give


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_a_rest_beside_steps_changes_no_answer(artifact: Path) -> None:
    session = load_variant(artifact, "openvino-fp32", threads=2)
    assert isinstance(session, RestingSession)
    ids = np.arange(5, 5 + 24, dtype=np.int64).reshape(2, 12) % 30 + 5
    expected = session.run(ids, np.ones_like(ids))["logits"]
    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(session.run, ids, np.ones_like(ids)) for _ in range(200)]
        while not all(each.done() for each in found):
            session.rest()
    for each in found:
        np.testing.assert_array_equal(each.result()["logits"], expected)
    session.close()


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_steps_side_by_side_answer_like_one_after_the_other(artifact: Path) -> None:
    session = load_variant(artifact, "openvino-fp32", threads=2)
    generator = np.random.default_rng(6)
    batches = [generator.integers(3, 60, (int(generator.integers(1, 9)), int(generator.integers(2, 24)))) for _ in range(30)]
    batches[7:20:6] = [generator.integers(3, 60, (60, 20)) for _ in range(3)]  # cut into pieces, after others that are not
    expected = [session.run(ids, np.ones_like(ids))["logits"] for ids in batches]
    with ThreadPoolExecutor(session.num_streams) as pool:
        found = list(pool.map(lambda ids: session.run(ids, np.ones_like(ids))["logits"], batches * 3))
    for one, other in zip(found, expected * 3, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("length", "max_length", "width"), [(1, 64, 4), (20, 64, 20), (21, 64, 24), (65, 512, 72), (257, 512, 272), (50, 50, 50)]
)
def test_rows_get_one_of_few_widths_and_never_more_than_the_model_takes(length: int, max_length: int, width: int) -> None:
    ids = np.full((3, length), 7, dtype=np.int64)
    found = widened({"input_ids": ids, "attention_mask": np.ones_like(ids)}, max_length)
    assert found["input_ids"].shape == (3, width)
    assert found["attention_mask"].sum() == 3 * length
    np.testing.assert_array_equal(found["input_ids"][:, :length], ids)


@pytest.mark.parametrize(("length", "width"), [(3, 4), (64, 64), (65, 80), (256, 256), (257, 288), (500, 500)])
def test_one_of_many_models_has_fewer_widths(length: int, width: int) -> None:
    ids = np.full((1, length), 7, dtype=np.int64)
    assert widened({"input_ids": ids, "attention_mask": np.ones_like(ids)}, 500, LEAN)["input_ids"].shape == (1, width)


@pytest.mark.parametrize(("threads", "thrift"), [(1, LEAN), (2, LAVISH)])
@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_a_model_with_one_thread_computes_in_smaller_pieces(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, threads: int, thrift: Thrift
) -> None:  # fmt: skip
    seen: list[int] = []

    def spy(arrays: Mapping[str, Ids], max_length: int, asked: Thrift) -> dict[str, Ids]:
        seen.append(arrays["input_ids"].size)
        return widened(arrays, max_length, asked)

    monkeypatch.setattr(openvino_engine, "widened", spy)
    session = load_variant(artifact, "openvino-fp32", threads=threads)
    ids = np.full((64, 24), 7, dtype=np.int64)
    session.run(ids, np.ones_like(ids))
    assert sum(seen) == ids.size
    assert thrift.piece_tokens // 2 < max(seen) <= thrift.piece_tokens


def test_numpy_is_found_by_the_bindings_before_there_are_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that hand over an array for the first time, both at once, deadlock: see `_core`."""
    happened: list[str] = []
    module = SimpleNamespace(Tensor=lambda array: happened.append(f"tensor in {threading.current_thread().name}"), Core=object)
    monkeypatch.setattr(openvino_engine, "import_openvino", lambda: module)
    openvino_engine._core.__wrapped__()
    assert happened == [f"tensor in {threading.current_thread().name}"]


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What OpenVINO is asked for, model by model, on a machine that has three cores."""
    found: list[dict[str, str]] = []
    core = openvino_engine._core()
    compiling = SimpleNamespace(
        get_property=core.get_property, read_model=core.read_model,
        compile_model=lambda model, device, config: (found.append(config), core.compile_model(model, device, config))[1],
    )  # fmt: skip
    monkeypatch.setattr(openvino_engine, "_core", lambda: compiling)
    monkeypatch.setattr(openvino_engine, "processor", lambda: SimpleNamespace(cores=3))
    return found


@pytest.mark.parametrize(("threads", "is_pinned"), [(1, False), (2, False), (3, True)])
@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_only_a_model_with_all_cores_is_bound_to_cores(
    artifact: Path, configs: list[dict[str, str]], threads: int, is_pinned: bool
) -> None:  # fmt: skip
    """Others would all be bound to the same ones, the first."""
    load_variant(artifact, "openvino-fp32", threads=threads).close()
    assert {config["ENABLE_CPU_PINNING"] for config in configs} == {"YES" if is_pinned else "NO"}


@pytest.mark.parametrize(
    ("streams", "threads", "expected"),
    [
        (Streams(), 2, ([1, 2], "NO")),
        (Streams(), 3, ([1, 3], "YES")),
        (Streams(1), 3, ([1], "YES")),  # one stream takes what runs alone and what does not
        (Streams(2, "off"), 3, ([1, 2], "NO")),
        (Streams(3, "on"), 2, ([1, 2], "YES")),  # none without a thread: a model in a shared worker has one
        (Streams(2, "on"), 1, ([1], "YES")),
    ],
)
@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_streams_and_pinning_are_what_is_asked_and_change_no_answer(
    artifact: Path, configs: list[dict[str, str]], streams: Streams, threads: int, expected: tuple[list[int], str]
) -> None:  # fmt: skip
    counts, pinned = expected
    ids = np.random.default_rng(8).integers(3, 60, (40, 24))
    answers = load_variant(artifact, "torch-fp32", threads=1).run(ids, np.ones_like(ids))["logits"]
    session = load_with_streams(artifact, "openvino-fp32", threads=threads, streams=streams)
    assert [int(config["NUM_STREAMS"]) for config in configs] == counts
    assert {config["INFERENCE_NUM_THREADS"] for config in configs} == {str(threads)}
    assert {config["ENABLE_CPU_PINNING"] for config in configs} == {pinned}
    assert session.num_streams == max(counts)
    with ThreadPoolExecutor(session.num_streams) as pool:
        for found in pool.map(lambda rows: session.run(ids[:rows], np.ones_like(ids[:rows]))["logits"], (1, 40, 2, 40, 1, 40)):
            np.testing.assert_allclose(found, answers[: len(found)], atol=1e-5)
    session.close()


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_engines_without_streams_load_as_ever(artifact: Path) -> None:
    ids = np.full((2, 5), 7, dtype=np.int64)
    found = load_with_streams(artifact, "torch-fp32", threads=1, streams=Streams(1, "on")).run(ids, np.ones_like(ids))["logits"]
    np.testing.assert_array_equal(found, load_variant(artifact, "torch-fp32", threads=1).run(ids, np.ones_like(ids))["logits"])
