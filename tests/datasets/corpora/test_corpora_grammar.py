"""Sentence templates, and the sentences drawn from them."""

import random

import pytest

from hanlin.datasets.corpora.base import dice
from hanlin.datasets.corpora.templates import Grammar, Value, parse


def fill(name, draws):
    return {"area": Value("(kitchen|hall)", None), "level": Value("high", 100), "step": Value("[very ]low", 1)}[name]


def draw_all(template, rules=None, n=200):
    grammar = Grammar({name: parse(rule) for name, rule in (rules or {}).items()}, fill)
    return {grammar.draw(parse(template), random.Random(seed)).text for seed in range(n)}


@pytest.mark.parametrize(
    ("template", "sentences"),
    [
        ("turn on", {"turn on"}),
        ("lamp[s]", {"lamp", "lamps"}),
        ("(set|make) it", {"set it", "make it"}),
        ("now|at once", {"now", "at once"}),
        ("[the|my] lamp", {"the lamp", "my lamp", "lamp"}),
        ("(a;b)", {"a b", "b a"}),
        ("(up|down) (x|y)", {"up x", "up y", "down x", "down y"}),
        ("[a [b]] c", {"a b c", "a c", "c"}),
        ("<turn> it", {"switch it", "turn it"}),
        (r"\(sic\)", {"(sic)"}),
        ("100[([ ]%)| percent]", {"100", "100%", "100 %", "100 percent"}),
    ],
)
def test_every_sentence_of_a_template(template, sentences):
    assert draw_all(template, {"turn": "(switch|turn)"}) == sentences


def test_a_slot_knows_its_place_and_its_value():
    sentence = Grammar({}, fill).draw(parse("[ ]set the {area} to {level:brightness} "), dice("seed"))
    places = {filled.slot: (sentence.text[filled.start : filled.end], filled.value) for filled in sentence.slots}
    assert places["brightness"] == ("high", 100)
    assert places["area"][0] == places["area"][1]
    assert sentence.text.startswith("set the ")
    assert not sentence.text.endswith(" ")


@pytest.mark.parametrize("template", ["(a|b", "a)", "[a", "{area", "<turn"])
def test_brackets_must_match(template):
    with pytest.raises(ValueError):
        parse(template)


def test_dice_fall_the_same_way_everywhere():
    assert [dice("a", 1).randrange(1000) for _ in range(2)] == [dice("a", 1).randrange(1000)] * 2
    assert dice("a", 1).random() != dice("a", 2).random()
    assert dice("hanlin").randrange(10**6) == 488_957
