"""Rows that are only read: in pieces they are what they are as a whole, and who left is not read on."""

from __future__ import annotations

import pytest
from tests.networks.test_networks_generation import own

from hanlin.generation import GenerationSettings
from hanlin.networks.generation import reading
from hanlin.networks.generation.run import step_model

ROWS = [[3, 9, 4, 11, 5], [8, *([6, 7] * 12)]]
READS = [GenerationSettings(reads=True, likeliest=1)] * 2


@pytest.mark.parametrize("kind", ["hanlin-decoder", "hanlin-gru-decoder"])
def test_in_pieces_rows_are_read_as_a_whole_while_somebody_wants_them(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = step_model(own(kind, max_position_embeddings=80))
    whole = reading.read(model, ROWS, READS, lambda row: True)
    assert [(each.finish, len(each.seen)) for each in whole] == [("stop", 4), ("stop", 24)]
    monkeypatch.setattr(reading, "MAX_SCORES", model.num_tokens * 6)  # six tokens a piece
    pieces = reading.read(model, ROWS, READS, lambda row: True)
    for one, other in zip(whole, pieces, strict=True):
        assert [seen.log for seen in one.seen] == pytest.approx([seen.log for seen in other.seen], abs=1e-4)
    asked = [0, 0]

    def is_wanted(row: int) -> bool:
        asked[row] += 1
        return row == 0 or asked[row] < 3

    left = reading.read(model, ROWS, READS, is_wanted)
    assert (left[0].seen, left[1].finish, left[1].seen) == (pieces[0].seen, "cancelled", ())
    assert asked[1] == 3, "before the row, and after each of two pieces"
