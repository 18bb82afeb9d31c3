"""Peers of the benches that write: how their servers begin, what is refused, and that one module has the settings of all their scripts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The scripts as modules, which import each other by plain names."""
    before = {*sys.modules}
    sys.path.insert(0, str(BENCH))
    try:
        yield {name: importlib.import_module(name) for name in ("generation_servers", "generation_engines", "peers.settings")}
    finally:
        sys.path.remove(str(BENCH))
        ours = {path.stem for path in BENCH.glob("*.py")} | {"peers", "peers.settings"}
        for name in ({*sys.modules} - before) & ours:
            del sys.modules[name]


def test_a_server_of_llamacpp_is_told_its_precision(scripts: dict[str, ModuleType]) -> None:
    command = scripts["generation_servers"].command_of("llamacpp-q8_0=/x/bin/python:/y/model.gguf", 2, 8123)
    assert command == ["/x/bin/python", str(BENCH / "peers" / "llamacpp_server.py"), "/y/model.gguf", "q8_0", "2", "8123"]


def test_a_server_of_vllm_has_the_settings_of_its_bare_engine(scripts: dict[str, ModuleType]) -> None:
    command = scripts["generation_servers"].command_of("vllm-bf16=/x/bin/python:/y/hf", 2, 8123)
    assert command[:3] == ["/x/bin/python", "-m", "vllm.entrypoints.openai.api_server"]
    told = " ".join(command[3:])
    assert "--model /y/hf --host 127.0.0.1 --port 8123 --served-model-name writer --dtype bfloat16" in told
    assert "--enforce-eager --no-enable-prefix-caching --max-model-len 1024 --max-num-seqs 16 --max-num-batched-tokens 1024" in told


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("vllm-int8=/x/bin/python:/y/hf", "vllm takes fp32 or bf16, not 'int8'"),
        ("vllm-int8=", "vllm takes fp32 or bf16, not 'int8'"),
        ("vllm=/x/bin/python:/y/hf", "vllm takes fp32 or bf16, not ''"),
        ("llamacpp-int4=/x/bin/python:/y/model.gguf", "llamacpp takes fp32 or q8_0, not 'int4'"),
        ("ct2-int8=/x/bin/python:/y/model", "peers are llamacpp and vllm, not ct2"),
        ("vllm-fp32=/x/bin/python", "a peer is told as vllm-fp32=PYTHON:FILES"),
    ],
)
def test_what_a_peer_does_not_take_is_refused(scripts: dict[str, ModuleType], told: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scripts["generation_servers"].command_of(told, 2, 8123)


def test_there_is_a_place_for_each_stream(scripts: dict[str, ModuleType]) -> None:
    assert max(scripts["generation_engines"].STREAMS) == scripts["peers.settings"].PLACES


def test_openmp_is_loaded_first_where_there_is_one(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    environ = scripts["peers.settings"].vllm_environ
    assert "LD_PRELOAD" not in environ(tmp_path, 2, log="INFO")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libiomp5.so").touch()
    found = environ(tmp_path, 2, log="INFO")
    assert found["LD_PRELOAD"] == str(tmp_path / "lib" / "libiomp5.so")
    assert (found["OMP_NUM_THREADS"], found["VLLM_LOGGING_LEVEL"]) == ("2", "INFO")


def test_keys_and_values_of_llamacpp_are_told_for_each_precision(scripts: dict[str, ModuleType]) -> None:
    def params() -> SimpleNamespace:
        return SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())

    library = SimpleNamespace(ggml_type=SimpleNamespace(GGML_TYPE_F32=0, GGML_TYPE_F16=1), CommonParams=params)
    make = scripts["peers.settings"].llamacpp_params
    for precision, kind in (("fp32", 0), ("q8_0", 1)):
        found = make(library, "model.gguf", precision, 2)
        assert (found.cache_type_k, found.cache_type_v, found.n_parallel, found.n_ctx) == (kind, kind, 16, 16 * 1024)
    with pytest.raises(ValueError, match="llamacpp takes fp32 or q8_0, not 'int4'"):
        make(library, "model.gguf", "int4", 2)


def test_the_settings_ask_for_nothing_of_ours() -> None:
    assert "hanlin" not in (BENCH / "peers" / "settings.py").read_text(encoding="utf-8")
