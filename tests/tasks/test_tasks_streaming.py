"""Answers piece by piece: joined they are the whole answer, no piece has half a character, words that end them are never told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers

from hanlin.datasets import bundled
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Constraint, Generated, GenerationSettings, Seen
from hanlin.models.tokenizers import train_tokenizer
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.chat_form import CHATML
from hanlin.tasks.continuations import Continued
from hanlin.tasks.continued_stream import ContinuedStream
from hanlin.tasks.detokenizing import Detokenizer, text_after
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.sequences import to_arrays
from hanlin.tasks.stop_words import first_stop, size_held_back

PACKAGES = Path(__file__).parents[2] / "build" / "packages"
TASK = TASKS.get("text-generation")
WORDS = [
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "It's a fine day, isn't it? 🙂🙃👩‍👩‍👧 Yes!",
    "naïve café — “quoted”  two  spaces\n\nlines",
]
MANY = settings(max_examples=100)


def byte_level() -> Tokenizer:
    """Of so few merges that most characters lie in several tokens."""
    made = train_tokenizer(WORDS, "byte-bpe", 300)
    made.add_special_tokens(["<|im_end|>"])
    return made


def word_pieces() -> Tokenizer:
    return Tokenizer.from_file(str(bundled.minilm_embedder(PACKAGES) / "tokenizer.json"))


def byte_fallback() -> Tokenizer:
    """As SentencePiece's of Llama 2: what is no word of its vocabulary is bytes."""
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefinst.,", "明"]
    made = Tokenizer(models.BPE(vocab={word: place for place, word in enumerate(words)}, merges=[], unk_token="<unk>", byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.add_special_tokens(["<s>"])
    return made


TOKENIZERS = {"byte-level": byte_level(), "word-piece": word_pieces(), "byte-fallback": byte_fallback()}
SPECS = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(max_new_tokens=8))
SPELLS = {name: TextEncoder(tokenizer, SPECS).spell for name, tokenizer in TOKENIZERS.items()}


def spell_of(name: str) -> Callable[[Sequence[int]], str]:
    return SPELLS[name]


def ids_of(name: str) -> st.SearchStrategy[list[int]]:
    """Tokens of real texts, in their order and out of it."""
    tokenizer = TOKENIZERS[name]
    likely = sorted({token for text in WORDS for token in tokenizer.encode(text).ids})
    texts = st.sampled_from(WORDS).map(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    drawn = st.lists(st.sampled_from(likely) | st.integers(0, tokenizer.get_vocab_size() - 1), max_size=12)
    return st.lists(texts | drawn, max_size=6).map(lambda parts: [token for part in parts for token in part])


CASES = st.sampled_from([*TOKENIZERS]).flatmap(lambda name: st.tuples(st.just(name), ids_of(name), ids_of(name)))


@given(case=CASES, cuts=st.lists(st.integers(0, 80)))
@MANY
def test_pieces_joined_are_the_whole_text(case: tuple[str, list[int], list[int]], cuts: list[int]) -> None:
    name, before, ids = case
    spell = spell_of(name)
    letters = Detokenizer(spell, before)
    places = sorted({0, *(cut for cut in cuts if cut < len(ids)), len(ids)})
    told = [letters.push(ids[start:end]) for start, end in pairwise(places)]
    assert "".join([*told, letters.end()]) == text_after(spell, before, ids)


@given(case=CASES)
@MANY
def test_token_by_token_too(case: tuple[str, list[int], list[int]]) -> None:
    name, before, ids = case
    letters = Detokenizer(spell_of(name), before)
    assert "".join([*(letters.push([token]) for token in ids), letters.end()]) == text_after(spell_of(name), before, ids)


def test_characters_in_bytes_are_told_when_they_are_whole() -> None:
    """Bug: a byte of the next character made those before it signs again, and half of the signs were told."""
    tokenizer, letters = TOKENIZERS["byte-fallback"], Detokenizer(spell_of("byte-fallback"), [])
    told = [letters.push([token]) for token in tokenizer.encode("🙂思🙃a", add_special_tokens=False).ids]
    assert told == ["", "", "", "🙂", "", "", "思", "", "", "", "🙃", "a"]
    assert spell_of("byte-fallback")(tokenizer.encode("思🙃").ids[:-1]) == "思\ufffd"


@given(
    case=CASES, stops=st.lists(st.sampled_from(["明月", "月光，疑", "a", "isn't", " fine", "🙂🙃", "##", "地上霜。举头", "  "]), max_size=3)
)
@example(case=("byte-level", [], TOKENIZERS["byte-level"].encode("地上霜。举头望").ids), stops=["上霜", "地上霜。举头"])
@example(case=("byte-level", [], TOKENIZERS["byte-level"].encode("b🙂🙃").ids), stops=["🙂🙃"])
@MANY
def test_streamed_is_unstreamed_whatever_ends_it(case: tuple[str, list[int], list[int]], stops: list[str]) -> None:
    name, before, ids = case
    special = {number: token.content for number, token in TOKENIZERS[name].get_added_tokens_decoder().items() if token.special}
    seen = tuple(Seen(-0.5 - at, True) for at in range(len(ids)))
    for has_details in (False, True):
        row = Generated(tuple(ids), "length", seen=seen if has_details else ())
        fresh = [ContinuedStream(spell_of(name), before, stops, special, has_details, 7) for _ in range(2)]
        whole = Continued.of(row, fresh[0]).to_json(False)
        stream = fresh[1]
        pieces = []
        for token, one in zip(ids, seen, strict=True):
            pieces.append(stream.push([token], [one] if has_details else [], None))
            if stream.finish is not None:
                break
        if stream.finish is None:
            pieces.append(stream.push([], [], "length"))
        told = [piece.value for piece in pieces if piece.value is not None]
        assert "".join(str(piece["text"]) for piece in told) == whole["generated_text"]
        assert not any(stop in str(whole["generated_text"]) for stop in stops)
        assert [piece.is_ended for piece in pieces] == [False] * (len(pieces) - 1) + [bool(stream.stop)]
        last = told[-1]
        assert [last[key] for key in ("finish_reason", "num_tokens")] == [whole[key] for key in ("finish_reason", "num_tokens")]
        assert last.get("stop_sequence") == whole.get("stop_sequence")
        if has_details:
            tokens = [token for piece in told for token in piece["tokens"]]
            assert tokens == whole["details"]["tokens"]
            words = "".join(token["text"] for token in tokens if not token["special"])
            assert words.rstrip("\ufffd") == str(whole["generated_text"]).rstrip("\ufffd")


@pytest.mark.parametrize("text", WORDS)
def test_no_piece_of_a_text_has_half_a_character(text: str) -> None:
    letters = Detokenizer(spell_of("byte-level"), [])
    told = [letters.push([token]) for token in TOKENIZERS["byte-level"].encode(text).ids]
    assert "".join(told) == text
    assert not any("\ufffd" in piece for piece in told)


def test_rubbish_costs_no_more_the_longer_it_is() -> None:
    """Bug avoided: bytes that never become a character would be spelled again and again."""
    lengths: list[int] = []
    spell = spell_of("byte-level")

    def counted(ids: Sequence[int]) -> str:
        lengths.append(len(ids))
        return spell(ids)

    half = TOKENIZERS["byte-level"].encode("🙂").ids[0]
    end = TOKENIZERS["byte-level"].token_to_id("<|im_end|>")
    for token in (half, end):
        letters = Detokenizer(counted, [])
        told = "".join([*(letters.push([token]) for _ in range(2000)), letters.end()])
        assert max(lengths) < 100
        assert told == spell([token] * 2000)


def test_the_word_that_is_complete_first_ends_a_text() -> None:
    assert first_stop("one two three", ["two three", "wo"]) == (5, "wo")
    assert first_stop("one two", ["one two", "two"]) == (0, "one two")
    assert first_stop("one", ["two"]) is None
    assert [size_held_back("ab", ["bcd"]), size_held_back("ab", ["abc", "b"]), size_held_back("ab", [])] == [1, 2, 0]


def ask(parameters: dict, text: str = "床前明月光") -> list[GenerationSettings]:
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(stop_ids=(3,)))
    request = TASK.check(text, parameters, limits=Limits())
    return TASK.encode(request, TextEncoder(TOKENIZERS["byte-level"], spec), spec).generation or []


def test_a_call_says_how_it_is_written() -> None:
    found = ask({"details": True, "top_n_tokens": 3, "presence_penalty": 0.5, "frequency_penalty": -1, "logit_bias": {"5": -100},
                 "grammar": {"type": "json", "value": {"type": "object"}}})[0]  # fmt: skip
    assert (found.tells, found.likeliest, found.presence_penalty, found.frequency_penalty) == (True, 3, 0.5, -1.0)
    assert found.logit_bias == ((5, -100.0),)
    assert found.constraint == Constraint("json_schema", '{"type": "object"}')
    assert ask({"grammar": {"type": "json_object"}})[0].constraint == Constraint("json_object")
    assert ask({"grammar": {"type": "regex", "value": "[0-9]+"}})[0].constraint == Constraint("regex", "[0-9]+")


def test_several_answers_are_drawn_with_seeds_of_their_own() -> None:
    assert [each.seed for each in ask({"num_return_sequences": 3, "do_sample": True, "seed": 9})] == [9, 10, 11]
    drawn = {ask({"temperature": 0.7})[0].seed for _ in range(5)}
    assert len(drawn) > 1, "where no seed is said, another each time"
    assert ask({})[0].seed == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"logit_bias": []}, {"logit_bias": {"x": 1}}, {"logit_bias": {"5": 101}}, {"logit_bias": {"5": True}}, {"logit_bias": {"-1": 1}},
        {"logit_bias": {"03": 100, "3": -100}}, {"logit_bias": {"00": 1}}, {"logit_bias": {"+3": 1}}, {"logit_bias": {"3\n": 1}},
        {"logit_bias": {str(n): 1 for n in range(1025)}}, {"grammar": "x"}, {"grammar": {"type": "xml", "value": "x"}},
        {"grammar": {"type": "regex"}}, {"grammar": {"type": "json", "value": 5}}, {"grammar": {"type": "json_object", "value": {}}},
        {"grammar": {"type": "regex", "value": "x", "more": 1}}, {"grammar": {"type": "lark", "value": "x" * 200_001}},
        {"top_n_tokens": 21}, {"num_return_sequences": 17}, {"num_return_sequences": 0}, {"presence_penalty": 2.5}, {"details": 1},
        {"num_beams": 2, "details": True}, {"num_beams": 2, "grammar": {"type": "json_object"}}, {"stop": ["x" * 1001]},
        {"score": True, "details": True}, {"score": True, "num_return_sequences": 2},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_words_are_refused(parameters: dict) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(parameters)
    assert refused.value.code == "invalid_parameter"


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"logit_bias": {"3": -101}}, "-101"), ({"logit_bias": {"3": "x"}}, "a string"), ({"stop": [1]}, "a list with 1"),
        ({"grammar": {"type": "regex", "value": ""}}, "an empty string"), ({"grammar": {"type": "regex", "value": 5}}, "5"),
        ({"grammar": {"type": "xml", "value": "x"}}, "one of type 'xml'"), ({"grammar": {"type": "regex", "more": 1}}, "one with 'more'"),
        ({"grammar": {}}, "an empty object"), ({"grammar": {"value": "x"}}, "one of type null"),
        ({"grammar": {"type": [1]}}, "one of type a list"),
    ],
    ids=str,
)  # fmt: skip
def test_of_wrong_words_it_is_said_what_was_found(parameters: dict, found: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(parameters)
    assert refused.value.params["found"] == found
    assert not any(word in refused.value.text("zh") for word in ("an empty", "a list with", "of type"))


@pytest.mark.parametrize("asked", [5, 4000])
def test_a_prompt_that_is_cut_leaves_room_for_its_answer(asked: int) -> None:
    """Bug avoided: one that filled the model was answered by nothing."""
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(stop_ids=(3,)), chat=CHATML)
    encoder, talk = TextEncoder(TOKENIZERS["byte-level"], spec), {"messages": [{"role": "user", "content": WORDS[0] * 20}]}
    request = TASK.check([WORDS[0] * 20, talk, "床"], {"truncation": True, "max_new_tokens": asked}, limits=Limits())
    found = TASK.encode(request, encoder, spec)
    assert [len(row) for row in found.rows[:2]] == [64 - min(asked, 32)] * 2
    assert found.cut == (0, 1)
    whole = encoder.plan([WORDS[0] * 20], "truncate").rows[0]
    assert found.rows[0] == whole[: len(found.rows[0])]
    assert found.rows[2] == TASK.encode(TASK.check("床", {}, limits=Limits()), encoder, spec).rows[0]


def test_a_bias_on_no_token_and_too_many_answers_are_refused() -> None:
    for number in ("999999", "9999999999"):  # more than the tokenizer can be asked for, too
        with pytest.raises(InvalidInput) as refused:
            ask({"logit_bias": {number: 1}})
        assert refused.value.code == "unknown_token_id"
    with pytest.raises(InvalidInput) as refused:
        TASK.check(["x"] * 3, {"num_return_sequences": 2}, limits=Limits(max_items=5))
    assert refused.value.code == "batch_too_large"


def test_several_answers_stand_beside_each_other() -> None:
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(stop_ids=(3,)))
    encoder = TextEncoder(TOKENIZERS["byte-level"], spec)
    request = TASK.check(["It's", "a fine"], {"num_return_sequences": 2, "return_full_text": True}, limits=Limits())
    encoded = TASK.encode(request, encoder, spec)
    rows = [Generated(tuple(encoder.ids(word)), "stop") for word in (" one", " two", " three", " four")]
    found = TASK.answer(TASK.decode(to_arrays(rows), spec, request.options, encoded), request)
    assert [[each["generated_text"] for each in answers] for answers in found] == [
        ["It's one", "It's two"],
        ["a fine three", "a fine four"],
    ]


def test_tokens_are_told_of_with_the_likeliest_beside_them() -> None:
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(stop_ids=(3,)))
    encoder = TextEncoder(TOKENIZERS["byte-level"], spec)
    request = TASK.check("It's", {"top_n_tokens": 2, "stop": ["!"]}, limits=Limits())
    encoded = TASK.encode(request, encoder, spec)
    ids = encoder.ids(" 🙂!")
    other = encoder.ids("a")[0]
    row = Generated(tuple(ids), "length", seen=tuple(Seen(-1.0, True, ((one, -1.0), (other, -2.0))) for one in ids))
    (found,) = TASK.decode(to_arrays([row]), spec, request.options, encoded)
    told = found.to_json(False)
    assert (told["generated_text"], told["finish_reason"], told["stop_sequence"], told["num_tokens"]) == (" 🙂", "stop", "!", len(ids))
    details = told["details"]
    assert (details["finish_reason"], details["generated_tokens"], details["seed"]) == ("stop_sequence", len(ids), 0)
    assert "".join(token["text"] for token in details["tokens"]) == " 🙂"
    assert [token["id"] for token in details["tokens"]] == ids[:-1]
    assert [[other["id"] for other in top][1] for top in details["top_tokens"]] == [other] * (len(ids) - 1)
    with pytest.raises(EngineFailed):
        TASK.decode(to_arrays([Generated(tuple(ids), "length")]), spec, request.options, encoded)
