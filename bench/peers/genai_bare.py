"""openvino-genai's ContinuousBatchingPipeline on the files of one of our variants: what `generation_engines.py` prints of an engine.

usage: PYTHON genai_bare.py FOLDER openvino|openvino-int8|openvino-int4 THREADS        in an environment with openvino-genai
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402  # behind the line that keeps usage reports from home
import openvino  # noqa: E402
import openvino_genai as genai  # noqa: E402

from generation_engines import Timed, report  # noqa: E402

folder, variant, threads = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
place = Path(tempfile.mkdtemp())
for end in ("xml", "bin"):
    (place / f"openvino_model.{end}").symlink_to((folder / "variants" / variant / f"model.{end}").absolute())
began = time.perf_counter()
scheduler = genai.SchedulerConfig()
scheduler.cache_size, scheduler.dynamic_split_fuse, scheduler.max_num_batched_tokens = 1, True, 512
kept = "f32" if variant == "openvino" else "f16"
pipeline = genai.ContinuousBatchingPipeline(
    str(place), scheduler, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": kept}
)
load_s = time.perf_counter() - began


def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
    settings = genai.GenerationConfig()
    settings.max_new_tokens, settings.ignore_eos, settings.eos_token_id, settings.stop_token_ids = tokens, True, 2, {2}
    settings.apply_chat_template = False
    start = time.perf_counter()
    handles = [pipeline.add_request(n, openvino.Tensor(np.array([row], np.int64)), settings) for n, row in enumerate(rows)]
    written, firsts, first_s, at_first = 0, set(), 0.0, 0
    ids: list[int] = []
    while pipeline.has_non_finished_requests():
        pipeline.step()
        for number, handle in enumerate(handles):
            while handle.can_read():
                for output in handle.read().values():
                    written += len(output.generated_ids)
                    ids += output.generated_ids if not number else []
                    firsts.add(number)
        if not first_s and len(firsts) == len(rows):
            first_s, at_first = time.perf_counter() - start, written
    return first_s, (written - at_first) / max(time.perf_counter() - start - first_s, 1e-9), ids


report(write, load_s, vocabulary=json.loads((folder / "config.json").read_text())["vocab_size"])
