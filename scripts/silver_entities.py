"""Labels texts with a spaCy pipeline of yours: silver rows, from which `hanlin train` makes a tagger that needs no spaCy.

usage: .venv/bin/python scripts/silver_entities.py PIPELINE TEXTS OUT

PIPELINE: a pipeline's folder (config.cfg, meta.json), as `nlp.to_disk` writes it or as it lies inside of an unpacked package.
TEXTS: UTF-8 file, one text a line. OUT: JSONL rows of `text` and `entities` with character offsets, for `hanlin dataset add`.

A pipeline is data here: a folder that holds a pickle or Python is refused, and so is a config that names anything but spaCy's own parts
(its code would be asked for). Silver means that a model made the labels: what is trained on them is at best as good.
"""

from __future__ import annotations

import argparse
import configparser
import json
import re
import sys
from pathlib import Path

FORBIDDEN = re.compile(r".*\.(pkl|pickle|joblib|bin\.gz|pt|pth|py|pyc|so|whl)", re.IGNORECASE)
OWN = re.compile(r'"(spacy|spacy-legacy)\.[A-Za-z0-9_.]+"')
FACTORIES = frozenset(
    {"tok2vec", "tagger", "morphologizer", "parser", "senter", "sentencizer", "attribute_ruler", "lemmatizer", "ner", "entity_ruler"}
)
UNUSED = frozenset({"training", "pretraining", "corpora", "paths", "system"})  # parts of a config that loading builds nothing of
MAX_CHARACTERS = 100_000


def problem_of(folder: Path) -> str:
    """Why a pipeline is not loaded; empty when nothing speaks against it."""
    if not (folder / "config.cfg").is_file() or not (folder / "meta.json").is_file():
        return "no config.cfg, or no meta.json"
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or FORBIDDEN.fullmatch(path.name):
            return f"{path.name}: pickles, code and links are not loaded"
    config = configparser.RawConfigParser(strict=True)
    try:
        config.read_string((folder / "config.cfg").read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        return f"config.cfg: {type(error).__name__}"
    for section in config.sections():
        if section.partition(".")[0] in UNUSED:
            continue
        for key, value in config.items(section):
            if key.startswith("@") and not OWN.fullmatch(value):
                return f"config.cfg names {value[:60]}, which is not spaCy's own"
            if key == "factory" and value.strip('"') not in FACTORIES:
                return f"config.cfg names the factory {value[:60]}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="silver entities by a spaCy pipeline")
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    if problem := problem_of(options.pipeline):
        parser.error(f"{options.pipeline.name}: {problem}")
    import spacy

    pipeline = spacy.load(options.pipeline)
    with options.texts.open(encoding="utf-8") as lines:
        texts = list(dict.fromkeys(text for line in lines if (text := line.strip()) and len(text) <= MAX_CHARACTERS))
    count = 0
    with options.out.open("w", encoding="utf-8") as out:
        for doc in pipeline.pipe(texts):
            found = [{"start": entity.start_char, "end": entity.end_char, "label": entity.label_} for entity in doc.ents]
            count += len(found)
            out.write(json.dumps({"text": doc.text, "entities": found}, ensure_ascii=False) + "\n")
    print(f"{len(texts):,} texts, {count:,} entities (silver) → {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
