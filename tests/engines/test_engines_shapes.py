"""However many shapes come, what an engine keeps of them is bounded: steps of other shapes than before need no more memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VARIANTS = ("torch-fp32", "onnxruntime-fp32", "openvino-fp32", "inductor-bf16")
LIMIT_BYTES = 12 * 2**20  # OpenVINO took 28 MB, were nothing done about its shapes
NUM_SHAPES = 300

# Memory is a process's own: in this one, others' would be counted too.
CHILD = """
import json, os, sys
from pathlib import Path

import numpy as np

from hanlin.engines import load_variant

_, folder, count, *variants = sys.argv
shapes = [(rows, width) for rows in range(1, 17) for width in range(1, 65)]
np.random.default_rng(0).shuffle(shapes)


def private_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


for variant in variants:
    session, found = load_variant(Path(folder), variant, threads=1), []
    for number, shape in enumerate(shapes[: int(count)], 1):
        ids = np.full(shape, 7, dtype=np.int64)
        assert session.run(ids, np.ones_like(ids))["logits"].shape == (shape[0], 3)
        if number % (int(count) // 2) == 0:
            found.append(private_bytes())
    session.close()
    print(json.dumps([variant, *found, os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY")]), flush=True)
"""


@pytest.mark.parametrize("artifact", ["bert"], indirect=True, scope="session")
def test_what_is_kept_of_many_shapes_is_bounded(artifact: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    command = [sys.executable, "-c", CHILD, str(artifact), str(NUM_SHAPES), *VARIANTS]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert tuple(variant for variant, *_ in found) == VARIANTS
    assert {variant: after - before for variant, before, after, _ in found if after - before > LIMIT_BYTES} == {}
    assert {capacity for *_, capacity in found} == {"200"}, "torch's own library would keep 1,024"
