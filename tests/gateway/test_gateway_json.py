"""The strict reading of JSON: a body of masses of small values is refused before it is built, and text is never mistaken for them."""

from __future__ import annotations

import json

import pytest

from hanlin.errors import InvalidInput
from hanlin.gateway.status import http_status
from hanlin.gateway.strict_json import MAX_DEPTH, MAX_MARKS, parse


def listed(item: str, times: int) -> bytes:
    return ("[" + ",".join([item] * times) + "]").encode()


@pytest.mark.parametrize(
    "body",
    [listed("[]", MAX_MARKS), listed("{}", MAX_MARKS), listed("1", MAX_MARKS), listed('""', MAX_MARKS), listed('{"a":1}', MAX_MARKS // 4),
     b"{" + b",".join(b'"k%d":1' % number for number in range(MAX_MARKS // 2)) + b"}"],
    ids=["lists", "objects", "numbers", "strings", "pairs", "keys"],
)  # fmt: skip
def test_masses_of_values_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    assert caught.value.code == "too_many_values"
    assert http_status(caught.value) == 413


def test_the_bound_is_exact() -> None:
    assert len(parse(listed("1", MAX_MARKS - 1))) == MAX_MARKS - 1  # type: ignore[arg-type]  # two brackets, the rest commas
    with pytest.raises(InvalidInput):
        parse(listed("1", MAX_MARKS))


@pytest.mark.parametrize("mark", ["[", "{", ",", ":", '"', "\\", '\\"', "]}", "\n", "é，"])
def test_marks_inside_a_text_are_text(mark: str) -> None:
    text = mark * (MAX_MARKS + 1)
    assert parse(json.dumps({"inputs": [text, text]}).encode()) == {"inputs": [text, text]}


def test_an_unfinished_text_is_malformed_and_not_searched_again_and_again() -> None:
    for body in (b'["' + b"[" * 200_000, b'["' + b'\\"' * 200_000, b'"' + b"," * 200_000,
                 b'{"a": "' + b'\\"' * 300_000 + b"[" * 65, b'"' + b'\\"' * 300_000 + b"," * 40_000 + b"\\"):  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            parse(body)
        assert caught.value.code in {"malformed_json", "nested_too_deeply", "too_many_values"}


def test_depth_is_counted_outside_of_texts_only() -> None:
    deepest = "[" * MAX_DEPTH + '"[[[["' + "]" * MAX_DEPTH
    assert json.dumps(parse(deepest.encode())) == deepest
    with pytest.raises(InvalidInput) as caught:
        parse(("[" + deepest + "]").encode())
    assert caught.value.code == "nested_too_deeply"


def test_a_key_twice_among_many_is_found_in_one_pass() -> None:
    """Compared one by one, these keys held up all callers for a minute."""
    keys = [f'"k{number}":1' for number in range(MAX_MARKS // 2 - 10)]
    with pytest.raises(InvalidInput) as caught:
        parse(("{" + ",".join([*keys, keys[-1]]) + "}").encode())
    assert caught.value.code == "duplicate_key"
    assert caught.value.params["name"] == f"'k{len(keys) - 1}'"
