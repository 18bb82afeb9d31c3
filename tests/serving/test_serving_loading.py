"""A model is warmed up over shapes of calls before it is ready; one whose first steps fail never is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.errors import EngineFailed
from hanlin.serving.loading import load, warm_up
from hanlin.tasks import Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder

UNKNOWN = 1  # a word that the tokenizer does not know, as all are that warm it up


class Noting:
    """A session of two streams that notes the shape of each step."""

    num_streams, step_tokens, has_tokens = 2, None, False

    def __init__(self) -> None:
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self._lock = threading.Lock()

    def run(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, np.ndarray]:  # fmt: skip
        with self._lock:
            self.shapes[input_ids.shape] += 1
        return {"logits": np.zeros((len(input_ids), 2), np.float32)}

    def close(self) -> None:
        """Nothing to free."""


def encoder(max_length: int) -> TextEncoder:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": UNKNOWN}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return TextEncoder(tokenizer, ModelSpec("text-classification", ("a", "b"), max_length, 0))


def test_every_stream_has_seen_short_and_long_rows_alone_and_in_batches() -> None:
    session = Noting()
    warm_up(session, encoder(200), is_batched=True)
    assert set(session.shapes.values()) == {session.num_streams}
    assert {(1, 16), (1, 128), (16, 32), (2, 200)} <= session.shapes.keys(), "no row is longer than the model takes"
    alone = Noting()
    warm_up(alone, encoder(200), is_batched=False)
    assert {rows for rows, _ in alone.shapes} == {1}


@pytest.mark.parametrize(("fake", "code"), [("fail_token", "warm_up_failed"), ("nan_token", "warm_up_not_finite")])
def test_a_model_whose_first_steps_fail_is_not_ready(make_folder: Callable[..., Path], fake: str, code: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        load(make_folder(**{fake: UNKNOWN}), "fake-fp32", threads=1, limits=Limits())
    assert caught.value.code == code
