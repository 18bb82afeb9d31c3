"""What a worker process finds around it: its environment, and the cell it locks itself into."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hanlin.serving.confinement import Cell, Policy
from hanlin.serving.memory import most_bytes_of_all

_KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_", "TZ", "LD_", "PYTHON", "VIRTUAL_ENV", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_",
    "DNNL_", "ORT_", "OV_", "OPENVINO_", "TORCH", "ATEN_", "CUDA_", "NVIDIA_", "VLLM_", "HANLIN_VLLM_", "COVERAGE_",
)  # fmt: skip
# torch's threads wait for each other by spinning, a millisecond and longer: when another process has the core that one of them needs, a
# step of 7 ms took 400. So long they wait for a partner that is about to come, and no longer.
SPIN_COUNT = "10000"


def cell_of(folder: Path, *, run_dir: Path, policy: Policy, memory_bytes: int) -> Cell:
    """It reads what is linked into its own folder, and nothing else of the home. `memory_bytes`: 0 for most of the machine's."""
    closed = str(run_dir.resolve().parent)
    return Cell(policy=policy, folder=str(folder.resolve()), closed=closed, data_bytes=memory_bytes or most_bytes_of_all())


def environment_of(source: Mapping[str, str] | None, *, threads: int) -> dict[str, str]:
    """What Python and engines read of `source` (None: ours), so no keys and no database; threads bounded where libraries look for them."""
    patience = {"GOMP_SPINCOUNT": SPIN_COUNT}
    kept = {name: value for name, value in (os.environ if source is None else source).items() if name.startswith(_KEPT_VARIABLES)}
    fixed = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}
    return patience | kept | fixed | {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
