"""How the playground reads answers: entities become pieces of the very text, whatever the worker says about places."""

import json

import pytest

from hanlin.console.answers import question, read_answer, read_frames, read_labels, read_pieces, read_ranking, read_vector, shown, strokes
from hanlin.errors import InvalidInput

TEXT = "Ada met Bob <here>."


def entity(start: int, end: int) -> dict[str, object]:
    return {"entity_group": "PER", "score": 0.9, "word": TEXT[start:end], "start": start, "end": end}


@pytest.mark.parametrize(
    "found", [[], [entity(0, 3), entity(8, 11)], [entity(8, 11), entity(0, 3)], [entity(0, 3), entity(1, 5)], [entity(0, 99)]]
)
def test_pieces_are_always_the_whole_text(found) -> None:
    pieces = read_pieces(json.dumps(found).encode(), TEXT)
    assert "".join(piece.text for piece in pieces) == TEXT


def test_pieces_have_labels_where_entities_are() -> None:
    pieces = read_pieces(json.dumps([entity(0, 3), entity(8, 11)]).encode(), TEXT)
    assert [(piece.text, piece.label) for piece in pieces] == [("Ada", "PER"), (" met ", ""), ("Bob", "PER"), (" <here>.", "")]


def test_a_ranking_takes_the_lines_of_the_text() -> None:
    inputs, parameters = question("reranking", "one\n\n two \n", "which?")
    assert (inputs, parameters) == ({"query": "which?", "texts": ["one", " two "]}, {})
    assert read_ranking(b'[{"index":1,"score":0.9},{"index":0,"score":0.1}]', inputs) == ((" two ", 0.9), ("one", 0.1))
    assert question("text-classification", "x", "") == ("x", {})
    assert question("sentiment", "x", "", "waiter") == ({"text": "x", "text_pair": "waiter"}, {})


def test_an_answer_is_marked_in_its_context() -> None:
    assert question("question-answering", TEXT, "Who?") == ({"question": "Who?", "context": TEXT}, {})
    found = {"answer": "Bob", "score": 0.9, "start": 8, "end": 11, "no_answer_score": 0.1}
    pieces, scores = read_answer(json.dumps(found).encode(), TEXT)
    assert [piece.text for piece in pieces if piece.label] == ["Bob"]
    assert "".join(piece.text for piece in pieces) == TEXT
    assert scores == (("Bob", 0.9), ("", 0.1))
    none = {"answer": "", "score": 0.8, "start": 0, "end": 0, "no_answer_score": 0.8}
    assert [scores for _, scores in [read_answer(json.dumps(none).encode(), TEXT)]] == [(("", 0.8),)]


@pytest.mark.parametrize(
    ("task", "answer", "written", "scores"),
    [
        ("translation", {"translation_text": "狐", "finish_reason": "stop"}, "狐", ()),
        ("summarization", {"summary_text": "short", "finish_reason": "length"}, "short", ()),
        ("text-generation", {"generated_text": "霜", "finish_reason": "stop", "num_tokens": 2}, "霜", ()),
        ("text-to-sql", {"sql": "SELECT 1 < 2", "score": 0.5}, "SELECT 1 < 2", (("sql", 0.5),)),
    ],
)
def test_what_was_written_is_shown(task, answer, written, scores) -> None:
    assert shown(task, json.dumps(answer).encode(), TEXT, TEXT) == {"written": written, "scores": scores}


def test_words_for_masks_are_scores() -> None:
    cat, dog = ({"score": score, "token": 7, "token_str": word, "sequence": "…"} for word, score in ((" cat", 0.9), ("dog", 0.1)))
    assert shown("fill-mask", json.dumps([cat, dog]).encode(), TEXT, TEXT) == {"scores": (("cat", 0.9), ("dog", 0.1))}
    assert shown("fill-mask", json.dumps([[cat], [dog]]).encode(), TEXT, TEXT) == {"scores": (("1: cat", 0.9), ("2: dog", 0.1))}


def test_a_meaning_is_marked_and_listed() -> None:
    answer = {
        "intent": "greet", "score": 0.9, "slots": {"who": "Bob", "loud": True}, "implied": {"loud": 0.8},
        "spans": [{"slot": "who", "word": "Bob", "start": 8, "end": 11, "score": 0.7}],
    }  # fmt: skip
    found = shown("semantic-parsing", json.dumps(answer).encode(), TEXT, TEXT)
    assert [(piece.text, piece.label) for piece in found["pieces"] if piece.label] == [("Bob", "who")]
    assert (found["scores"], found["facts"]) == ((("greet", 0.9),), (("who", "Bob"), ("loud", "True")))


def test_labels_may_bring_more_than_scores() -> None:
    body = b'[{"label":"a","score":0.9,"passes":true}]'
    assert shown("text-classification", body, TEXT, TEXT) == {"scores": (("a", 0.9),)}


def test_the_place_on_a_scale_is_said_beside_the_labels() -> None:
    labels = [{"label": "positive", "score": 0.75, "value": 0.5}, {"label": "negative", "score": 0.25, "value": 0.5}]
    found = shown("sentiment", json.dumps(labels).encode(), TEXT, TEXT)
    assert found == {"scores": (("positive", 0.75), ("negative", 0.25)), "place": 0.5}


def test_each_predicate_is_the_whole_text_with_its_roles() -> None:
    def frame(start: int, end: int, *arguments: tuple[str, int, int]) -> dict[str, object]:
        told = [{"role": role, "word": TEXT[one:other], "start": one, "end": other, "score": 0.8} for role, one, other in arguments]
        return {"predicate": TEXT[start:end], "score": 0.9, "start": start, "end": end, "arguments": told}

    frames = [frame(4, 7, ("A1", 8, 11), ("A0", 0, 3)), frame(13, 17)]
    found = shown("semantic-role-labelling", json.dumps(frames).encode(), TEXT, TEXT)["frames"]
    assert ["".join(piece.text for piece in pieces) for pieces in found] == [TEXT, TEXT]
    marked = [[(piece.text, piece.label, piece.score) for piece in pieces if piece.label] for pieces in found]
    assert marked == [[("Ada", "A0", 0.8), ("met", "V", 0.9), ("Bob", "A1", 0.8)], [("here", "V", 0.9)]]
    assert shown("semantic-role-labelling", b"[]", TEXT, TEXT) == {"frames": ()}


def test_strokes_fill_the_height_and_stand_on_the_middle() -> None:
    assert strokes([1.0, -0.5, 0.0]) == [(0.0, 50.0), (50.0, 25.0), (50.0, 0.0)]
    assert strokes([]) == []
    assert strokes([0.0]) == [(50.0, 0.0)]


def test_an_answer_of_another_shape_is_an_error_in_words() -> None:
    assert read_vector(b"[0.5,1]") == (0.5, 1.0)
    assert read_labels(b'[{"label":"a","score":0.5}]') == {"scores": (("a", 0.5),)}
    for reader in (
        read_labels,
        read_vector,
        lambda body: read_pieces(body, "x"),
        lambda body: read_frames(body, "x"),
        lambda body: read_answer(body, "x"),
        lambda body: shown("translation", body, "x", "x"),
    ):
        with pytest.raises(InvalidInput, match="cannot show"):
            reader(b'{"odd": 1}')
