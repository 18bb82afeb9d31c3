"""Token classification: how tokens become entities, and that places are those of the caller's own text."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from hanlin.engines.gathering import gather
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec, TextSettings
from hanlin.tasks.encoded import Marks
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.entities import entities, split_label

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "love", "##lace", "lives", "in", "lon", "##don", ".", "北", "京"]
TASK = TASKS.get("token-classification")


@pytest.fixture(scope="module")
def encoder():
    made = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(made, ModelSpec(TASK.name, LABELS, 10, 0, text=TextSettings(("html", "control", "width", "space"))))


def scores_of(marks: Marks, tags: dict[int, str], *, sure: float = 0.9):
    """Every token O but those named, each with the same score."""
    found = np.full((len(marks.spans), len(LABELS)), (1 - sure) / (len(LABELS) - 1))
    for token in range(len(marks.spans)):
        found[token, LABELS.index(tags.get(token, "O"))] = sure
    return found


def read(encoder, text, tags, strategy, **options):
    (marks,) = encoder.encode_marked([text], "truncate").marks
    return [item for item in entities(scores_of(marks, tags, **options), marks, LABELS, strategy) if item.label != "O"]


# [CLS] ada love ##lace lives in lon ##don . [SEP]
def test_tokens_are_answered_one_by_one_without_a_strategy(encoder):
    found = read(encoder, "Ada Lovelace lives in London.", {1: "B-PER", 2: "I-PER", 3: "I-PER"}, "none")
    assert [(item.label, item.word, item.index) for item in found] == [("B-PER", "Ada", 1), ("I-PER", "Love", 2), ("I-PER", "lace", 3)]
    assert found[0].to_json() == {"entity": "B-PER", "score": pytest.approx(0.9), "index": 1, "word": "Ada", "start": 0, "end": 3}


def test_simple_joins_what_continues(encoder):
    (name, place) = read(encoder, "Ada Lovelace lives in London.", {1: "B-PER", 2: "I-PER", 3: "I-PER", 6: "B-LOC", 7: "I-LOC"}, "simple")
    assert name.to_json() == {"entity_group": "PER", "score": pytest.approx(0.9), "word": "Ada Lovelace", "start": 0, "end": 12}
    assert (place.label, place.word) == ("LOC", "London")


def test_simple_breaks_a_word_whose_pieces_differ_and_word_strategies_do_not(encoder):
    tags = {6: "B-LOC", 7: "O"}
    assert [item.word for item in read(encoder, "Ada Lovelace lives in London.", tags, "simple")] == ["Lon"]
    assert [item.word for item in read(encoder, "Ada Lovelace lives in London.", tags, "first")] == ["London"]


def test_average_and_max_weigh_the_pieces_of_a_word(encoder):
    text = "Ada Lovelace lives in London."
    (marks,) = encoder.encode_marked([text], "refuse").marks
    scores = scores_of(marks, {})
    scores[6], scores[7] = 0, 0
    scores[6, [0, 3]], scores[7, [0, 3]] = (0.6, 0.4), (0.1, 0.9)
    by = {name: [i for i in entities(scores, marks, LABELS, name) if i.label != "O"] for name in ("first", "average", "max")}
    assert by["first"] == []
    assert (by["average"][0].word, by["average"][0].score) == ("London", pytest.approx(0.65))
    assert by["max"][0].score == pytest.approx(0.9)


def test_b_begins_anew_and_e_and_s_end(encoder):
    text = "ada ada ada ada"
    assert [item.word for item in read(encoder, text, {1: "B-LOC", 2: "B-LOC"}, "simple")] == ["ada", "ada"]
    assert [item.word for item in read(encoder, text, {1: "B-LOC", 2: "E-LOC", 3: "I-LOC"}, "simple")] == ["ada ada", "ada"]
    assert [item.word for item in read(encoder, text, {1: "S-LOC", 2: "I-LOC"}, "simple")] == ["ada", "ada"]
    assert split_label("B-") == ("I", "B-")
    assert split_label("X-ray") == ("I", "X-ray")


def test_places_are_those_of_the_text_as_it_was_sent(encoder):
    text = "<b>Ada</b>\u200b&nbsp;ｌｉｖｅｓ in <i>北京</i>"
    found = read(encoder, text, {1: "B-PER", 4: "B-LOC", 5: "I-LOC"}, "simple")
    assert [text[item.start : item.end] for item in found] == ["Ada", "北京"]
    assert [item.word for item in found] == ["Ada", "北京"]


def test_a_text_that_is_cut_keeps_its_places_and_closing_token(encoder):
    encoded = encoder.encode_marked(["ada " * 30], "truncate")
    rows, (marks,), cut = encoded.rows, encoded.marks, encoded.cut
    assert cut == (0,)
    assert (len(rows[0]), rows[0][-1]) == (10, PIECES.index("[SEP]"))
    assert len(marks.spans) == len(marks.words) == 10
    assert marks.spans[0] is marks.spans[-1] is None
    assert marks.spans[8] == (28, 31)
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_marked(["ok", "ada " * 30], "refuse")
    assert (caught.value.code, caught.value.params["index"]) == ("text_too_long", 1)


def test_a_text_in_windows_is_labelled_as_a_whole(encoder):
    spec = ModelSpec(TASK.name, LABELS, 10, 0)
    text = "ada lives in london . " * 6
    options = {"long_text": "window", "ignore_labels": [], "aggregation_strategy": "none"}
    request = TASK.check(["ada", text], options, limits=Limits())
    encoded = TASK.encode(request, encoder, spec)
    windows = encoded.windows[1]
    assert len(windows) > 3 and len(encoded.rows) == 1 + len(windows) and len(encoded.marks) == 2
    found = [({"token_logits": logits_of(row, width=12)[None]}, 0) for row in encoded.rows]
    short, long = TASK.decode(gather(TASK, encoded, found), spec, request.options, encoded)
    assert [item.word for item in short] == ["ada"]
    assert [item.word for item in long] == ["ada", "lives", "in", "lon", "don", "."] * 6
    assert [item.label for item in long] == [LABELS[place % len(LABELS)] for place in (4, 7, 8, 9, 10, 11)] * 6, "each from its own token"
    assert long[-1].end == len(text) - 1


def logits_of(row, *, width):
    """A label that hangs on the token alone; padded, as a batch of longer rows would have it."""
    found = np.zeros((width, len(LABELS)), dtype=np.float32)
    for place, token in enumerate(row):
        found[place, token % len(LABELS)] = 5.0
    return found


def test_a_text_beyond_all_windows_is_refused(encoder):
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_marked(["ok", "ada " * 1000], "window")
    assert (caught.value.code, caught.value.params["index"]) == ("text_too_long", 1)
    with pytest.raises(InvalidInput) as caught:
        encoder.encode_marked(["ada" + " " * 70_000], "window")
    assert caught.value.params["unit"] == "characters"


@pytest.mark.parametrize("text", ["ada " * 2000, "ada" + " " * 5000 + "lives"])
def test_long_texts_are_judged_whole(encoder, text):
    if len(text.split()) > 10:
        with pytest.raises(InvalidInput, match="at least"):
            encoder.encode_marked([text], "refuse")
    else:
        assert len(encoder.encode_marked([text], "refuse").rows[0]) == 4


def test_labels_can_be_kept_or_left_out(encoder):
    spec = ModelSpec(TASK.name, LABELS, 10, 0)

    def words(**parameters):
        request = TASK.check("ada lives", parameters, limits=Limits())
        encoded = TASK.encode(request, encoder, spec)
        logits = np.log(scores_of(encoded.marks[0], {1: "B-PER"}))[None].astype(np.float32)
        return [item.word for item in TASK.decode({"token_logits": logits}, spec, request.options, encoded)[0]]

    assert words() == ["ada"]
    assert words(ignore_labels=[]) == ["ada", "lives"]
    assert words(ignore_labels=["B-PER"]) == ["lives"]
    with pytest.raises(InvalidInput, match="ignore_labels"):
        words(ignore_labels="O")
