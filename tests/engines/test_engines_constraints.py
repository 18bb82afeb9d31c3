"""Forms of targets: whatever a network would rather write, what ends is valid; what cannot be kept to is refused before a word."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import torch
from tests.engines.test_engines_streaming import gathered, streaming
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hanlin.engines import load_variant
from hanlin.engines.base import StreamingSession, WritingSession
from hanlin.engines.constraints import Constraints
from hanlin.engines.json_schemas import plainer
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint, ConstraintKind, Generated, GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network

TEXTS = [
    '{"name": "Li Bai", "age": 61, "tags": ["red", "green"], "is_poet": true, "none": null, "score": -1.5e3}',
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。", '{"城市": "长安", "年": 742}', "2024-05-06T07:08:09Z a@b.org \\n\\t",
] * 3  # fmt: skip
END = 1

SHORT: dict[str, Any] = {"type": "string", "maxLength": 5}
LAST = {"a4000": SHORT}
POINT: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": -9, "maximum": 9}, "y": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["x", "y"], "additionalProperties": False,
}  # fmt: skip


def closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


SCHEMAS: list[Any] = [
    {"type": "boolean"},
    {"type": "null"},
    {"enum": ["red", "green", 3, None, {"a": [1]}]},
    {"const": {"b": [1, 2.5, None, "x"]}},
    {"enum": ["李白", "杜甫", "白居易"]},
    SHORT,
    {"type": "string", "minLength": 2, "maxLength": 4},
    {"type": "string", "pattern": "^[a-c]{2,4}$"},
    {"type": "string", "pattern": "^\\d{3}-\\d{2}$"},
    {"type": "string", "pattern": "^[\u4e00-\u9fff]{5}$"},
    {"type": "string", "pattern": "^(春|夏|秋|冬)(天|日)$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {"type": "integer", "minimum": 3, "maximum": 17},
    {"type": "integer", "exclusiveMinimum": -5, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 7, "maximum": 700},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0.1, "maximum": 0.25},
    {"type": ["integer", "null"], "maximum": 10, "minimum": 0},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 4},
    {"type": "array", "prefixItems": [SHORT, {"type": "boolean"}], "items": False, "minItems": 2},
    {"type": "array", "items": {"type": "array", "items": {"type": "null"}, "maxItems": 2}, "minItems": 1, "maxItems": 2},
    POINT,
    closed(name=SHORT, age={"type": "integer", "minimum": 0, "maximum": 150}),
    closed(["a"], a={"type": "boolean"}, b={"type": "null"}, c={"type": "boolean"}),
    closed(corner=POINT, size=closed(w={"type": "boolean"})),
    closed(姓名={"enum": ["李白", "杜甫"]}, 朝代={"const": "唐"}),
    closed(**{'a "quoted" key\\': {"type": "boolean"}}),
    {"anyOf": [POINT, {"type": "boolean"}]},
    {"oneOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 9}]},
    closed(**{f"k{number}": {"type": "string", "pattern": f"^[a-{letter}]{{1,3}}$"} for number, letter in enumerate("bcdefg")}),
    {"allOf": [closed(["a"], a={"type": "integer"}), {"properties": {"a": {"minimum": 5, "maximum": 8}}}]},
    {"$defs": {"color": {"enum": ["red", "blue"]}}, **closed(a={"$ref": "#/$defs/color"}, b={"$ref": "#/$defs/color"})},
    {"definitions": {"n": closed([], next={"$ref": "#/definitions/n"})}, "$ref": "#/definitions/n"},
    {
        "$defs": {"tree": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}]}},
        "$ref": "#/$defs/tree",
    },
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2, "propertyOrdering": ["a"]},
    {"type": "object", "patternProperties": {"^x[0-9]$": {"type": "null"}}, "additionalProperties": False, "maxProperties": 2},
    {"type": "object", "required": ["k"], "properties": {"k": {"type": ["boolean", "null"]}}, "additionalProperties": False},
    {"title": "t", "description": "d", "default": 1, "examples": [2], "$comment": "c", "type": "integer", "minimum": 0, "maximum": 9},
    {"properties": {"a": {"type": "boolean"}}, "required": ["a"], "type": "object", "additionalProperties": False, "minProperties": 1},
    {
        "$defs": {"cat": closed(kind={"const": "cat"}, lives={"enum": [1, 7, 9]}), "dog": closed(kind={"const": "dog"})},
        "discriminator": {"propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}, {"type": "null"}],
    },
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": False, "maxItems": 2, "unevaluatedItems": True, "not": False},
    {**closed(uniqueItems={"const": False}, format={"enum": ["password"]}), "dependentRequired": {}, "propertyNames": {"type": "string"}},
    {"oneOf": [{"type": "boolean"}], "if": {"type": "null"}, "contains": {"type": "null"}, "minContains": 0},
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder that has learned nothing, over pieces of bytes."""
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<end>", "<begin>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(8)
    config = NetworkConfig(
        "hanlin-decoder", tokenizer.get_vocab_size() + 5, embedding_size=16, hidden_size=16, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=1024, bos_token_id=2, eos_token_id=END,
    )  # fmt: skip
    save_network(build_generator(config), folder)
    return folder


@pytest.fixture(scope="module")
def session(folder: Path) -> WritingSession:
    found = load_variant(folder, "torch-fp32", threads=1)
    assert isinstance(found, WritingSession)
    return found


def asking(constraint: Constraint, seed: int = 0, **more: Any) -> GenerationSettings:
    return GenerationSettings(**{"max_new_tokens": 300, "temperature": 1.5, "seed": seed, "constraint": constraint, **more})


def text_of(folder: Path, written: Generated) -> str:
    return str(Tokenizer.from_file(str(folder / "tokenizer.json")).decode(list(written.ids), skip_special_tokens=False))


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


def test_what_a_schema_allows_stays_the_same() -> None:
    data = {"properties": {"not": {"const": {"not": False, "uniqueItems": False}}, "if": {"enum": [{"if": 1}]}}, "default": {"if": 1}}
    assert json.loads(plainer(json.dumps(data))) == data  # names and data are no keywords
    kept = {"not": {}, "uniqueItems": True, "if": {}, "then": {}, "contains": {}, "minContains": False, "format": "date", "oneOf": [{}, {}]}
    assert json.loads(plainer(json.dumps(kept))) == kept
    nested = {
        "$defs": {"a/b": {"$ref": "#/$defs/c"}, "c": {}},
        "oneOf": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/$defs/nope"}, {"$ref": "x"}],
    }
    assert json.loads(plainer(json.dumps(nested))) == nested
    assert plainer("true") == "{}"


REFUSED: list[tuple[ConstraintKind, str, str]] = [
    ("json_schema", '{"type": "array", "uniqueItems": true}', "uniqueItems"),
    ("json_schema", '{"not": {"type": "string"}}', "not"),
    ("json_schema", '{"if": {}, "then": {}}', "if"),
    ("json_schema", '{"type": "object", "propertyNames": {"pattern": "^a"}}', "propertyNames"),
    ("json_schema", '{"type": "string", "format": "nonsense"}', "format"),
    ("json_schema", '{"oneOf": [{"minimum": 3}, {"maximum": 5}]}', "oneOf"),
    ("json_schema", '{"$ref": "https://example.org/schema.json"}', "registry"),
    ("json_schema", '{"$ref": "file:///etc/hosts"}', "registry"),
    ("json_schema", '{"$ref": "#/nope"}', "nope"),
    ("json_schema", '{"x-guidance": {"lenient": true}, "not": {}}', "x-guidance"),
    ("json_schema", '{"type": "string", "pattern": "(?=a)b"}', "look-ahead"),
    ("json_schema", '{"enum": []}', "empty"),
    ("json_schema", "false", "object"),
    ("json_schema", "[1]", "object"),
    ("json_schema", "{", "JSON"),
    ("json_schema", "[" * 100_000, "JSON"),
    ("json_schema", '{"items": ' * 150 + "{}" + "}" * 150, "nested"),
    ("json_schema", '{"const": "\\ud800"}', "surrogate"),
    ("json_schema", '{"const": "\ud800"}', "surrogate"),
    ("regex", "a\ud800", "surrogate"),
    ("lark", 'start: "\ud800"', "surrogate"),
    ("regex", "(?<=a)b", "look-behind"),
    ("regex", "(a)\\1", "backreferences are not"),
    ("regex", "[", "unclosed"),
    ("regex", "(" * 5000 + "a" + ")" * 5000, "nested"),
    ("regex", ".*" * 60_000, "repeated or optional"),
    ("regex", "(a|)" * 2_001, "repeated or optional"),
    ("json_schema", json.dumps({"type": "string", "pattern": "a?" * 3000}), "repeated or optional"),
    ("json_schema", json.dumps({"allOf": [{"type": "string", "pattern": f".*(a|b){number}.*"} for number in range(16)]}), "allOf"),
    (
        "json_schema",
        json.dumps({"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"pattern": f"a.*{n}", "$ref": f"#/$defs/a{n + 1}"} for n in range(9)}}),
        "joins",
    ),
    ("lark", "start: X\nX: " + " & ".join(f"/.*a.{{{number}}}b.*/" for number in range(14)), "&"),
    (
        "lark",
        "start: X\nA: /.*/ /[a-c]*/\n"
        + "".join(f"B{n}: {'A' if n == 0 else f'B{n - 1}'} {'A' if n == 0 else f'B{n - 1}'}\n" for n in range(13))
        + "X: B12",
        "too big",
    ),
    ("lark", "start: other", "other"),
    ("lark", 'word: "a"', "start"),
    ("lark", 'start: %json {"not": {}}', "not"),
    ("lark", 'start: %json {"x-guidance": {"lenient": true}, "not": {}}', "not"),
]


@pytest.mark.parametrize(("kind", "text", "word"), REFUSED)
def test_what_cannot_be_kept_to_is_refused_up_front(folder: Path, kind: ConstraintKind, text: str, word: str) -> None:
    session = shared(folder)
    with pytest.raises(InvalidInput) as caught:
        session.admit(1, [5], asking(Constraint(kind, text)))
    assert caught.value.code == "constraint_refused"
    assert word in str(caught.value.params["reason"])
    assert len(str(caught.value.params["reason"])) <= 120
    with pytest.raises(InvalidInput):
        session.generate([[5]], [asking(Constraint(kind, text))])


_SESSIONS: dict[Path, StreamingSession] = {}


def shared(folder: Path) -> StreamingSession:
    """A session that has its tokenizer at hand: the first form waits for it."""
    if folder not in _SESSIONS:
        _SESSIONS[folder] = streaming(folder)
        _SESSIONS[folder].generate([[5]], [asking(Constraint("regex", "a"))])
    return _SESSIONS[folder]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("regex", "((a{1,100}){1,100}){1,100}b"),
        ("regex", "(a|b)*a(a|b){2000}"),
        ("regex", "(.{0,3000}a){30}"),
        ("regex", "(((((.{0,100}){0,100}){0,100}){0,100}){0,100})"),
        ("lark", "start: a0\n" + "\n".join(f"a{number}: a{number + 1} a{number + 1}" for number in range(9000)) + '\na9000: "x"\n'),
        ("lark", 'start: start start | "a" | ""'),
        ("lark", "start: " + "a? " * 5000 + '\na: "x"'),
        ("json_schema", json.dumps({"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(4000)} | LAST, "$ref": "#/$defs/a0"})),
        ("json_schema", json.dumps({"enum": [f"word{number:06d}" for number in range(12_000)]})),
    ],
)  # fmt: skip
def test_a_form_takes_bounded_work(folder: Path, kind: ConstraintKind, text: str) -> None:
    """Either it is refused, or it is written some tokens of; no process dies of it."""
    session, begun_s = shared(folder), time.process_time()
    try:
        session.admit(1, [5], asking(Constraint(kind, text), max_new_tokens=12))
        found = gathered(session, [1])[1]
        assert isinstance(found, Generated | InvalidInput)
    except InvalidInput as error:
        assert error.code == "constraint_refused"
    assert time.process_time() - begun_s < 10


def test_a_slow_form_holds_nobody_up_and_its_refusal_comes_with_its_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanlin.engines import constraints

    plain = constraints._compile

    def slow(*given: Any) -> Any:
        time.sleep(0.4)
        return plain(*given)

    session = streaming(folder)
    monkeypatch.setattr(constraints, "_compile", slow)
    session.admit(1, [5], asking(Constraint("regex", "c[0-9]")))
    session.admit(2, [5], asking(Constraint("regex", "(a)\\1")))
    session.admit(3, [6], GenerationSettings(max_new_tokens=4, stop_ids=()))
    told = [delta.number for _ in range(5) for delta in session.turn()]
    assert told == [3, 3, 3, 3]
    found = gathered(session, [1, 2])
    assert isinstance(found[1], Generated)
    assert isinstance(found[2], InvalidInput)


def test_a_form_that_comes_again_is_not_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanlin.engines import constraints

    made, plain = [], constraints._compile
    monkeypatch.setattr(constraints, "_compile", lambda *given: made.append(given[2].text) or plain(*given))
    monkeypatch.setattr(constraints, "_MAX_KEPT", 2)
    forms = Constraints(folder / "tokenizer.json", num_tokens=500, stop_ids=[END])
    for regex in ("a", "b", "a", "c", "a", "b"):
        forms.form(Constraint("regex", regex)).result()
    assert made == ["a", "b", "c", "b"]
    forms.close()


def test_a_tokenizer_that_does_not_spell_its_tokens_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    forms = Constraints(tmp_path / "tokenizer.json", num_tokens=2, stop_ids=[])
    with pytest.raises(InvalidInput) as caught:
        forms.form(Constraint("regex", "a")).result()
    assert caught.value.code == "constraint_refused"
    assert "tokenizer" in str(caught.value.params["reason"])
    forms.close()
