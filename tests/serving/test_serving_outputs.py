"""Rows of one call come together from batches of any width."""

import numpy as np

from hanlin.engines.gathering import gather, without_tokens
from hanlin.tasks import TASKS, Encoded

TASK = TASKS.get("token-classification")


def test_rows_of_texts_are_stacked_in_the_calls_order() -> None:
    first, second = {"logits": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"logits": np.array([[5.0, 6.0]])}
    found = gather(TASK, Encoded([[1], [2]]), [(second, 0), (first, 1)])
    np.testing.assert_array_equal(found["logits"], [[5.0, 6.0], [3.0, 4.0]])
    np.testing.assert_array_equal(gather(TASK, Encoded([[1]]), [(first, 1)])["logits"], [[3.0, 4.0]])


def test_rows_of_tokens_get_the_width_of_the_calls_longest_row() -> None:
    wide, narrow = {"token_logits": np.ones((2, 9, 3))}, {"token_logits": np.full((1, 2, 3), 2.0)}
    found = gather(TASK, Encoded([[1, 2], [1, 2, 3, 4]]), [(narrow, 0), (wide, 1)])["token_logits"]
    assert found.shape == (2, 4, 3)
    assert found[0, :2].min() == 2.0
    assert not found[0, 2:].any()
    assert found[1].min() == 1.0


def test_vectors_of_tokens_stand_one_after_the_other_without_padding() -> None:
    wide = {"embeddings": np.ones((2, 3)), "token_embeddings": np.ones((2, 9, 3))}
    narrow = {"embeddings": np.ones((1, 3)), "token_embeddings": np.full((1, 2, 3), 2.0)}
    encoded = Encoded([[1, 2], [1, 2, 3, 4]], with_tokens=True)
    found = gather(TASKS.get("embedding"), encoded, [(narrow, 0), (wide, 1)])
    assert set(found) == {"token_embeddings"}
    np.testing.assert_array_equal(found["token_embeddings"][:, 0], [2.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    assert set(without_tokens(wide)) == {"embeddings"}
