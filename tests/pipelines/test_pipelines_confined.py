"""Children that open foreign files are locked in: they read the one folder, and still do their work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hanlin.control.platform import Platform
from hanlin.models.importing import import_folder
from hanlin.pipelines.confined import guard_of
from hanlin.serving.confinement import offered

PRYING = """
import json, os, socket, sys
found = {}
for name, work in {
    "own": lambda: open(os.path.join(sys.argv[1], "model.onnx")).read(),
    "home": lambda: open(sys.argv[2]).read(),
    "passwords": lambda: open("/etc/passwd").read(),
    "writing": lambda: open(os.path.join(sys.argv[1], "new"), "w"),
    "network": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "programs": lambda: os.execv("/bin/true", ["true"]),
}.items():
    try:
        work()
        found[name] = "done"
    except OSError:
        found[name] = "refused"
print(json.dumps(found))
"""


def test_a_child_may_read_its_folder_and_nothing_else(platform: Platform, tmp_path: Path) -> None:
    folder, modules, secret = tmp_path / "job", tmp_path / "modules", platform.settings.home / "owner.key"
    folder.mkdir()
    modules.mkdir()
    (modules / "prying.py").write_text(PRYING)
    (folder / "model.onnx").write_text("x")
    secret.write_text("secret")
    words = [sys.executable, *guard_of(platform)(folder, 2**31), "prying", str(folder), str(secret)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(modules), *filter(None, sys.path)])}
    told = subprocess.run(words, capture_output=True, env=environment, timeout=60, check=True).stdout
    found = json.loads(told)
    has = set(offered())
    assert found["own"] == "done"
    for name, protection in (
        ("home", "files"),
        ("passwords", "files"),
        ("writing", "files"),
        ("network", "system_calls"),
        ("programs", "system_calls"),
    ):
        assert found[name] == ("refused" if protection in has else "done"), name


def test_keras_works_in_there(platform: Platform, tmp_path: Path) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((6,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3), layers.Dense(2, activation="softmax")]
    )
    source = tmp_path / "mood"
    source.mkdir()
    model.save(source / "model.keras")
    (source / "vocabulary.txt").write_text("good\nbad\nfilm\n", encoding="utf-8")
    (source / "labels.txt").write_text("bad\ngood\n", encoding="utf-8")
    found = import_folder(source, tmp_path / "out", task="text-classification", guard=guard_of(platform))
    assert (found.spec.reference, found.spec.max_length, found.spec.labels) == ("onnxruntime-fp32", 6, ("bad", "good"))
