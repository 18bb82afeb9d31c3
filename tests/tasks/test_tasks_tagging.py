"""Tagged examples: spans of characters however a file tells of them, chains of labels, and figures that are seqeval's."""

from __future__ import annotations

import itertools
import json
import random
import unicodedata

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score

from hanlin.engines.gathering import gather
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, BadExample, Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.label_chain import FORBIDDEN, LabelChain
from hanlin.tasks.tagged_texts import read_tagging
from hanlin.tasks.tags import expand, forbidden, names_of, paint

TASK = TASKS.get("token-classification")
LABELS = expand(["LOC", "PER"], "bio")


def spans_of(**fields: object) -> tuple[str, list[tuple[str, str]]]:
    """The text, and each entity's name and own characters."""
    example = TASK.examples.read(fields)
    return example.text, [(name, example.text[start:end]) for start, end, name in read_tagging(example.annotation).entities]


@pytest.mark.parametrize(
    "tags",
    [
        ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"],  # BIO
        ["I-PER", "I-PER", "O", "I-LOC", "B-LOC"],  # IOB1: B only where a run of the same name ends before it
        ["B-PER", "E-PER", "O", "S-LOC", "S-LOC"],  # BIOES
        ["B-PER", "L-PER", "O", "U-LOC", "U-LOC"],  # BILOU
    ],
)
def test_all_schemes_mean_the_same(tags: list[str]) -> None:
    found = spans_of(tokens=["Ada", "Lovelace", "left", "Paris", "London"], tags=tags)
    assert found == ("Ada Lovelace left Paris London", [("PER", "Ada Lovelace"), ("LOC", "Paris"), ("LOC", "London")])


def test_plain_tags_are_runs_beside_o_and_words_without_it() -> None:
    assert spans_of(tokens=["New", "York", "is", "big"], tags=["LOC", "LOC", "O", "O"])[1] == [("LOC", "New York")]
    assert spans_of(tokens=["old", "cold", "tea"], tags=["JJ", "JJ", "NN"])[1] == [("JJ", "old"), ("JJ", "cold"), ("NN", "tea")]


def test_tokens_are_joined_as_their_script_does() -> None:
    text, found = spans_of(tokens=["我", "在", "New", "York", "，", "北京", "😀"], tags=["O", "O", "B-L", "I-L", "O", "S-L", "O"])
    assert text == "我在New York，北京😀"
    assert found == [("L", "New York"), ("L", "北京")]
    assert "tokens" not in json.loads(TASK.examples.read({"tokens": ["我", "在"], "tags": ["O", "O"]}).annotation)
    assert json.loads(TASK.examples.read({"tokens": '["a", "b"]', "tags": "O O"}).annotation)["tokens"] == [[0, 1], [2, 3]]


def test_segmented_lines_are_words() -> None:
    assert spans_of(segmented="今天 天气  很 好") == ("今天天气很好", [("word", part) for part in ("今天", "天气", "很", "好")])


@pytest.mark.parametrize("text", ["住在北京。", "a😀 北京 b", "一\r\n北京\r\n二", unicodedata.normalize("NFD", "Zoé à 北京")])
def test_places_are_characters_of_the_text_as_it_came(text: str) -> None:
    start = text.index("北京")
    for entities in (
        [{"start": start, "end": start + 2, "label": "LOC"}],
        [[start, start + 2, "LOC"]],
        json.dumps([[start, start + 2, "LOC"]]),
    ):
        assert spans_of(text=text, entities=entities) == (text, [("LOC", "北京")])


@pytest.mark.parametrize("label", ["E-mail", "S-Bahn", "U-boat", "L-plate", "B-", "I", "OTHER", "o", "b-LOC"])
def test_names_that_only_look_like_tags_are_names_of_spans(label: str) -> None:
    assert spans_of(text="abc", entities=[[0, 2, label]])[1] == [(label, "ab")]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "abcdef", "entities": [[0, 3, "A"], [2, 5, "B"]]}, "entities_overlap"),
        ({"text": "abcdef", "entities": [[0, 5, "A"], [1, 2, "B"]]}, "entities_overlap"),
        ({"text": "abcdef", "entities": [[0, 3, "A"], [0, 3, "B"]]}, "entities_overlap"),
        ({"text": "abc", "entities": [[1, 4, "A"]]}, "entities_range"),
        ({"text": "abc", "entities": [[1, 1, "A"]]}, "entities_range"),
        ({"text": "abc", "entities": [[True, 2, "A"]]}, "entities_type"),
        ({"text": "abc", "entities": {"start": 0}}, "entities_type"),
        ({"text": "abc", "entities": [{"start": 0, "end": 1}]}, "label_missing"),
        ({"text": "abc", "entities": [[0, 1, "O"]]}, "entities_tag"),
        ({"text": "abc", "entities": [{"start": 0, "end": 1, "label": " B-LOC "}]}, "entities_tag"),
        ({"text": "abc", "entities": [[0, 1, "LOC"], [1, 2, "I-LOC"]]}, "entities_tag"),
        ({"tokens": ["a"], "tags": ["O", "O"]}, "tags_number"),
        ({"tokens": ["a", " "], "tags": ["O", "O"]}, "tokens_empty"),
        ({"tokens": ["a"], "tags": [3]}, "tags_type"),
        ({"tokens": "[1", "tags": ["O"]}, "json_field"),
        ({}, "text_missing"),
    ],
)
def test_bad_rows_are_told_by_what_is_wrong(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(BadExample) as caught:
        TASK.examples.read(fields)
    assert caught.value.problem == problem


def test_figures_are_those_of_seqeval() -> None:
    chance = random.Random(4)
    labels = expand(["LOC", "ORG", "PER"], "bioes")
    gold, found = ([[chance.choice(labels) for _ in range(chance.randrange(1, 9))] for _ in range(60)] for _ in range(2))
    found = [(row * 9)[: len(true)] for row, true in zip(found, gold, strict=True)]
    found = [
        [one if chance.random() < 0.4 else other for one, other in zip(row, true, strict=True)]
        for row, true in zip(found, gold, strict=True)
    ]
    annotations, answers = [], []
    for row, true in zip(found, gold, strict=True):
        tokens = [f"w{place}" for place in range(len(true))]
        example = TASK.examples.read({"tokens": tokens, "tags": true})
        places = read_tagging(example.annotation).tokens
        assert places is not None
        annotations.append(example.annotation)
        answers.append([[{"entity": tag, "start": start, "end": end} for tag, (start, end) in zip(row, places, strict=True)]])
    metrics = TASK.quality(answers, annotations, labels)
    assert metrics.get("f1") == pytest.approx(f1_score(gold, found))
    assert metrics.get("precision") == pytest.approx(precision_score(gold, found))
    assert metrics.get("recall") == pytest.approx(recall_score(gold, found))
    report = classification_report(gold, found, output_dict=True)
    for item in metrics.to_json()["per_class"]:
        wanted = report[item["label"]]
        assert (item["f1"], item["support"]) == (pytest.approx(wanted["f1-score"]), wanted["support"])


def test_accuracy_of_parts_of_speech_is_the_share_of_right_words() -> None:
    gold = [["DT", "NN", "VB"], ["NN", "VB"]]
    found = [["DT", "VB", "VB"], ["NN", "VB"]]
    annotations = [TASK.examples.read({"tokens": ["a"] * len(row), "tags": row}).annotation for row in gold]
    answers = [[[{"entity": f"B-{tag}", "start": 2 * at, "end": 2 * at + 1} for at, tag in enumerate(row)]] for row in found]
    metrics = TASK.quality(answers, annotations, expand(["DT", "NN", "VB"], "bio"))
    assert metrics.get("accuracy") == accuracy_score(gold, found) == 0.8


def test_without_spaces_a_span_must_have_both_its_edges() -> None:
    annotation = TASK.examples.read({"segmented": "北京 很 大"}).annotation
    tags = ["B-word", "B-word", "B-word", "B-word"]  # 北|京|很|大
    metrics = TASK.quality(
        [[[{"entity": tag, "start": at, "end": at + 1} for at, tag in enumerate(tags)]]], [annotation], expand(["word"], "bio")
    )
    assert (metrics.get("precision"), metrics.get("recall")) == (pytest.approx(2 / 4), pytest.approx(2 / 3))


def test_a_name_that_the_model_lacks_is_foreign() -> None:
    annotation = TASK.examples.read({"text": "ab", "entities": [[0, 1, "X"]]}).annotation
    with pytest.raises(InvalidInput) as caught:
        TASK.quality([[[]]], [annotation], LABELS)
    assert caught.value.code == "foreign_label"


def test_labels_have_the_tags_of_their_scheme() -> None:
    assert expand(["A"], "bioes") == ("O", "B-A", "I-A", "E-A", "S-A")
    assert names_of(expand(["A", "B"], "bioes")) == ["A", "B"]
    tokens = [None, (0, 1), (1, 1), (1, 3), (4, 6), None]
    assert paint(tokens, [(0, 3, "A"), (5, 6, "B")], "bioes") == ["O", "B-A", "I-A", "E-A", "S-B", "O"]
    assert paint(tokens, [(0, 6, "A")], "bio") == ["O", "B-A", "I-A", "I-A", "I-A", "O"]


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_what_is_barred_is_what_no_painted_row_has(scheme: str) -> None:
    labels = expand(["A", "B"], scheme)
    start, between, end = forbidden(labels)
    seen = set()
    tokens = [(place, place + 1) for place in range(5)]
    for cuts in itertools.product((0, 1), repeat=4):
        edges = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), 5]
        for names in itertools.product(("A", "B", None), repeat=len(edges) - 1):
            runs = [(a, b, name) for (a, b), name in zip(itertools.pairwise(edges), names, strict=True) if name]
            tags = paint(tokens, runs, scheme)
            seen |= {("", tags[0]), (tags[-1], ""), *itertools.pairwise(tags)}
    for place, label in enumerate(labels):
        assert start[place] == (("", label) not in seen)
        assert end[place] == ((label, "") not in seen)
        for other, following in enumerate(labels):
            assert between[place, other] == ((label, following) not in seen)


def chain_of(size: int, seed: int) -> tuple[LabelChain, np.ndarray]:
    chance = np.random.default_rng(seed)
    between = chance.normal(size=(size, size)) * 2
    between[0, 1] = FORBIDDEN
    return LabelChain(chance.normal(size=size), between, chance.normal(size=size)), chance.normal(size=(4, size)) * 3


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_is_the_sum_over_all_rows(seed: int) -> None:
    chain, scores = chain_of(3, seed)
    sums = {}
    for row in itertools.product(range(3), repeat=4):
        steps = sum(chain.between[one, other] for one, other in itertools.pairwise(row))
        sums[row] = chain.start[row[0]] + chain.end[row[-1]] + steps + sum(scores[at, label] for at, label in enumerate(row))
    total = np.logaddexp.reduce(list(sums.values()))
    wanted = np.zeros((4, 3))
    for row, value in sums.items():
        for at, label in enumerate(row):
            wanted[at, label] += np.exp(value - total)
    path, marginals = chain.read(scores)
    assert tuple(path) == max(sums, key=sums.__getitem__)
    np.testing.assert_allclose(marginals, wanted, atol=1e-9)
    again = LabelChain.from_json(json.loads(json.dumps(chain.to_json())), num_labels=3)
    np.testing.assert_allclose(again.between, chain.between, atol=1e-5)


def test_scores_far_apart_stay_numbers() -> None:
    chain, scores = chain_of(3, 0)
    path, marginals = chain.read(scores * 1e4)
    assert len(path) == 4
    assert np.isfinite(marginals).all()


@pytest.mark.parametrize(
    "value",
    [[], {"start": [0]}, {"start": [0, 0], "between": [[0, 0]], "end": [0, 0]}, {"start": ["a", 0], "between": [[0, 0]] * 2, "end": [0, 0]},
     {"start": [1e9, 0], "between": [[0, 0]] * 2, "end": [0, 0]}],
)  # fmt: skip
def test_a_broken_chain_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        ModelSpec.from_json({"format": 1, "task": TASK.name, "labels": ["O", "B-A"], "max_length": 9, "pad_id": 0, "chain": value})
    assert caught.value.code == "invalid_model_spec"


def test_the_chain_decides_what_is_answered(tmp_path) -> None:
    from hanlin.models.tokenizers import train_tokenizer

    labels = expand(["A"], "bio")
    barred = [mask * FORBIDDEN for mask in forbidden(labels)]
    encoder = TextEncoder(train_tokenizer(["abc"], "character", 10, min_count=1), ModelSpec(TASK.name, labels, 9, 0))
    logits = np.array([[[1.0, 0.9, 0.0], [0.0, 0.0, 3.0], [2.0, 0.0, 0.0]]], dtype=np.float32)  # alone: O, I-A, O
    answers = {}
    for chain in (None, LabelChain(*barred)):
        spec = ModelSpec(TASK.name, labels, 9, 0, chain=chain)
        spec.save(tmp_path)
        spec = ModelSpec.load(tmp_path)
        request = TASK.check(["abc"], {"aggregation_strategy": "simple"}, limits=Limits())
        encoded = TASK.encode(request, encoder, spec)
        rows = gather(TASK, encoded, [({"token_logits": logits}, 0)])
        answers[chain is None] = TASK.answer(TASK.decode(rows, spec, request.options, encoded), request)[0]
    assert [item["word"] for item in answers[True]] == ["b"]
    assert [(item["word"], item["entity_group"]) for item in answers[False]] == [("ab", "A")]
    assert 0.5 < answers[False][0]["score"] < 1
