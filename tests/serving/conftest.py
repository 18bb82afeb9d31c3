"""Artifacts of the fake engine: seven words that mean something, the rest is unknown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.serving.loading import _WARM_SHAPES
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings

WORDS = ("[PAD]", "[UNK]", "good", "bad", "crash", "nan", "fail")
MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """`make_folder(name, **fake.json)` → artifact folder. `crash`, `nan` and `fail` do what they say."""

    def make(name: str = "m:1", *, max_length: int = 64, labels: tuple[str, ...] = ("negative", "positive"), **fake: object) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        vocabulary = {word: number for number, word in enumerate(WORDS)} | {f"w{n}": n for n in range(len(WORDS), 200)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(folder / "tokenizer.json"))
        ModelSpec(
            task="text-classification", labels=labels, max_length=max_length, pad_id=0, text=TextSettings(), languages=("en",)
        ).save(folder)  # fmt: skip
        warm_steps = len(_WARM_SHAPES) * int(str(fake.get("streams", 1)))  # no test waits for them
        behaviour = {"crash_token": 4, "nan_token": 5, "fail_token": 6, "quick_steps": warm_steps, **fake}
        (folder / "fake.json").write_text(json.dumps(behaviour))
        return folder

    return make


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which the task is registered by entry point, as an outsider's is."""
    plugin = tmp_path / "plugin"
    about = plugin / "hanlin_echo-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("echo_task.py"), plugin)
    (plugin / "echo_plugin.py").write_text("import echo_task\n\necho_task.register()\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanlin-echo\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[hanlin.tasks]\necho = echo_plugin\n")
    return os.environ | {"PYTHONPATH": f"{plugin}:{os.environ.get('PYTHONPATH', '')}"}
