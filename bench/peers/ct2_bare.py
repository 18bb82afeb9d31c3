"""CTranslate2's Generator on a converted folder: what `generation_engines.py` prints of an engine.

usage: PYTHON ct2_bare.py FOLDER fp32|int8 THREADS        in an environment with ctranslate2 4.8

FOLDER is made by `ct2-transformers-converter --model HF --quantization float32|int8 --output_dir FOLDER`. In int8 it rounds activations
too, a row at a time. HF must name its beginning, end and unknown token in tokenizer_config.json. Rows begin
together and wait for the longest: it has batches, and nobody joins one that runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import ctranslate2

from generation_engines import Timed, report

folder, precision, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
words = json.loads((folder / "vocabulary.json").read_text())
began = time.perf_counter()
kept = {"fp32": "float32", "int8": "int8_float32"}[precision]
generator = ctranslate2.Generator(str(folder), "cpu", compute_type=kept, inter_threads=1, intra_threads=threads)
load_s = time.perf_counter() - began


def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
    start, firsts, written, first_s, at_first = time.perf_counter(), set(), 0, 0.0, 0

    def heard(step: ctranslate2.GenerationStepResult) -> bool:
        nonlocal written, first_s, at_first
        written += 1
        firsts.add(step.batch_id)
        if not first_s and len(firsts) == len(rows):
            first_s, at_first = time.perf_counter() - start, written
        return False

    asked = [[words[each] for each in row] for row in rows]
    results = generator.generate_batch(
        asked, max_length=tokens, min_length=tokens, sampling_topk=1, include_prompt_in_result=False, callback=heard
    )
    rate = (written - at_first) / max(time.perf_counter() - start - first_s, 1e-9)
    return first_s, rate, results[0].sequences_ids[0][:tokens]


report(write, load_s, vocabulary=len(words))
