"""Large OpenVINO steps are cut: every row once, pieces within their limit, and the answers those of whole steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hanlin.engines import load_variant
from hanlin.engines.openvino_engine import PIECE_TOKENS, cut
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
