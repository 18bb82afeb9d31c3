"""The `vllm` engine: decoders of transformers on graphics processors, by vLLM's own asynchronous engine. An extra.

What it writes, row by row, is in `vllm_writer.py`. Its core computes in a process of its own, which ends with the worker
(`vllm_children.py`); its HTTP server, usage reports and plugins stay off. Variants have no files of their own: it loads the trained model.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import cast

from hanlin.engines.apart import LOAD_S, SHARE_VARIABLE, lives_apart
from hanlin.engines.base import ENGINES, TRAINED_FILES, Capabilities, load_failed
from hanlin.engines.constraints import Constraints
from hanlin.engines.vllm_children import tie_children
from hanlin.engines.vllm_loop import VllmLoop
from hanlin.engines.vllm_writer import MAX_ROWS, VllmWriter
from hanlin.generation import MAX_LIKELIEST
from hanlin.networks.adapter import is_adapter
from hanlin.networks.config import read_config
from hanlin.networks.head import Head
from hanlin.tasks.tokenizer import load_tokenizer

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_FIXED = {  # whatever the worker was given; a fork would have its sockets and locks
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_PLUGINS": "", "VLLM_HOST_IP": "127.0.0.1",
}  # fmt: skip
_DEFAULTS = {
    "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "WARNING", "HF_HUB_OFFLINE": "1",
    "VLLM_ENGINE_READY_TIMEOUT_S": str(int(LOAD_S)),
}  # fmt: skip
_TOKENIZER = "tokenizer.json"


def import_vllm() -> ModuleType:
    """The library, told how its processes are made and to report nothing. Raises InvalidInput (`engine_apart`)."""
    os.environ.update(_FIXED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("vllm")
    except ModuleNotFoundError as error:
        raise lives_apart("vllm", "vllm") from error


@ENGINES.register("vllm")
class VllmEngine:
    """Pages of keys and values, continuous batching and shared beginnings are vLLM's."""

    name = "vllm"
    capabilities = Capabilities(
        precisions=tuple(DTYPES), writer_precisions=tuple(DTYPES), is_measured_unasked=False, writes=True, apart="vllm"
    )

    def is_batch_invariant(self, precision: str) -> bool:
        """Rows do not share scales; sums are rounded in another order in other company, as on every graphics processor."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """None beside the trained model's."""
        return ()

    def prepare(self) -> None:
        """Nothing: the library takes gigabytes and a processor, which a worker that only stands by must not hold."""

    def load(self, folder: Path, precision: str, *, threads: int) -> VllmWriter:
        """See `Engine.load`. Raises EngineFailed (`engine_load_failed`) as well without a processor that vLLM was built for."""
        variant = f"vllm-{precision}"
        architecture = _architecture(folder, variant)
        library = import_vllm()
        is_cpu = _check_processor(variant)
        config = read_config(folder)
        stops = _ids(config.get("eos_token_id"))
        try:
            with tempfile.TemporaryDirectory(prefix="vllm-") as words:
                tokenizer = _tokenizer_folder(folder, Path(words), stops)
                loop = _start(library, folder, precision, architecture=architecture, tokenizer=tokenizer, is_eager=is_cpu)
        except OSError as error:
            raise load_failed(variant, _missing_place(error), details=str(error)) from error
        try:
            return _writer(loop, folder, variant, stops)
        except BaseException:
            loop.close()
            raise


def _writer(loop: VllmLoop, folder: Path, variant: str, stops: list[int]) -> VllmWriter:
    settings = loop.config
    cache = settings.cache_config
    room = cache.num_gpu_blocks * cache.block_size if cache.num_gpu_blocks else None
    num_tokens = cast("int", settings.model_config.get_vocab_size())
    constraints = Constraints(folder / _TOKENIZER, num_tokens=num_tokens, stop_ids=stops)
    positions = cast("int", settings.model_config.max_model_len)
    return VllmWriter(loop, variant, stops=stops, positions=positions, num_tokens=num_tokens, room_tokens=room, constraints=constraints)


def _architecture(folder: Path, variant: str) -> str:
    """The class of transformers, which vLLM chooses its own by. Raises EngineFailed (`engine_load_failed`)."""
    if Head.load(folder).output != "sequences":
        raise load_failed(variant, "it loads networks that continue texts alone")
    if is_adapter(folder):
        raise load_failed(variant, "adapters are not loaded by it: merge the adapter first")
    if not (folder / TRAINED_FILES[0]).is_file() or not (folder / _TOKENIZER).is_file():
        raise load_failed(variant, f"the artifact has no {TRAINED_FILES[0]} or no {_TOKENIZER} for it")
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = str(read_config(folder).get("model_type"))
    found = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    if found is None:
        raise load_failed(variant, f"it does not know networks of the kind {kind}")
    return str(found)


def _check_processor(variant: str) -> bool:
    """Whether it is a CPU. Raises EngineFailed (`engine_load_failed`) where there is none that the installed build of vLLM is for."""
    try:
        from vllm.platforms import current_platform

        is_there, is_cpu = not current_platform.is_unspecified(), bool(current_platform.is_cpu())
    except Exception as error:  # its probing of drivers raises what it likes
        raise load_failed(variant, "vLLM cannot tell which processors there are", details=str(error)) from error
    if not is_there:
        raise load_failed(variant, "there is no graphics processor, or none that the installed vLLM is built for")
    return is_cpu


def _tokenizer_folder(folder: Path, out: Path, stops: list[int]) -> Path:
    """The tokenizer as transformers takes it without thinking of its own: vLLM needs it for answers of a given form."""
    tokenizer = load_tokenizer(folder / _TOKENIZER)
    end = next((token for stop in stops if (token := tokenizer.id_to_token(stop)) is not None), None)
    shutil.copyfile(folder / _TOKENIZER, out / _TOKENIZER)
    told = {"tokenizer_class": "PreTrainedTokenizerFast"} | ({"eos_token": end} if end else {})
    shutil.copyfile(folder / "config.json", out / "config.json")
    (out / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return out


def _start(library: ModuleType, folder: Path, precision: str, *, architecture: str, tokenizer: Path, is_eager: bool) -> VllmLoop:
    """vLLM's engine at work. Raises EngineFailed (`engine_load_failed`); what it said stands in the details alone.

    Args:
        is_eager: nothing is compiled: on a CPU that takes minutes and gains little.
    """
    try:
        options = library.AsyncEngineArgs(
            model=str(folder), tokenizer=str(tokenizer), dtype=DTYPES[precision], max_num_seqs=MAX_ROWS, seed=0, disable_log_stats=True,
            load_format="safetensors", trust_remote_code=False, generation_config="vllm", hf_overrides={"architectures": [architecture]},
            max_logprobs=MAX_LIKELIEST, structured_outputs_config={"backend": "guidance"}, enforce_eager=is_eager,
            **_memory(is_cpu=is_eager),
        )  # fmt: skip
        tie_children()
        return VllmLoop(lambda: library.AsyncLLMEngine.from_engine_args(options))
    except Exception as error:  # vLLM's own, torch's, the driver's
        reason = _missing_place(error) if isinstance(error, OSError) else "vLLM could not start"
        raise load_failed(f"vllm-{precision}", reason, details=f"{type(error).__name__}: {error}") from error


def _missing_place(error: OSError) -> str:
    """What is wrong where it reads and writes, in words without paths."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "it may write nowhere, as in a worker that is confined"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room left where it writes"
    told = os.strerror(error.errno) if error.errno else type(error).__name__
    return f"a file of its own could not be read or written: {told}"


def _memory(*, is_cpu: bool) -> dict[str, float]:
    """How much of a graphics processor's memory it may take, where that is said: vLLM takes nearly all by itself."""
    told = os.environ.get(SHARE_VARIABLE)
    return {"gpu_memory_utilization": float(told)} if told and not is_cpu else {}


def _ids(value: object) -> list[int]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, int)]
