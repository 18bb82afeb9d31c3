"""The hook of explanations suffices, on small networks that have learned: by hiding words, and by the slope of a score at the tokens."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.gateway.muse import make_model
from tests.training.explained import Explained

from hanlin.datasets import Split
from hanlin.networks.loading import load_network
from hanlin.tasks import TASKS
from hanlin.tasks.examples import canonical
from hanlin.tasks.explaining import Computed, Target
from hanlin.tasks.padding import pad
from hanlin.tasks.sequences import written
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonValue

SMALL = {
    "precision": "fp32", "embedding_size": 16, "hidden_size": 16, "min_count": 1, "batch_size": 16, "epochs": 5, "rate": 0.02, "threads": 1,
    "average": 0.0, "ngrams": False, "wide": False,
}  # fmt: skip
WRITER = {
    "epochs": 40, "hidden_size": 32, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 280, "batch_size": 16, "rate": 0.004,
    "max_length": 64, "max_target_length": 16, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0,
    "label_smoothing": 0.0, "evaluations": 1, "train_length": 64,
}  # fmt: skip
FILLER = ["the", "room", "was", "here", "we", "saw", "it", "then"]
LIKED = {"lovely": "good", "great": "good", "awful": "bad", "dirty": "bad"}
NAMES = {"Ada": "PER", "Grace": "PER", "London": "LOC", "Paris": "LOC"}
WORDS = {"red": "红", "green": "绿", "fox": "狐", "house": "屋", "big": "大", "runs": "跑"}


def learned(folder: Path, case: Case, data: TrainData, options: dict[str, object]) -> Path:
    known = {name: value for name, value in options.items() if applies(name, case)}
    config = TrainConfig.from_json(known, model=case.model, task=case.task)  # type: ignore[arg-type]
    train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))
    return folder / "out"


def reviews(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    said = [[*chance.sample(FILLER, 4), chance.choice(list(LIKED))] for _ in range(count)]
    for words in said:
        chance.shuffle(words)
    return Split([" ".join(words) for words in said], [next(LIKED[word] for word in words if word in LIKED) for words in said])


def places(count: int, seed: int) -> Split:
    chance, texts, annotations = random.Random(seed), [], []
    for _ in range(count):
        words = [*chance.sample(FILLER, 3), *chance.sample(list(NAMES), 2)]
        chance.shuffle(words)
        text = " ".join(words)
        spans = [[text.index(word), text.index(word) + len(word), NAMES[word]] for word in words if word in NAMES]
        example = TASKS.get("token-classification").examples.read({"text": text, "entities": spans})
        texts.append(example.text)
        annotations.append(example.annotation)
    return Split(texts, annotations)


def pairs(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    said = [[chance.choice(list(WORDS)) for _ in range(chance.randint(1, 3))] for _ in range(count)]
    return Split([" ".join(row) for row in said], [canonical({"target": "".join(WORDS[word] for word in row)}) for row in said])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    return learned(folder, Case("lstm", "text-classification"), TrainData(reviews(160, 1), reviews(40, 2), ("bad", "good")), SMALL)


def test_hiding_the_word_that_decides_takes_its_label_away(classifier: Path) -> None:
    asked = Explained(classifier, "text-classification", "we saw the awful room", {})
    target, other = asked.targets
    assert target.name == "bad"
    assert target.score is not None and target.score > 0.9
    assert asked.left(target) == target.score
    lost = asked.lost(target)
    assert max(lost, key=lost.__getitem__) == "awful"
    assert lost["awful"] > 0.3 > 3 * max(value for word, value in lost.items() if word != "awful")
    assert asked.left(other, "awful") == pytest.approx(1 - asked.left(target, "awful"))


def test_the_slope_of_a_score_leads_back_to_the_word_that_decides(classifier: Path) -> None:
    asked = Explained(classifier, "text-classification", "we saw the awful room", {})
    target, network = asked.targets[0], load_network(classifier).eval()
    ids, mask = (torch.from_numpy(values) for values in pad(asked.encoded.rows, asked.spec.pad_id).values())
    vectors = network.embedding(ids).detach().requires_grad_()  # type: ignore[operator]
    logits = network.from_vectors(vectors, mask)  # type: ignore[operator]
    np.testing.assert_allclose(logits.detach().numpy(), asked.found.outputs["logits"], atol=1e-5)
    (slopes,) = torch.autograd.grad(logits, vectors, torch.from_numpy(slope(asked, target, "logits")).float())
    weights = (slopes * vectors).sum(-1)[0].detach().numpy()  # by token
    found = {word: float(weights[tokens_of(asked, word)].sum()) for word in ("we", "saw", "the", "awful", "room")}
    assert max(found, key=lambda word: abs(found[word])) == "awful"


def slope(asked: Explained, target: Target, name: str) -> np.ndarray:
    """Of the score with regard to an output."""
    values, step = asked.found.outputs[name].astype(np.float64), 1e-4
    found = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        moved = []
        for sign in (1, -1):
            near = values.copy()
            near[place] += sign * step
            moved.append(asked.hook.score(target, Computed(asked.task, asked.request, asked.encoded, {name: near}, asked.spec)))
        found[place] = (moved[0] - moved[1]) / (2 * step)
    return found


def tokens_of(asked: Explained, word: str) -> slice:
    """Where the row differs from that without the word."""
    row, other = asked.encoded.rows[0], asked.task.encode(asked.hidden(word).request, asked.encoder, asked.spec).rows[0]
    begin = next(at for at, token in enumerate(row) if at >= len(other) or other[at] != token)
    return slice(begin, begin + len(row) - len(other))


def test_an_entity_is_found_again_where_its_words_have_gone(tmp_path: Path) -> None:
    folder = learned(tmp_path, Case("lstm", "token-classification"), TrainData(places(160, 1), places(40, 2), ("LOC", "PER")), SMALL)
    asked = Explained(folder, "token-classification", "we saw Ada here London", {"aggregation_strategy": "simple"})
    assert [(target.name, target.places[0][1:]) for target in asked.targets] == [("PER", (7, 10)), ("LOC", (16, 22))]
    london = asked.targets[1]
    assert asked.left(london) == london.score
    assert london.score is not None and london.score > 0.9
    assert asked.left(london, "we", "Ada") > 0.5
    assert asked.left(london, "London") == 0


def test_a_translation_is_less_likely_without_the_word_that_it_translates(tmp_path: Path) -> None:
    folder = learned(tmp_path, Case("transformer", "translation"), TrainData(pairs(96, 1), pairs(24, 2), ()), WRITER)
    asked = Explained(folder, "translation", "fox", {"num_beams": 1, "max_new_tokens": 3})
    (short,) = asked.targets
    (row,) = written(asked.found.outputs)
    assert row.finish == "length"
    assert asked.left(short) == pytest.approx(row.score / len(row.ids), abs=1e-4)  # what it was to the network when it wrote it
    asked = Explained(folder, "translation", "big red fox", {})
    (target,) = asked.targets
    assert (target.kind, target.name) == ("written", "大红狐")
    assert asked.left(target) > -0.2
    assert min(asked.lost(target).values()) > 1


@pytest.mark.parametrize("said", ["床前明月光，", {"messages": [{"role": "user", "content": "It's a fine day"}]}])
def test_an_answer_is_as_likely_read_behind_its_text_as_it_was_when_it_was_written(tmp_path: Path, said: JsonValue) -> None:
    make_model(tmp_path / "muse")
    asked = Explained(tmp_path / "muse", "text-generation", said, {"max_new_tokens": 9})
    (target,) = asked.targets
    (row,) = written(asked.found.outputs)
    assert row.finish == "length"
    assert asked.left(target) == pytest.approx(row.score / len(row.ids), abs=1e-4)
    text = asked.hook.parts(asked.request, asked.encoder, asked.spec)[0].text
    assert abs(asked.left(target, text[:3]) - asked.left(target)) > 0.01
