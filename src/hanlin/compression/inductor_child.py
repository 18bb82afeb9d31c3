"""The process that compiles one network: `python -m hanlin.compression.inductor_child FOLDER PRECISION PACKAGE`.

It ends when its stdin is closed, so it does not outlive the process that started it. A failure is the last line of its output.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Literal, cast

from hanlin.networks.head import Head

EXAMPLE_SHAPE = (4, 20)  # neither 1 nor alike, or sizes would be taken for constants
_OPTIONS: dict[str, object] = {
    "cpp.dynamic_threads": True,  # as many as the worker is given, not as many as there were here
    "cpp.march": "",  # the vector units that `Compiled` names, and nothing else that this processor happens to have
    # One library needs torch's headers once: compiling them ahead takes 18 s for the 4 s that they save, and leaves 300 MB in /tmp.
    "aot_inductor.precompile_headers": False,
}


def compile_network(folder: Path, precision: Literal["fp32", "bf16"], package: Path) -> None:
    """Export the network in `folder` with free batch and length, and compile it into the archive `package`."""
    import torch
    from torch.export import Dim

    from hanlin.networks.heads import PretrainedEmbedder, WithTokens
    from hanlin.networks.loading import load_model

    module = load_model(folder, dtype=precision, attention="sdpa").eval().requires_grad_(requires_grad=False)
    module = WithTokens(module) if isinstance(module, PretrainedEmbedder) and module.has_tokens else module
    mask = torch.ones(EXAMPLE_SHAPE, dtype=torch.int64)
    mask[1, 5:] = 0
    inputs = (mask.clone(), mask, torch.zeros_like(mask))[: len(Head.load(folder).inputs)]
    with torch.inference_mode(mode=False), torch.no_grad():
        shapes = tuple((Dim.AUTO, Dim.AUTO) for _ in inputs)
        exported = torch.export.export(module, inputs, dynamic_shapes=shapes)
        torch._inductor.aoti_compile_and_package(exported, package_path=str(package), inductor_configs=_OPTIONS)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not by Python's buffer, whose lock this thread would hold at the end
    os._exit(1)


def main() -> int:
    """Compile what the arguments name."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    folder, precision, package = sys.argv[1:]
    try:
        compile_network(Path(folder), cast("Literal['fp32', 'bf16']", precision), Path(package))
    except Exception as error:  # exporter, code generator and compiler have errors of their own
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
