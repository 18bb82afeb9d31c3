"""What a method of explanations does with the hook of a trained version: words are hidden, the score of a target is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hanlin.engines import Session
from hanlin.engines.base import writing
from hanlin.engines.gathering import gather
from hanlin.engines.trained import trained_session
from hanlin.tasks import TASKS, Encoded, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, Explaining, Hidden, Place, Target, hide
from hanlin.tasks.padding import pad
from hanlin.tasks.problems import explaining_of
from hanlin.tasks.sequences import to_arrays
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonValue


class Explained:
    """A version that explanations ask: it has the hook and a session, and knows no task."""

    def __init__(self, folder: Path, task: str, said: JsonValue, parameters: dict[str, object]) -> None:
        self.folder, self.task, self.spec = folder, TASKS.get(task), ModelSpec.load(folder)
        self.encoder, self.session = TextEncoder.load(folder), trained_session(folder, threads=1)[0]
        self.hook: Explaining = explaining_of(self.task, self.spec)
        (self.request,) = self.hook.alone(self.task.check(said, parameters, limits=Limits()))  # type: ignore[arg-type]
        self.encoded = self.task.encode(self.request, self.encoder, self.spec)
        self.found = Computed(self.task, self.request, self.encoded, self.outputs(self.encoded), self.spec)
        self.targets = self.hook.targets(self.found)

    def outputs(self, encoded: Encoded) -> dict[str, np.ndarray]:
        found = _step(self.session, encoded, self.spec)
        return gather(self.task, encoded, [(found, place) for place in range(len(encoded.rows))])  # type: ignore[return-value]

    def hidden(self, *words: str) -> Hidden:
        text = self.hook.parts(self.request, self.encoder, self.spec)[0].text
        places = [Place(0, text.index(word), text.index(word) + len(word)) for word in words]
        return hide(self.hook, self.request, places, self.encoder, self.spec)

    def left(self, target: Target, *words: str) -> float:
        hidden = self.hidden(*words)
        encoded = self.hook.rows(target, self.task.encode(hidden.request, self.encoder, self.spec), self.spec)
        return self.hook.score(hidden.moved(target), Computed(self.task, hidden.request, encoded, self.outputs(encoded), self.spec))

    def lost(self, target: Target) -> dict[str, float]:
        """By word, what of the target's score goes with it."""
        whole = self.left(target)
        return {word: whole - self.left(target, word) for word in self.hook.parts(self.request, self.encoder, self.spec)[0].text.split()}


def _step(session: Session, encoded: Encoded, spec: ModelSpec) -> dict[str, np.ndarray]:
    if encoded.generation is None:
        return dict(session.run(*pad(encoded.rows, spec.pad_id, encoded.types).values()))
    return to_arrays(writing(session, "torch-fp32").generate(encoded.rows, encoded.generation))
