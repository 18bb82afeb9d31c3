"""Schemas said anew: what keeps to them keeps to the schema that came, and what is lost is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.constraint_forms import END, closed, make_writer
from tokenizers import Tokenizer

from hanlin.engines import schema_unevaluated
from hanlin.engines.constraints import Constraints
from hanlin.engines.json_schemas import plainer
from hanlin.engines.schema_rewriting import Rewriting
from hanlin.engines.unique_reading import Reader, Spots
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint

VALUES: list[Any] = [
    None, True, False, 0, 1, 2.5, -3, "", "a", "ab", "abc", "b", [], [1], [1, 1], ["a", 1], {}, {"a": 1}, {"b": "x"}, {"a": "a", "b": 1},
    {"1": 1},
]  # fmt: skip


class Forms:
    """Asks whether documents may be written."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._forms = Constraints(folder / "tokenizer.json", num_tokens=self._tokenizer.get_vocab_size(), stop_ids=[END])

    def taken(self, schema: Any, values: list[Any]) -> list[bool]:
        asked = Constraint("json_schema", json.dumps(schema))
        return [self._takes(asked, value) for value in values]

    def _takes(self, asked: Constraint, value: Any) -> bool:
        form, written = self._forms.form(asked).result(), list[int]()
        for token in self._tokenizer.encode(json.dumps(value)).ids:
            bits = form.allowed(written)
            if not bits[token >> 3] >> (token & 7) & 1:
                return False
            written.append(token)
        return form.may_end(written)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    return Forms(make_writer(tmp_path_factory.mktemp("writer")))


# A schema, documents that it allows and that may be written, those that it allows and that are lost.
KEPT: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"not": {"type": "string"}}, [None, 1, [], {}], []),
    ({"not": {"enum": ["a", 1, None]}}, ["", "ab", "b", 0, 2.5, True, [1]], []),
    ({"not": {"required": ["a"]}}, [{}, {"b": "x"}], []),
    ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "null"}}, ["ab", None], []),
    ({"oneOf": [{"minimum": 1}, {"maximum": 0.5}]}, [0, 1, 2.5, -3], []),
    ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, [{"a": 1}, {"b": "x"}], []),
    ({"type": "object", "dependencies": {"a": ["b"], "b": {"required": ["a"]}}}, [{}, {"a": "a", "b": 1}], []),
    ({"type": "array", "contains": {"type": "integer"}}, [[1], ["a", 1], ["a"] * 5 + [1]], [["a"] * 6 + [1]]),
    ({"type": "array", "contains": {"type": "integer"}, "maxContains": 1}, [[1], [1, "a"]], [["a", 1]]),
    ({"type": "array", "uniqueItems": True}, [[], [1], ["a", 1], [1, True, "1", [1], {"a": 1}], [[1, 2], [2, 1]]], []),
    ({"propertyNames": {"maxLength": 1}}, [{}, {"a": 1}, 1], []),
    ({"propertyNames": {"enum": ["a", "b"]}, "type": "object"}, [{"a": 1}, {"b": "x"}], []),
    ({"propertyNames": {"enum": ["a", 1]}, "type": "object"}, [{"a": 1}, {}], []),
    ({"type": "object", "minProperties": 1, "properties": {"a": {}, "b": {}}}, [{"a": 1}, {"b": "x"}, {"c": 1}], []),
    ({**closed([], a={}, b={}, c={}), "maxProperties": 2}, [{}, {"a": 1, "c": 1}], []),
    ({"allOf": [{"properties": {"a": {}}}], "type": "object", "unevaluatedProperties": {"type": "string"}}, [{"a": 1}, {"b": "x"}], []),
    ({"items": [{"type": "integer"}], "additionalItems": {"type": "string"}, "type": "array"}, [[], [1], [1, "a"]], []),
    ({"minimum": 1, "exclusiveMinimum": True, "type": "number"}, [2.5], []),
    ({"patternProperties": {"^a": {"type": "integer"}, ".*": {"minimum": 1}}, "type": "object"}, [{"a": 1}, {"b": "x"}], []),
    ({"$ref": "item.json", "$defs": {"i": {"$id": "item.json", "$anchor": "x", "type": "null"}}}, [None], []),
    ({"$ref": "#x", "$defs": {"i": {"$anchor": "x", "type": "null"}}}, [None], []),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$ref": "#/items/0", "type": "string"}},
      "items": [{"type": "integer"}], "type": "object"}, [{"a": 1}], []),
    ({"format": "json-pointer", "type": "string"}, ["", "/a/~0b"], []),
    ({"format": "int32", "type": "integer"}, [0, 1], []),
    ({"type": "object", "anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]},
      {"properties": {"b": {}}, "required": ["b"]}], "unevaluatedProperties": False}, [{"b": "x"}, {"a": "a", "b": 1}], []),
    ({"type": "object", "if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "else": {"properties": {"b": {}}},
      "unevaluatedProperties": {"type": "null"}}, [{"a": 1}, {"b": "x"}, {}], []),
    ({"type": "object", "oneOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}],
      "unevaluatedProperties": False}, [{"a": 1}, {"b": "x"}], []),
    ({"type": "object", "dependentSchemas": {"a": {"properties": {"b": {}}}}, "properties": {"a": {}}, "unevaluatedProperties": False},
     [{}, {"a": 1}, {"a": "a", "b": 1}], []),
    ({"type": "array", "anyOf": [{"prefixItems": [{"const": 1}]}, {"prefixItems": [{"type": "string"}, {}]}], "unevaluatedItems": False},
     [[], [1], ["a", 1]], []),
    ({"type": "array", "allOf": [{"prefixItems": [{}]}], "unevaluatedItems": {"const": 1}}, [[], [1], ["a", 1], [1, 1]], []),
    ({"oneOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"const": "a"}, "minItems": 1}]},
     [[], [1], [1, 1]], []),
    ({"type": "array", "not": {"items": {"type": "integer"}}}, [["a", 1]], []),
    ({"type": "string", "pattern": "^(?!ab)[ab]+$|^abc$"}, ["a", "abc", "b"], []),
    ({"type": "string", "not": {"pattern": "^a.?$"}}, ["", "b", "abc"], []),
    ({"type": "object", "patternProperties": {"^(?!a).*$": {"type": "string"}}}, [{"a": 1}, {"b": "x"}, {"a": "a"}], []),
    ({"type": "object", "patternProperties": {"^[ab]$": {"type": ["string", "integer"]}, "a|1": {"type": "integer"}},
      "additionalProperties": False}, [{"a": 1}, {"b": "x"}, {"1": 1}], []),
    ({"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "b$"}, {"const": ""}]}, ["", "a", "b", "abc"], []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "kept", "lost"), KEPT)
def test_what_can_be_written_is_what_a_schema_allows(forms: Forms, schema: dict[str, Any], kept: list[Any], lost: list[Any]) -> None:
    draft = jsonschema_rs.Draft4Validator if schema.get("exclusiveMinimum") is True else None
    newer = {"items", "dependencies"} & schema.keys() and "$schema" not in schema
    validator = (draft or jsonschema_rs.Draft7Validator)(schema) if draft or newer else jsonschema_rs.validator_for(schema)
    written = [value for value, taken in zip(VALUES, forms.taken(schema, VALUES), strict=True) if taken]
    assert [value for value in written if not validator.is_valid(value)] == []
    assert forms.taken(schema, kept) == [True] * len(kept)
    assert forms.taken(schema, lost) == [False] * len(lost)
    assert all(validator.is_valid(value) for value in (*kept, *lost))


def test_a_pattern_bounds_its_texts_where_its_length_takes_too_long_to_be_found_out(forms: Forms) -> None:
    schema = {"type": "string", "pattern": r"((\/[A-Za-z0-9\.,\+@=_-]+)*)\/", "minLength": 1, "maxLength": 512}
    known = ["/", "/a/b-c/", "a/b", "", "ab", "/" * 513]
    assert forms.taken(schema, known) == [jsonschema_rs.Draft202012Validator(schema).is_valid(text) for text in known]


def test_an_item_is_not_repeated_in_another_spelling(forms: Forms) -> None:
    unique = {"type": "array", "uniqueItems": True}
    assert forms.taken(unique, [[1, 1], [1, 1.0], ["a", "a"], [[1], [1]], [{"a": 1}, {"a": 1.0}], [None, None]]) == [False] * 6
    nested = {"properties": {"a": {"items": unique}}, "type": "object"}
    assert forms.taken(nested, [{"a": [[1, 2], [1, 2]]}, {"a": [[1, 2], [2, 2]]}, {"b": [[2, 2]]}]) == [True, False, True]


def test_what_is_read_along_is_bounded(forms: Forms, monkeypatch: pytest.MonkeyPatch) -> None:
    unique: dict[str, Any] = {"type": "array", "uniqueItems": True}
    reader = Reader(Spots({"properties": {"a": unique}}))
    reader.read(b'{"a": ["' + b"x" * 1000 + b'", {"b": [1, "c')
    reader.forget()
    assert bytes(reader.text) == b'{"b": [1, "c'
    assert [reader.after(b'"]}, ' + more).repeats for more in (b'{"b": [1, "c"]}', b'{"b": [1]}', b'"x",')] == [True, False, False]
    reader.read(b'"]}, 12')
    reader.forget()
    assert bytes(reader.text) == b"12"
    assert not reader.after(b", 1, ").repeats
    assert reader.after(b", 12]").repeats
    monkeypatch.setattr("hanlin.engines.unique_items.MAX_ITEMS", 2)
    assert forms.taken(unique, [[1, 2]]) == [True]
    with pytest.raises(InvalidInput, match="too many"):
        forms.taken(unique, [[1, 2, 3, 4]])
    monkeypatch.setattr("hanlin.engines.unique_items.MAX_ITEM_BYTES", 20)
    with pytest.raises(InvalidInput, match="too long"):
        forms.taken(unique, [[1, "a" * 30]])


def test_names_and_data_are_no_keywords() -> None:
    data = {"properties": {"not": {"const": {"not": False, "uniqueItems": False}}, "if": {"enum": [{"if": 1}]}}}
    assert json.loads(plainer(json.dumps(data | {"default": {"if": 1}, "title": "t"}))) == data
    assert plainer("true") == "{}"


def test_cases_are_bounded() -> None:
    schema: Any = {"const": 1}
    for _ in range(40):
        schema = {"if": schema, "then": {"if": schema, "else": schema}, "else": schema}
        if len(json.dumps(schema)) > 100_000:
            break
    with pytest.raises(ValueError, match=r"nested|cases"):
        plainer(json.dumps(schema))


def _levels(num: int, last: dict[str, Any]) -> dict[str, Any]:
    """Levels of which each names the next one sixty times."""
    levels: dict[str, Any] = {f"l{level}": {"allOf": [{"$ref": f"#/$defs/l{level + 1}"}] * 60} for level in range(num)}
    return {**levels, f"l{num}": last}


# Without bounds each of these takes minutes, or all memory there is.
ENDLESS: list[dict[str, Any]] = [
    {"type": "array", "contains": {"type": "null"}, "minContains": 1_000_000},
    {"not": {"$ref": "#/$defs/l0"}, "$defs": _levels(5, {"type": "null", "minimum": 1})},
    {"unevaluatedProperties": False, "$ref": "#/$defs/l0", "$defs": _levels(4, {"properties": {"a": True}})},
    {"not": {"allOf": [{"$ref": "#/$defs/n"}] * 5000}, "$defs": {"n": {"not": {"enum": ["a" * 10_000]}}}},
    {"oneOf": [{"type": "string", "const": "a" * 90_000}, {"type": "string", "pattern": "^a*b$"}]},
    {"oneOf": [{}] * 40_000},
    {"oneOf": [{"const": number} for number in range(4000)]},
    {"oneOf": [{"required": ["k", "n"], "type": "object", "properties": {"k": {"$ref": "#/$defs/long"}, "n": {"const": number}}}
               for number in range(600)], "$defs": {"long": {"enum": [*range(9000)]}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", ENDLESS)
def test_schemas_of_few_bytes_are_no_endless_work(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"minContains|spelt out|oneOf"):
        plainer(json.dumps(schema))


def test_what_is_unevaluated_is_refused_by_its_keyword_and_place() -> None:
    choices: Any = {"anyOf": [{"prefixItems": [{"const": number}]} for number in range(4)]}
    schema = {"properties": {"a": {"unevaluatedItems": False, "oneOf": [{"if": choices, "then": choices}]}}}
    with pytest.raises(ValueError, match=r"^unevaluatedItems at #/properties/a: more than 64 cases"):
        plainer(json.dumps(schema))


def test_what_a_choice_judges_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    schema: Any = {"unevaluatedProperties": False, "anyOf": [{"properties": {name: True}} for name in "abcd"]}
    rewriting, counted = Rewriting(schema), list[int]()
    monkeypatch.setattr(rewriting, "count", lambda path, num: counted.append(num))
    _, found = schema_unevaluated.plainer(schema, rewriting, "#")
    asked: Any = found[0][0]
    assert len(asked["anyOf"]) == 15
    assert counted == [1, 2, 2, 2, 2]


def _schemas() -> st.SearchStrategy[Any]:
    name = st.sampled_from(["a", "b"])
    leaves: st.SearchStrategy[Any] = st.one_of(
        st.sampled_from([{"type": each} for each in ("null", "boolean", "integer", "number", "string", "array", "object")]),
        st.sampled_from(
            [{"enum": ["a", 1]}, {"const": "ab"}, {"minimum": 1}, {"maxLength": 1}, {"minItems": 1}, {"required": ["a"]}, True, {}]
        ),
    )

    def further(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        two = st.lists(inner, min_size=1, max_size=2)
        return st.one_of(
            st.fixed_dictionaries({"not": inner}), st.fixed_dictionaries({"anyOf": two}), st.fixed_dictionaries({"oneOf": two}),
            st.fixed_dictionaries({"allOf": two}), st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
            st.fixed_dictionaries({"properties": st.dictionaries(name, inner, max_size=2), "additionalProperties": inner}),
            st.fixed_dictionaries({"unevaluatedProperties": inner, "anyOf": two}),
            st.fixed_dictionaries({"if": inner, "unevaluatedItems": inner}),
            st.fixed_dictionaries({"items": inner, "uniqueItems": st.booleans()}), st.fixed_dictionaries({"contains": inner}),
            st.fixed_dictionaries({"dependentSchemas": st.dictionaries(name, inner, max_size=1), "minProperties": st.integers(0, 2)}),
        )  # fmt: skip

    return st.recursive(leaves, further, max_leaves=6).filter(lambda schema: isinstance(schema, dict))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_schemas())
def test_nothing_that_a_schema_forbids_can_be_written(forms: Forms, schema: Any) -> None:
    validator = jsonschema_rs.validator_for(schema)
    try:
        found = forms.taken(schema, VALUES)
    except InvalidInput as error:
        assert error.code == "constraint_refused"
        return
    assert [value for value, taken in zip(VALUES, found, strict=True) if taken and not validator.is_valid(value)] == []
