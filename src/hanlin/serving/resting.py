"""Models that nobody asks: their sessions give up what only steps need. A worker with many small models is mostly such memory.

`Resting` belongs to the worker's event loop; `rest` is for another thread.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from hanlin.engines.resting import RestingSession
from hanlin.serving.orders import ModelFacts

REST_S = 5.0  # without a call, until a model gives back memory that its next step can do without


class Resting:
    """Sees from their facts which models may rest.

    Args:
        after_s: seconds without a call until then.
    """

    def __init__(self, after_s: float = REST_S) -> None:
        self._after_s = after_s
        self._seen: dict[str, tuple[ModelFacts, float | None]] = {}  # and since when; None: it was named

    def due(self, facts: Mapping[str, ModelFacts], now_s: float) -> list[str]:
        """Names of those that have nothing to do and had nothing for a while; each once until it is used again.

        Args:
            facts: of all models, by name.
            now_s: monotonic seconds.
        """
        seen, found = self._seen, []
        self._seen = {}
        for name, now in facts.items():
            before, since_s = seen.get(name, (None, now_s))
            if before != now or now.inflight or now.queued_tokens:
                since_s = now_s
            elif since_s is not None and now_s - since_s >= self._after_s:
                since_s = None
                found.append(name)
            self._seen[name] = now, since_s
        return found


def rest(sessions: Sequence[object]) -> bool:
    """Let those rest that can. Whether any did: freed memory is to be given back to the system then."""
    has_rested = False
    for session in sessions:
        if not isinstance(session, RestingSession):
            continue
        try:
            session.rest()
        except Exception as error:  # memory is all that is lost by it: the model answers as before
            sys.stderr.write(f"a model keeps the memory of its steps: {error}\n")
        else:
            has_rested = True
    return has_rested
