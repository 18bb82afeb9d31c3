"""Patterns in the words of a dialect that does not look around: they match what the patterns that came match, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import weakref
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.engines.pattern_algebra import NONE, HardPattern, Terms, Work
from hanlin.engines.pattern_reading import language
from hanlin.engines.pattern_sets import EVERY, between, of, of_category
from hanlin.engines.pattern_solving import MAX_STATES, plain, written
from hanlin.engines.schema_patterns import MAX_TEXT, Patterns

TEXTS = ["".join(each) for size in range(5) for each in product("ab-1", repeat=size)]
TEXTS += ["é", "aé", "\u2028", "a b", "aws:x", "aws", "\U0001f600"]
# What is asked, texts that match, others that do not.
KNOWN: list[tuple[str, list[str], list[str]]] = [
    (r"^(?!aws:)[a-z:]{1,4}$", ["aws", "awsx", "a:"], ["aws:", "", "abcde", "A"]),
    (r"^(?!foo|bar$)[a-z]*$", ["fo", "bars", ""], ["foo", "food", "bar"]),
    (r"^(?=.*[a-z])(?=.*\d)[a-z\d]{2,}$", ["a1", "1a2"], ["aa", "11", "a1-"]),
    (r"^((?!-)[a-z-]{0,3}[a-z]\.)+$", ["a.", "a-b.c."], ["-a.", "a-.", "a.-b.", ""]),
    (r"(^(?!_{2}))(^\w+$)", ["_a", "a__"], ["__", "__a"]),
    (r"^(\bID\b|[0-9]+)$", ["ID", "7"], ["IDS", "I"]),
    (r"\b\d{2}\b", ["12", "a 12-b"], ["123", "a12"]),
    (r"^[\u0061-\u007a\uD800-\uDFFF]+$", ["az"], ["A", ""]),
    (r"^[\uD83D\uDE00-\uD83D\uDE02]$", ["\U0001f601"], ["a", "\U0001f603"]),
    (r"^(?!a)[\p{L}_]+$", ["é_", "ba"], ["a", "1", "aé"]),
    (r"^(?!\s*$).{1,3}$", ["a", " a "], ["  ", "", "abcd"]),
    (r"a(?!b)|^b$", ["a", "ba", "aab1a", "b"], ["ab", "bb", ""]),
    (r"\b$", ["a", "-1", "a b"], ["", "-", "a-"]),
    (r"\B$", ["", "-", "a-"], ["a", "-1", "a b"]),
]  # fmt: skip
HARD = [r"(?<!a)b", r"(a)\1", r"^([a-z](?!--))*$", "[b-a]", "a{2,1}", "*a", "(", r"\A", r"\p{Nope}", "a" * 3000, "(?i)a", "[a", "(?=a)*"]


def python(pattern: str) -> str:
    """The same in the words of Python's `re`, for letters up to ÿ."""
    letters = {r"[[^\p{L}]&&[^\x00-\x7f]]": "\x80-¿Ā-\U0010ffff", r"[\p{L}&&[^\x00-\x7f]]": "À-ÿ"}
    for said, meant in letters.items():
        pattern = pattern.replace(said, meant)
    return re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", pattern)


@pytest.mark.parametrize(("pattern", "matching", "others"), KNOWN)
def test_what_looks_around_is_said_without(pattern: str, matching: list[str], others: list[str]) -> None:
    found, opposite = Patterns().plain(pattern), Patterns().opposite(pattern)
    assert opposite is not None
    assert not any("(?" in each or "\\b" in each for each in (*found, opposite))
    assert [text for text in matching if not all(re.search(python(each), text) for each in found)] == []
    assert [text for text in others if all(re.search(python(each), text) for each in found)] == []
    assert [text for text in (*matching, *others) if bool(re.search(python(opposite), text)) is (text in matching)] == []


@pytest.mark.parametrize("pattern", HARD)
def test_what_cannot_be_read_is_left_as_it_is(pattern: str) -> None:
    with pytest.raises(HardPattern):
        language(pattern, Terms(Work(100_000)))
    assert Patterns().plain(pattern) == [pattern]
    assert Patterns().opposite(pattern) is None


def _patterns() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["a", "b", "1", ".", "[ab]", "[^a]", "\\w", "\\W", "\\d", "[-1]", "ab", ""])

    def further(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        marks = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}"])
        return st.one_of(
            st.tuples(inner, inner).map("".join), st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
            st.tuples(inner, marks).map(lambda two: f"({two[0]}){two[1]}"),
            st.tuples(st.sampled_from(["(?!{})", "(?={})", "(?!{}$)", "(?=.*{})"]), inner, inner).map(
                lambda three: three[0].format(three[1]) + three[2]
            ),
        )  # fmt: skip

    ends = st.tuples(st.sampled_from(["^", "", "\\b"]), st.recursive(leaves, further, max_leaves=6), st.sampled_from(["$", "", "\\b"]))
    return ends.map("".join)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_patterns(), _patterns())
def test_a_language_is_what_its_pattern_matches(one: str, other: str) -> None:
    try:
        terms = Terms(Work(300_000))
        left, right = language(one, terms), language(other, terms)
        asked = left, terms.no(left), terms.both(left, right), terms.both(right, terms.no(left))
        spelt = [(written(plain(term, terms), terms.work), term) for term in asked]
    except HardPattern:
        return
    first, second = ({text for text in TEXTS if re.search(each, text, re.ASCII | re.DOTALL)} for each in (one, other))
    lines = {text for text in TEXTS if "\u2028" in text}  # which a dot of ECMA's leaves out
    wanted = (first, set(TEXTS) - first, first & second, second - first)
    for (pattern, term), texts in zip(spelt, wanted, strict=True):
        whole = re.compile(python(pattern))
        found = {text for text in TEXTS if whole.fullmatch(text)}
        assert found - lines == texts - lines
        assert not found or plain(term, terms) is not NONE


def test_sets_of_characters_are_joined_met_and_turned() -> None:
    latin, letters = between(0x41, 0xFF), of_category("L")
    assert letters is not None
    assert ~~latin == latin
    assert (latin & ~latin, latin | ~latin) == (of(""), EVERY)
    assert (letters & of("aé1")) == of("aé")
    assert between(0xD700, 0xE000) == between(0xD700, 0xD7FF) | between(0xE000, 0xE000)
    assert (letters | of("é_1")).pattern == r"[1A-Z\x{5f}a-z[\p{L}&&[^\x00-\x7f]]]"
    assert of_category("Nope") is None


def test_names_of_overlapping_patterns_are_told_apart() -> None:
    found = Patterns().apart({"^a": 1, "b$": 2, "^c$": 3}, lambda all_of: {"allOf": all_of})
    judged = {name: [asked for each, asked in found.items() if re.search(python(each), name)] for name in ("a", "ab", "b", "c", "d")}
    assert judged == {"a": [1], "ab": [{"allOf": [1, 2]}], "b": [2], "c": [3], "d": []}
    assert Patterns().apart({"^a": 1, "^b": 2}, lambda all_of: {"allOf": all_of}) == {"^a": 1, "^b": 2}


def test_repeated_parts_are_bounded_where_a_text_is() -> None:
    patterns = Patterns()
    for pattern, least, most in ((r"^a+(-b*)*$", 3, 7), (r"^ab[\d]*", 0, 6), (r"(?!a).+b$", 1, 5)):
        found = patterns.bounded(pattern, least, most)
        assert found is not None
        kept = [text for text in TEXTS if re.fullmatch(python(found[0]), text)]
        assert kept
        assert all(len(text) <= most and re.search(pattern, text) for text in kept)
        assert found[1] == (min(map(len, kept)) >= least)
        assert not re.fullmatch(python(found[0]), "a" * (most + 1))
    assert patterns.bounded("^a{9}$", 0, 8) is None


def test_the_work_is_bounded() -> None:
    patterns = Patterns()
    hard = "(?!" + ".*a" * 8 + ")" + "".join(f"(?!.*{letter}.{{9}}$)" for letter in "bcdef") + ".{1,200}$"
    assert all(patterns.plain(f"^{number}{hard}") for number in range(200))
    assert patterns.opposite("^a.*b$") is None  # nothing is left


def test_work_is_counted_by_parts_and_by_time() -> None:
    whole = 10_000_000
    costs: list[int] = []
    for text in ("a" * 100, "a" * MAX_TEXT, "a" * (MAX_TEXT + 1)):
        work = Work(whole)
        assert Patterns(work).are_apart({"const": text}, {"pattern": "^a*b$"}) is (len(text) == 100)
        costs.append(whole - work.left)
    assert costs[1] > MAX_STATES * MAX_TEXT / 2  # each state goes through the parts that are left
    assert costs[2] < costs[0] < costs[1]
    ticks = iter(range(10))
    assert Patterns(Work(whole, lambda: next(ticks))).opposite("^a.*b$") is None
    assert Patterns(Work(whole, lambda: 0)).opposite("^a.*b$") is not None


def test_terms_are_those_of_one_schema() -> None:
    patterns = Patterns()
    assert patterns.plain(r"^(?!a)\u2028$") == [r"^[\x{2028}]$"]
    assert patterns.plain(r"^(?!a)\p{Zl}$") == [r"^[[\p{Zl}&&[^\x00-\x7f]]]$"]
    terms = Terms(Work(10_000))
    found = weakref.ref(language("^(?!a).b$", terms))
    assert found() is language("^(?!a).b$", terms)
    del terms
    assert found() is None


def test_patterns_are_the_same_in_every_process() -> None:
    code = f"from {Patterns.__module__} import Patterns; known = Patterns(); "
    code += "print(known.plain('^(?!ab|ba|1$)[ab1-]+$'), known.opposite('a.*b|^1+$|b$'))"
    said = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
