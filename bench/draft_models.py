"""One stream whose next tokens a smaller model guesses: what that gains, and how often it is right.

usage: python bench/draft_models.py ARTIFACT VARIANT DRAFT DRAFT_VARIANT [--threads 2] [--tokens 96] [--temperature 0]

Both artifacts as `bench/smollm_artifact.py` makes them, with the variants in them; they may be the same one. One JSON object: `steps_ms` (a
step of 1 to 5 tokens of the model, and of 1 of the draft, behind 200 others: the lowest of nine), then for each text of
`streaming_engine.WISHES` the tokens a second by the clock: `plain`, with guesses out of the text (`lookup`), of the draft (`draft`), and
of `both`; `right` is how many tokens of a guess came true on average in `draft`. Ends with 1 when one way writes other tokens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from unittest import mock

from hanlin.engines.base import load_variant, variant_files
from hanlin.engines.drafting import TOKENS, Drafter
from hanlin.engines.lookup import Lookup, Worth
from hanlin.engines.openvino_paged import PagedModel, Piece
from hanlin.engines.openvino_writer import OpenvinoWriter
from hanlin.generation import GenerationSettings
from hanlin.tasks.spec import DRAFT_FOLDER
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.types import JsonObject
from streaming_engine import WISHES, Ear

SOURCES: dict[str, tuple[type[Any], ...]] = {"plain": (Lookup, Drafter), "lookup": (Drafter,), "draft": (Lookup,), "both": ()}  # left out


def lay_out(folder: Path, artifact: Path, variant: str) -> Path:
    """Links to what one variant of an artifact needs."""
    for name in ("config.json", "hanlin.json", "tokenizer.json", *variant_files(variant)):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(artifact.resolve() / name)
    return folder


def step_ms(model: PagedModel, count: int) -> float:
    """Milliseconds of a step of so many tokens behind 200 others, the lowest of nine."""
    ids, times = [100 + 7 * place for place in range(200)], []
    blocks = range(model.size)
    model.step([Piece(ids, 0, blocks)])
    for _ in range(9):
        begun_s = time.perf_counter()
        model.step([Piece(ids[:count], 200, blocks, is_wanted_whole=True)])
        times.append((time.perf_counter() - begun_s) * 1e3)
    return round(min(times), 1)


def write(
    session: OpenvinoWriter, row: Sequence[int], asked: GenerationSettings, without: Sequence[type]
) -> tuple[float, list[int], float]:
    """Tokens a second behind the first, the tokens, and how many of a guess came true."""
    right: list[int] = []
    note = Worth.note

    def heard(self: Worth, num_true: int, num_ids: int) -> None:
        right.append(num_true)
        note(self, num_true, num_ids)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Worth, "note", heard))
        for kind in without:
            stack.enter_context(mock.patch.object(kind, "draft", lambda *_: []))
        ear = Ear(session)
        ear.admit(0, row, asked)
        while len(ear.ids[0]) < 2:  # prompts are read, by both
            ear.turn()
        before, begun_s = len(ear.ids[0]), time.perf_counter()
        ear.run()
    seconds = time.perf_counter() - begun_s
    return (len(ear.ids[0]) - before) / seconds, ear.ids[0], statistics.fmean(right or [0])


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("variant")
    parser.add_argument("draft", type=Path)
    parser.add_argument("draft_variant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--temperature", type=float, default=0.0)
    chosen = parser.parse_args()
    is_same = True
    with tempfile.TemporaryDirectory() as name:
        folder = lay_out(Path(name), chosen.artifact, chosen.variant)
        lay_out(folder / DRAFT_FOLDER, chosen.draft, chosen.draft_variant)
        session = load_variant(folder, chosen.variant, threads=chosen.threads)
        assert isinstance(session, OpenvinoWriter)
        large, small = cast("Any", session)._model, cast("Any", session)._batch._drafter._model
        told: JsonObject = {
            "guessed_at_once": TOKENS, "steps_ms": [step_ms(large, count) for count in range(1, 6)], "draft_step_ms": step_ms(small, 1)
        }  # fmt: skip
        cast("Any", session)._batch.clear()  # its blocks were written over
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        for wish, text in WISHES.items():
            row = tokenizer.encode(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n").ids
            asked = GenerationSettings(max_new_tokens=chosen.tokens, stop_ids=(), temperature=chosen.temperature, seed=1)
            found = {source: write(session, row, asked, without) for source, without in SOURCES.items()}
            same = all(ids == found["plain"][1] for _, ids, _ in found.values())
            is_same = is_same and same
            told[wish] = {source: round(speed, 1) for source, (speed, _, _) in found.items()} | {
                "right": round(found["draft"][2], 2), "same": same
            }  # fmt: skip
    print(json.dumps(told))
    sys.exit(not is_same)


if __name__ == "__main__":
    main()
