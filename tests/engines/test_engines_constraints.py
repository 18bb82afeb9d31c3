"""Forms of targets: whatever a network would rather write, what ends is valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.engines.constraint_forms import END, POINT, SCHEMAS, asking, make_writer, text_of
from tests.engines.test_engines_streaming import gathered, streaming

from hanlin.engines import load_variant
from hanlin.engines.base import WritingSession
from hanlin.generation import Constraint, Generated, GenerationSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture(scope="module")
def session(folder: Path) -> WritingSession:
    found = load_variant(folder, "torch-fp32", threads=1)
    assert isinstance(found, WritingSession)
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_what_ends_is_valid_whatever_the_network_would_rather_write(folder: Path, session: WritingSession, seed: int) -> None:
    asked = [asking(Constraint("json_schema", json.dumps(schema)), seed) for schema in SCHEMAS]
    found = session.generate([[5, 6, 7]] * len(SCHEMAS), asked)
    for schema, one in zip(SCHEMAS, found, strict=True):
        text = text_of(folder, one)
        if one.finish == "stop":
            assert jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(json.loads(text)), (schema, text)
        else:
            assert len(one.ids) == 300, (schema, text)
    assert sum(one.finish == "stop" for one in found) >= len(SCHEMAS) - 4


def test_forms_are_kept_to_in_streams_among_free_rows(folder: Path) -> None:
    streams, chosen = streaming(folder), SCHEMAS[::4]
    coming = []
    for number, schema in enumerate(chosen):
        coming.append((number, [5, 6, 7, number + 8], asking(Constraint("json_schema", json.dumps(schema)), 3)))
        coming.append((100 + number, [9, number + 8], GenerationSettings(max_new_tokens=20)))
    found = gathered(streams, [number for number, _, _ in coming], coming)
    for number, schema in enumerate(chosen):
        one = found[number]
        assert isinstance(one, Generated)
        alone = streams.generate([[5, 6, 7, number + 8]], [asking(Constraint("json_schema", json.dumps(schema)), 3)])[0]
        assert (one.ids, one.finish) == (alone.ids, alone.finish)
        if one.finish == "stop":
            assert jsonschema_rs.validator_for(schema).is_valid(json.loads(text_of(folder, one)))


@pytest.mark.parametrize(
    "regex",
    ["[0-9]{3}", "(yes|no)",
      "a*b", "[\u4e00-\u9fff]{5}，[\u4e00-\u9fff]{5}。", "^x{2,3}$", "[A-Z][a-z]{0,4}( [A-Z][a-z]{0,4})?", "(a|aa)+b", "\\d\\w\\s?"],
)  # fmt: skip
def test_a_regular_expression_matches_the_whole(folder: Path, session: WritingSession, regex: str) -> None:
    found = session.generate([[5, 6]] * 6, [asking(Constraint("regex", regex), seed) for seed in range(6)])
    for one in found:
        assert one.finish == "length" or re.fullmatch(regex, text_of(folder, one)), text_of(folder, one)
    assert any(one.finish == "stop" for one in found)


@pytest.mark.parametrize(
    ("grammar", "check"),
    [
        ('start: "[" (NUMBER ("," NUMBER)*)? "]"\nNUMBER: /[1-9][0-9]?/', lambda text: isinstance(json.loads(text), list)),
        ('start: pair\npair: "(" pair? ")"', lambda text: text == "(" * (len(text) // 2) + ")" * (len(text) // 2)),
        ('start: line "\\n" line\nline: /[春夏秋冬]{5}/', lambda text: re.fullmatch("[春夏秋冬]{5}\n[春夏秋冬]{5}", text)),
    ],
)  # fmt: skip
def test_a_grammar_is_kept_to(folder: Path, session: WritingSession, grammar: str, check: Any) -> None:
    found = session.generate([[5, 6]] * 4, [asking(Constraint("lark", grammar), seed) for seed in range(4)])
    ended = [text_of(folder, one) for one in found if one.finish == "stop"]
    assert ended
    assert all(map(check, ended)), ended


def test_any_object(folder: Path, session: WritingSession) -> None:
    asked = [asking(Constraint("json_object"), seed, temperature=0.7, max_new_tokens=400) for seed in range(8)]
    ended = [one for one in session.generate([[5, 6]] * 8, asked) if one.finish == "stop"]
    assert ended
    assert all(isinstance(json.loads(text_of(folder, one)), dict) for one in ended)


def test_a_form_that_is_cut_says_so(session: WritingSession) -> None:
    (found,) = session.generate([[5]], [asking(Constraint("regex", "[ab]{50}"), max_new_tokens=9)])
    assert (len(found.ids), found.finish) == (9, "length")


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.0, "num_beams": 3}, {"stop_ids": ()}, {"stop_ids": (66, END)}, {"min_new_tokens": 30},
        {"banned_ids": tuple(range(3, 200))},
        {"temperature": 0.0, "logit_bias": tuple((token, -100.0) for token in range(3, 200))}, {"top_k": 1}, {"prefix": (7, 8)},
    ],
)  # fmt: skip
def test_a_form_wins_over_all_other_rules(folder: Path, session: WritingSession, more: dict[str, Any]) -> None:
    (found,) = session.generate([[5]], [asking(Constraint("json_schema", json.dumps(POINT)), **more)])
    assert found.finish == "stop"
    behind = len(more.get("prefix", ()))
    assert jsonschema_rs.validator_for(POINT).is_valid(json.loads(text_of(folder, Generated(found.ids[behind:], "stop"))))


def test_what_ends_other_rows_is_no_part_of_a_form(folder: Path, session: WritingSession) -> None:
    asked = asking(Constraint("regex", "[ab]{1,12}"), stop_ids=(), logit_bias=((END, 100.0),))
    (found,) = session.generate([[5]], [asked])
    assert END not in found.ids
    assert re.fullmatch("[ab]{12}", text_of(folder, found))
