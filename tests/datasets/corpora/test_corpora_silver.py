"""Silver corpora over Brown with a stand-in for the parser: which sentences, how often parsed, what is missing without spaCy."""

import sys
from types import SimpleNamespace

import pytest

from hanlin.datasets.corpora import CORPORA, Source, silver
from hanlin.errors import InvalidInput

BROWN = {
    "package/ca01": b"\n\tMary/np saw/vbd him/ppo there/rb ./.\nNo/at !/. !/.\n\n\n\tMary/np saw/vbd him/ppo there/rb ./.\n",
    "package/cb01": b"Yesterday/nr a/at dog/nn barked/vbd ./.\n",
}


class Pipeline:
    """Says of every sentence that its second word is a verb and its first its subject, and a person."""

    def __init__(self):
        self.asked = []

    def pipe(self, texts, batch_size):
        for text in texts:
            self.asked.append(text)
            words = text.split()
            head = SimpleNamespace(i=1)
            kinds = [("NN", "nsubj"), ("VBD", "ROOT"), *[("NN", "dobj")] * len(words)]
            tokens = [
                SimpleNamespace(text=word, lemma_=word.lower(), tag_=tag, dep_=dep, head=head, ent_type_="")
                for word, (tag, dep) in zip(words, kinds, strict=False)
            ]
            ents = [SimpleNamespace(start_char=0, end_char=len(words[0]), label_="PERSON")]
            yield type("Doc", (), {"text": text, "ents": ents, "__iter__": lambda self, tokens=tokens: iter(tokens)})()


@pytest.fixture
def pipeline(monkeypatch):
    found = Pipeline()
    monkeypatch.setattr(silver, "model", lambda source: found)
    return found


def test_sentences_are_chosen_once_and_parsed_once(excerpts, pipeline):
    source = excerpts(files=BROWN)
    assert silver.chosen(source) == ["Mary saw him there.", "Yesterday a dog barked."]
    first = list(CORPORA.get("brown-entities").rows(source))
    assert first[0] == {"text": "Mary saw him there.", "entities": [{"start": 0, "end": 4, "label": "PERSON"}]}
    assert next(CORPORA.get("brown-roles").rows(source))["frames"][0]["arguments"][0]["role"] == "ARG0"
    assert len(pipeline.asked) == 2
    assert not list(source.cache.glob(".*"))


def test_a_parse_that_was_broken_off_leaves_nothing(excerpts, pipeline, monkeypatch):
    monkeypatch.setattr(pipeline, "pipe", lambda texts, batch_size: iter([1 / 0 for _ in texts]))
    source = excerpts(files=BROWN)
    with pytest.raises(ZeroDivisionError):
        list(CORPORA.get("brown-roles").rows(source))
    assert not list(source.cache.glob("brown-parses*"))


def test_only_the_smallest_digests_are_taken(excerpts, monkeypatch):
    monkeypatch.setattr(silver, "NUM_SENTENCES", 1)
    assert len(silver.chosen(excerpts(files=BROWN))) == 1


def test_without_spacy_the_install_line_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(InvalidInput) as caught:
        silver.model(Source(tmp_path))
    assert caught.value.code == "missing_extra"
    assert "hanlin[silver]" in caught.value.next_step
