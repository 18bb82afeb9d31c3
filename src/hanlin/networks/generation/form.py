"""The form that one row's target must have, as whoever writes asks for it. No torch here: engines without it make such forms too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

PATIENCE_S = 0.05  # before a form's row is admitted without: most take 5 ms, the first of a model waits for its tokenizer
WAIT_S = 0.01  # for forms, when there is nothing else to do
Bits = npt.NDArray[np.uint8]  # a bit for each token, the lowest of a byte first


class Form(Protocol):
    """It is asked as the target grows."""

    def allowed(self, written: Sequence[int]) -> Bits:
        """Which tokens may follow; those that end a target are judged by `may_end`.

        Raises:
            InvalidInput: `constraint_refused`: it takes too much work to say.
        """
        ...

    def may_end(self, written: Sequence[int]) -> bool:
        """Whether the form is complete."""
        ...

    def must_end(self, written: Sequence[int]) -> bool:
        """Whether it is complete, and nothing may follow."""
        ...
