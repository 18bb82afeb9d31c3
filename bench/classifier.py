"""An LSTM of ours that tells good reviews from bad ones, as an artifact with a variant; learned once, in build/bench."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from embedder import usual_variant
from training_data import CACHE, LABELS, splits

FOLDER = CACHE.parent / "bench" / "mood"


def classifier(variant: str) -> Path:
    """The artifact folder."""
    from hanlin.compression.base import convert
    from hanlin.training.checkpoints import FolderCheckpoints
    from hanlin.training.config import TrainConfig
    from hanlin.training.examples import TrainData
    from hanlin.training.ports import Silent
    from hanlin.training.train import train

    if not FOLDER.is_dir():
        rows, validation, _ = splits("reviews-en")
        aside = FOLDER.with_suffix(".new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            config, data = TrainConfig.from_json({}, model="lstm"), TrainData(rows, validation, LABELS)
            train(config, data, out=aside, progress=Silent(), checkpoints=FolderCheckpoints(Path(work)))
        aside.rename(FOLDER)
    convert(FOLDER, variant, calibration=[])
    return FOLDER


if __name__ == "__main__":
    print(classifier(sys.argv[1] if len(sys.argv) > 1 else usual_variant()))
