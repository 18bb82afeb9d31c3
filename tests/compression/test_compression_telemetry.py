"""Nothing here reports use to anybody: libraries that would by default are told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
from hanlin.engines.openvino_engine import import_openvino
import_openvino()
import nncf.telemetry.wrapper, openvino.tools.ovc.telemetry_utils
print(type(nncf.telemetry.wrapper.telemetry).__name__, openvino.tools.ovc.telemetry_utils.tm.__name__)
"""


def test_openvino_and_nncf_send_no_usage_reports() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # NNCF looks for pytest
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment).stdout
    assert found.split()[0] != "NNCFTelemetry"  # its stub is a mock
    assert "telemetry_stub" in found


def test_onnxruntime_makes_no_device_id_and_no_database_of_reports(tmp_path: Path) -> None:
    code = "import hanlin.engines, onnxruntime"
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment | {"HOME": str(tmp_path)})
    assert [path.name for path in tmp_path.rglob("*")] == []
