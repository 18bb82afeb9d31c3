"""Fetches multilingual e5-small (a 4-bit copy, widened to fp32) into a folder that `hanlin model import` takes.

usage: .venv/bin/python scripts/e5_small.py OUT [--texts FILE]

--texts: UTF-8 file, one text a line; the vocabulary is cut to the tokens that these texts use (of 118 million weights 96 are vocabulary).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hanlin.datasets.bundled import e5_small_files
from hanlin.errors import HanlinError
from hanlin.models.e5 import convert_e5
from hanlin.models.prune_vocabulary import prune_vocabulary

CACHE = Path(__file__).parents[1] / "build" / "packages"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="e5-small as a model folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--texts", type=Path)
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"{options.out} exists already")
    try:
        with tempfile.TemporaryDirectory() as work:
            whole = Path(work) / "whole" if options.texts else options.out
            convert_e5(*e5_small_files(CACHE), whole)
            if options.texts:
                texts = options.texts.read_text(encoding="utf-8").splitlines()
                print(f"{prune_vocabulary(whole, options.out, texts):,} tokens kept")
    except HanlinError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"hanlin model import e5-small {options.out} --task text-classification")
    return 0


if __name__ == "__main__":
    sys.exit(main())
