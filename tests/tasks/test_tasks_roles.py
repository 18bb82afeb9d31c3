"""Role labelling: what rows mean, which words are proposed, and figures worked by hand as CoNLL-2005's scorer counts."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, BadExample, Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.frames import Frame, read_frames
from hanlin.tasks.predicates import PredicateFinder, learn_finder
from hanlin.tasks.role_metrics import role_metrics
from hanlin.tasks.tags import Named

TASK = TASKS.get("semantic-role-labelling")
TOKENS = ["He", "'s", "sold", "it", "."]
FRAMES = [
    {
        "predicate": 2,
        "sense": "sell.01",
        "arguments": [{"start": 0, "end": 1, "role": "ARG0", "head": 0}, {"start": 3, "end": 4, "role": "ARG1"}],
    }
]


def test_places_are_characters_of_the_text_as_it_is_written() -> None:
    example = TASK.examples.read({"tokens": TOKENS, "frames": FRAMES, "text": "He's sold it."})
    assert (example.text, example.labels) == ("He's sold it.", ("ARG0", "ARG1"))
    assert read_frames(example.annotation) == [Frame((5, 9), [(0, 2, "ARG0"), (10, 12, "ARG1")], "sell.01")]
    assert TASK.examples.read({"tokens": json.dumps(TOKENS), "frames": json.dumps(FRAMES)}).text == "He 's sold it ."


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"frames": [{"predicate": 9, "arguments": []}]}, "frames_range"),
        ({"frames": [{"predicate": 1, "arguments": [{"start": 2, "end": 9, "role": "A"}]}]}, "frames_range"),
        (
            {"frames": [{"predicate": 1, "arguments": [{"start": 2, "end": 4, "role": "A"}, {"start": 3, "end": 5, "role": "B"}]}]},
            "frames_overlap",
        ),
        ({"frames": [{"predicate": 1, "arguments": []}, {"predicate": 1, "arguments": []}]}, "frames_twice"),
        ({"frames": [{"predicate": 1}]}, "frames_type"),
        ({"frames": FRAMES, "text": "He sold it."}, "tokens_elsewhere"),
        ({"frames": {}}, "frames_type"),
        ({"frames": [{"predicate": 1, "arguments": [], "sense": "s" * 81}]}, "frames_sense"),
        ({"frames": [{"predicate": 1, "arguments": [{"start": True, "end": 2, "role": "A"}]}]}, "frames_range"),
        ({"frames": [{"predicate": 1, "arguments": [{"start": 0, "end": True, "role": "A"}]}]}, "frames_range"),
        ({"frames": [{"predicate": 1, "arguments": [{"start": 0, "end": 1, "role": "V"}]}]}, "frames_role"),
        ({"frames": [{"predicate": 1, "arguments": [{"start": 0, "end": 1, "role": "O"}]}]}, "frames_role"),
    ],
)
def test_bad_rows_are_told_by_what_is_wrong(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(BadExample) as caught:
        TASK.examples.read({"tokens": TOKENS, **fields})
    assert caught.value.problem == problem


def test_a_predicate_among_its_own_arguments_is_none_of_them() -> None:
    """Bug: `V`, as PropBank's tools write it, made two labels of one name, and the training of such rows failed."""
    said = [{**FRAMES[0], "arguments": [*FRAMES[0]["arguments"], {"start": 2, "end": 3, "role": "V"}]}]  # type: ignore[misc]
    told = [TASK.examples.read({"tokens": TOKENS, "frames": frames}) for frames in (FRAMES, said)]
    assert told[0] == told[1]


def test_arguments_count_with_their_predicate_role_and_all_pieces() -> None:
    gold = [[Frame((3, 7), [(0, 2, "ARG0"), (8, 12, "ARG1"), (20, 24, "C-ARG1")]), Frame((30, 34), [(26, 29, "ARG0")])]]
    found = [[Frame((3, 7), [(0, 2, "ARG0"), (8, 12, "ARG1")]), Frame((40, 44), [(26, 29, "ARG0")])]]
    metrics = role_metrics(found, gold)  # right: ARG0 of the first; the split ARG1 is not whole; the others hang on another predicate
    assert (metrics.get("precision"), metrics.get("recall")) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert metrics.get("predicate_f1") == pytest.approx(0.5)
    assert metrics.to_json()["predicate_f1"] == pytest.approx(0.5)
    assert {item["label"]: item["support"] for item in metrics.to_json()["per_class"]} == {"ARG0": 2, "ARG1": 1}  # type: ignore[index,union-attr]
    assert role_metrics(gold, gold).get("f1") == 1.0


@pytest.mark.parametrize(
    ("found", "gold"),
    [
        ([(0, 2, "C-ARG0")], [(0, 2, "ARG0")]),  # a further piece without a first one
        ([(0, 2, "C-ARG1"), (8, 9, "C-ARG1")], [(0, 2, "ARG1"), (8, 9, "C-ARG1")]),
        ([(0, 2, "ARG0"), (8, 12, "C-V")], [(0, 2, "ARG0")]),  # of a predicate
        ([(0, 2, "ARG0")], [(0, 2, "ARG0"), (8, 12, "C-V")]),
        ([(0, 2, "C-R-ARG0")], [(0, 2, "R-ARG0")]),
    ],
)
def test_other_names_of_the_same_argument_are_right(found: list[Named], gold: list[Named]) -> None:
    assert role_metrics([[Frame((3, 7), found)]], [[Frame((3, 7), gold)]]).get("f1") == 1.0


def test_a_further_piece_belongs_to_the_nearest_first_one() -> None:
    pieces = [(0, 2, "ARG0"), (8, 9, "ARG0"), (10, 12, "C-ARG0")]
    metrics = role_metrics([[Frame((3, 7), pieces[:1])]], [[Frame((3, 7), pieces)]])
    assert (metrics.get("precision"), metrics.get("recall")) == (1.0, 0.5)


def test_what_hangs_on_no_predicate_is_wrong_and_passed_over_by_the_scorer_of_conll_2005() -> None:
    gold = [[Frame((3, 7), [(0, 2, "ARG0")])]]
    metrics = role_metrics([[*gold[0], Frame((8, 12), [(0, 2, "ARG0")])]], gold)
    assert [metrics.get(name) for name in ("precision", "recall", "predicate_f1")] == [0.5, 1.0, pytest.approx(2 / 3)]
    assert [metrics.get(f"conll05_{name}") for name in ("precision", "recall", "f1")] == [1.0, 1.0, 1.0]
    assert metrics.to_json()["conll05_f1"] == 1.0


def test_senses_and_labels_count_one_by_one_where_every_predicate_has_a_sense() -> None:
    """As CoNLL-2009's scorer: a sense by its number, a piece by each of its labels, those of a word that is no predicate wrong."""
    gold = [[Frame((3, 7), [(0, 2, "ARG0|ARG1"), (8, 12, "C-ARG1")], "write.01"), Frame((30, 34), [], "read.02")]]
    found = [[Frame((3, 7), [(0, 2, "ARG1"), (8, 12, "C-ARG1")], "right.1"), Frame((30, 34), [], "read.01"), Frame((40, 44), [], "be.01")]]
    metrics = role_metrics(found, gold)  # right: ARG1, C-ARG1 and the first sense, of 5 found and 5 true
    assert [metrics.get(f"conll09_{name}") for name in ("precision", "recall", "f1")] == [0.6, 0.6, 0.6]
    assert metrics.to_json()["conll09_f1"] == 0.6
    del gold[0][1]
    gold.append([Frame((0, 4), [])])
    assert "conll09_f1" not in role_metrics([*found, []], gold).to_json()


def test_predicates_do_not_count_as_arguments() -> None:
    only = [[Frame((3, 7), [])]]
    assert role_metrics(only, only).get("f1") == 0.0
    assert role_metrics(only, only).get("predicate_f1") == 1.0


def test_an_unknown_role_is_foreign() -> None:
    annotation = TASK.examples.read({"tokens": TOKENS, "frames": FRAMES}).annotation
    with pytest.raises(InvalidInput) as caught:
        TASK.quality([[[]]], [annotation], ("O", "B-ARG0", "I-ARG0"))
    assert caught.value.code == "foreign_label"


def test_known_words_and_unseen_ones_with_their_endings_are_proposed() -> None:
    texts = ["she painted it", "he jumped up", "we walked on", "a wicked red bed"]
    finder = learn_finder(texts, [[(4, 11)], [(3, 9)], [(3, 9)], []])
    assert finder.find("She Painted.") == [(4, 11)]
    assert PredicateFinder(frozenset({"买", "购买"})).find("他购买了书") == [(1, 3), (2, 3)]
    assert PredicateFinder(frozenset({"go"}), frozenset({"thing"}), frozenset({"ing"})).find("a thing singing goes") == [(8, 15)]
    again = PredicateFinder.from_json(json.loads(json.dumps(finder.to_json())))
    assert again == finder


def test_a_predicate_that_grows_in_lower_case_makes_no_broken_finder() -> None:
    """Bug: of forty letters İ lower case makes eighty, and the version that was trained could not be loaded."""
    finder = learn_finder(["İ" * 40], [[(0, 40)]])
    assert PredicateFinder.from_json(json.loads(json.dumps(finder.to_json()))) == finder


@pytest.mark.parametrize(
    "value", [[], {"words": []}, {"words": [1], "others": [], "endings": []}, {"words": "a", "others": [], "endings": []}]
)
def test_a_broken_finder_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        PredicateFinder.from_json(value)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_model_spec"


@pytest.mark.parametrize(
    ("words", "texts", "code"), [(60, 34, ""), (60, 35, "too_many_predicates_in_call"), (65, 1, "too_many_predicates")]
)
def test_proposals_have_limits_of_their_own(words: int, texts: int, code: str) -> None:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "wrote": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec = ModelSpec(TASK.name, ("O", "B-V", "B-ARG0"), 512, 0, finder=PredicateFinder(frozenset({"wrote"})))
    request = TASK.check(["wrote " * words] * texts, {}, limits=Limits(max_items=256))
    encoder = TextEncoder(tokenizer, spec)
    if not code:
        assert len(TASK.encode(request, encoder, spec, max_windows=256).rows) == words * texts
        return
    with pytest.raises(InvalidInput) as refused:
        TASK.encode(request, encoder, spec, max_windows=256)
    assert refused.value.code == code
