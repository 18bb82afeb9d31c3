"""Chinese poems of the Tang and Song dynasties."""

from __future__ import annotations

import json
import re

from hanlin.datasets.corpora.base import Rows, Source, corpus, without_twins
from hanlin.datasets.corpora.pinned import POETRY

_KINDS = {"poet.tang": "tang-shi", "poet.song": "song-shi", "ci.song": "song-ci"}
_FILE = re.compile(r"package/dist/(?:quantangshi|songci)/(poet\.tang|poet\.song|ci\.song)\.(\d+)\.json")


@corpus(
    "chinese-poems", task="fill-mask", languages="zh", nature="gold", source="npm chinese-poetry 2.0.1", licence="MIT",
    columns="text title author kind", formats="jsonl txt", zh="唐诗、宋词、宋诗（转为简体），每首一行，供预训练；已去重。",
)  # fmt: skip
def poems(source: Source) -> Rows:
    """Poems of Tang and Song in simplified characters, one a row: for pretraining; each once."""
    return without_twins(_poems(source), "text")


def _poems(source: Source) -> Rows:
    import opencc

    simplify = opencc.OpenCC("t2s").convert
    found = []
    for name, content in source.members(POETRY, "package/dist/*/*.json"):
        if match := _FILE.fullmatch(name):
            found.append((list(_KINDS).index(match[1]), int(match[2]), content))
    for kind, _, content in sorted(found):
        for poem in json.loads(content):
            said = simplify("\n".join(line.strip() for line in poem["paragraphs"] if line.strip()))
            if said:
                title = simplify(poem.get("title") or poem.get("rhythmic") or "")
                yield {"text": said, "title": title, "author": simplify(poem.get("author") or ""), "kind": list(_KINDS.values())[kind]}
