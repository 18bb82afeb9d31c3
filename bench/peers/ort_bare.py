"""onnxruntime-genai's Generator on a folder of its model builder: what `generation_engines.py` prints of an engine.

usage: PYTHON ort_bare.py FOLDER fp32|int8 THREADS        in an environment with onnxruntime-genai 0.18

FOLDER is made by `python -m onnxruntime_genai.models.builder -i HF -o FOLDER -p fp32|int8 -e cpu --extra_options accuracy_level=1`, which
keeps activations in fp32; the table of words stays in fp32 in both. Rows begin together; nobody joins a batch that runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import onnxruntime_genai as genai

from generation_engines import Timed, report

genai.disable_telemetry_events()
folder, threads = Path(sys.argv[1]), int(sys.argv[3])
began = time.perf_counter()
config = genai.Config(str(folder))
config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
model = genai.Model(config)
load_s = time.perf_counter() - began


def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
    length = len(rows[0]) + tokens
    params = genai.GeneratorParams(model)
    params.set_search_options(max_length=length, min_length=length, batch_size=len(rows), do_sample=False)
    start = time.perf_counter()
    generator = genai.Generator(model, params)
    generator.append_tokens(np.array(rows, np.int32))
    generator.generate_next_token()
    first_s = time.perf_counter() - start
    for _ in range(tokens - 1):
        generator.generate_next_token()
    rate = len(rows) * (tokens - 1) / max(time.perf_counter() - start - first_s, 1e-9)
    return first_s, rate, [int(each) for each in generator.get_sequence(0)[len(rows[0]) :]]


report(write, load_s, vocabulary=json.loads((folder / "genai_config.json").read_text())["model"]["vocab_size"])
