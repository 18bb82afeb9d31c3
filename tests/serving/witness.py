"""An engine of a plugin: OpenVINO's, which says how it was told to load, and how many steps of other models ended meanwhile."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hanlin.engines.base import ENGINES, Capabilities
from hanlin.engines.openvino_engine import OpenvinoEngine, OpenvinoSession
from hanlin.engines.streams import Streams

STEPS = itertools.count()


class Counting:
    """A session whose steps are counted as they end, on whichever thread."""

    def __init__(self, session: OpenvinoSession) -> None:
        self._session = session
        self.num_streams, self.step_tokens, self.has_tokens = session.num_streams, session.step_tokens, session.has_tokens

    def run(self, *arrays: np.ndarray, with_tokens: bool = False) -> Mapping[str, np.ndarray]:
        found = self._session.run(*arrays, with_tokens=with_tokens)
        next(STEPS)
        return found

    def close(self) -> None:
        self._session.close()


@ENGINES.register("witness")
class Witness(OpenvinoEngine):
    name = "witness"
    capabilities = Capabilities(precisions=("fp32",))

    def load_streams(self, folder: Path, precision: str, *, threads: int, streams: Streams) -> Counting:  # type: ignore[override]
        before = next(STEPS)
        session = super().load_streams(folder, precision, threads=threads, streams=streams)
        assert isinstance(session, OpenvinoSession)
        told = {"steps": next(STEPS) - before - 1, "threads": threads, **asdict(streams), "num_streams": session.num_streams}
        sys.stderr.write(json.dumps(told) + "\n")
        sys.stderr.flush()
        return Counting(session)
