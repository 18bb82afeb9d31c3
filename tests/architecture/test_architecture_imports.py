"""The rooms stand on floors; a room imports rooms of lower floors only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "hanlin"
FLOORS = {
    "errors": 0, "messages": 0, "types": 0, "plugins": 0, "home": 0, "settings": 0, "drawing": 0, "encodings": 0, "generation": 0,
    "passages": 0, "tool_forms": 0,
    "tasks": 1, "networks": 1, "storage": 1, "observe": 1, "client": 1,
    "registry": 2, "jobs": 2, "accounts": 2, "bench": 2,
    "datasets": 3, "models": 3, "engines": 3,
    "training": 4, "serving": 4,
    "compression": 5, "control": 5,
    "pipelines": 6, "gateway": 6,
    "console": 7,
    "cli": 8, "app": 8, "demo": 8, "__main__": 9,
}  # fmt: skip
# Floor 0 among itself: words first, then errors, then values, then the rest.
GROUND_ORDER = [
    "messages", "errors", "types", "plugins", "home", "settings", "drawing", "encodings", "generation", "passages", "tool_forms",
]  # fmt: skip
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts != ("__init__.py",))


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "hanlin" else [node.module or ""]
        found |= {name.split(".")[1] for name in names if name.startswith("hanlin.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_lower_floors_only(path: Path) -> None:
    room = room_of(path)
    assert room in FLOORS, f"{room} has no floor: place it in the map of docs/architecture.md and here"
    for other in imported_rooms(path) - {room}:
        assert other in FLOORS, f"{path.name} imports {other}, which has no floor"
        if FLOORS[room] == 0:
            assert GROUND_ORDER.index(other) < GROUND_ORDER.index(room), f"{room} imports {other} upward"
        else:
            is_app_entry = room == "cli" and other in {"app", "demo"}  # the CLI loads them inside `up`, `demo`, `doctor`
            is_demo_entry = room == "demo" and other == "app"
            assert FLOORS[other] < FLOORS[room] or is_app_entry or is_demo_entry, (
                f"{path.name} ({room}) imports {other}: same floor or upward"
            )


FORBIDDEN = {
    "hanlin.client": {"torch", "transformers", "numpy", "sqlalchemy", "fastapi"},
    "hanlin.bench.run": {"torch", "transformers", "numpy", "sqlalchemy", "fastapi", "msgspec"},
    "hanlin.cli": {"torch", "transformers", "numpy", "sqlalchemy", "fastapi", "openvino", "onnxruntime"},
    "hanlin.gateway.dataplane": {"torch", "transformers", "openvino", "onnxruntime", "pyarrow", "pandas", "onnx", "nncf"},
    "hanlin.gateway.server": {"torch", "transformers", "openvino", "onnxruntime", "pyarrow", "onnx", "nncf", "numpy", "tokenizers"},
    "hanlin.serving.worker": {"torch", "transformers", "fastapi", "starlette", "sqlalchemy", "openvino", "onnxruntime", "pyarrow"},
    "hanlin.serving.cell": {"numpy", "torch", "tokenizers", "uvloop", "openvino", "onnxruntime"},  # they may start threads, not confined
    "hanlin.pipelines.confined": {"numpy", "torch", "tokenizers", "transformers", "openvino", "onnxruntime"},
    "hanlin.engines": {"torch", "transformers", "fastapi", "starlette"},
    "hanlin.tasks": {"torch", "transformers", "sklearn", "scipy", "pyarrow"},
}


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
def test_importing_a_room_stays_light(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {sorted(FORBIDDEN[module])!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def loaded_by(code: str) -> set[str]:
    """The modules of a process that runs `code`."""
    done = subprocess.run([sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True)
    return {*done.stdout.split()}


@pytest.mark.parametrize("engine", ["fake", "torch", "onnxruntime", "openvino"])
def test_a_worker_loads_the_files_of_its_task_and_its_engine_alone(engine: str) -> None:
    loaded = loaded_by(f"""
import hanlin.serving.worker
from hanlin.engines.base import split_variant
from hanlin.tasks.base import TASKS
TASKS.get("text-classification")
split_variant("{engine}-fp32")""")
    assert "hanlin.tasks.text_classification" in loaded
    assert not loaded & {"hanlin.tasks.question_answering", "hanlin.tasks.semantic_parsing", "hanlin.tasks.text_to_sql"}
    assert not loaded & {"hanlin.engines.vllm_engine", "hanlin.engines.inductor_engine"}
    assert not loaded & {"hanlin.engines.constraints", "hanlin.engines.json_schemas"}  # for networks that write


def test_model_code_of_transformers_comes_without_what_only_others_need() -> None:
    loaded = loaded_by("""
from hanlin.networks.transformers_library import import_transformers
import_transformers().AutoModelForSequenceClassification
import transformers.modeling_utils
import importlib.util
assert importlib.util.find_spec("scipy") is not None""")
    assert "transformers.modeling_utils" in loaded
    assert not loaded & {"scipy", "accelerate", "sklearn"}
