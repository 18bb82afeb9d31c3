"""Forms that cannot be kept to are refused before a word, and those that take long hold nobody up."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines.constraint_forms import END, LAST, asking, make_writer
from tests.engines.test_engines_streaming import gathered, streaming
from tokenizers import Tokenizer, models

from hanlin.engines.base import StreamingSession
from hanlin.engines.constraint_threads import MAX_LOST, FormThreads
from hanlin.engines.constraints import Constraints
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint, ConstraintKind, Generated, GenerationSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is no reason to admit a row whose form is refused a moment later."""
    monkeypatch.setattr("hanlin.engines.torch_writer.PATIENCE_S", 5.0)


REFUSED: list[tuple[ConstraintKind, str, str]] = [
    ("json_schema", '{"type": "string", "not": {"pattern": "(?<=a)b"}}', "pattern at #/not/pattern"),
    ("json_schema", '{"properties": {"a": {"if": {"format": "date"}, "else": {"type": "null"}}}}', "format at #/properties/a/if/format"),
    ("json_schema", '{"propertyNames": {"not": {"const": "a"}}, "type": "object"}', "propertyNames"),
    ("json_schema", '{"type": "array", "items": {"multipleOf": 7}, "contains": {"multipleOf": 3}, "maxContains": 2}', "multipleOf"),
    ("json_schema", '{"not": {}}', "no document"),
    ("json_schema", '{"enum": [1], "not": {"const": 1.0}}', "nsatisfiable"),
    ("json_schema", '{"unevaluatedItems": false, "contains": {"type": "null"}}', "unevaluatedItems"),
    ("json_schema", json.dumps({"anyOf": [{"extends": {}}, {}]}), "extends at #/anyOf/0"),
    ("json_schema", json.dumps({"type": "object", "properties": {f"k{n}": {} for n in range(20)}, "maxProperties": 9}), "maxProperties"),
    ("json_schema", '{"type": "string", "format": "nonsense"}', "format"),
    ("json_schema", '{"oneOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "uri"}]}', "format at #/oneOf"),
    ("json_schema", '{"$ref": "https://example.org/schema.json"}', "registry"),
    ("json_schema", '{"$ref": "file:///etc/hosts"}', "registry"),
    ("json_schema", '{"$ref": "#/nope"}', "nope"),
    ("json_schema", '{"x-guidance": {"lenient": true}, "not": {}}', "x-guidance"),
    ("json_schema", '{"type": "string", "pattern": "(?=a)b"}', "empty"),
    ("json_schema", '{"type": "string", "pattern": "^([a-z](?!--))*$"}', "look-ahead"),
    ("json_schema", '{"patternProperties": {"^(x(?!-))*$": {"type": "null"}}, "additionalProperties": {"minimum": 1}}', "look-ahead"),
    ("json_schema", '{"type": "object", "propertyNames": {"enum": ["a", "ab"], "maxLength": 1}}', "maxLength"),
    ("json_schema", '{"enum": []}', "empty"),
    ("json_schema", "false", "object"),
    ("json_schema", "[1]", "object"),
    ("json_schema", "{", "JSON"),
    ("json_schema", "[" * 100_000, "JSON"),
    ("json_schema", '{"items": ' * 150 + "{}" + "}" * 150, "nested"),
    (
        "json_schema",
        json.dumps({"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(300)} | {"a300": {}}}),
        "nested",
    ),
    ("json_schema", '{"const": "\\ud800"}', "surrogate"),
    ("json_schema", '{"const": "\ud800"}', "surrogate"),
    ("regex", "a\ud800", "surrogate"),
    ("lark", 'start: "\ud800"', "surrogate"),
    ("regex", "(?<=a)b", "look-behind"),
    ("regex", "(a)\\1", "backreferences are not"),
    ("regex", "[a&&b]", "no text has it"),
    ("regex", "[", "unclosed"),
    ("regex", "(" * 5000 + "a" + ")" * 5000, "nested"),
    ("regex", ".*" * 60_000, "repeated or optional"),
    ("regex", "(a|)" * 2_001, "repeated or optional"),
    ("json_schema", json.dumps({"type": "string", "pattern": "a?" * 3000}), "repeated or optional"),
    ("json_schema", json.dumps({"allOf": [{"type": "string", "pattern": f".*(a|b){number}.*"} for number in range(16)]}), "allOf"),
    (
        "json_schema",
        json.dumps(
            {"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"pattern": f"a.*{n}", "$ref": f"#/$defs/a{n + 1}"} for n in range(12)} | {"a12": {}}}
        ),
        "joined",
    ),
    ("json_schema", '{"type": "integer", "multipleOf": 123456789}', "multipleOf"),
    ("json_schema", '{"items": {"multipleOf": 0.99991}}', "multipleOf"),
    ("lark", 'start: %json {"type": "integer", "multipleOf" : 999983}', "multipleOf"),
    ("lark", "start: A\nA: /.*a.{18}.*/ & ~/.*b.{18}.*/ & /.*c.{17}.*/", "beside & or ~"),
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


@pytest.mark.parametrize("beginning", ["", '"a" '])
def test_a_grammar_that_asks_for_the_token_of_the_end_is_no_failure_of_the_engine(folder: Path, beginning: str) -> None:
    session, told = shared(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    grammar = Constraint("lark", f"start: {beginning}{told.id_to_token(END)}")
    with pytest.raises(InvalidInput) as caught:
        session.generate([[5]], [asking(grammar)])
    assert caught.value.params["reason"] == "no token may stand where one must"
    session.admit(1, [5], asking(grammar))
    found = gathered(session, [1])[1]
    assert isinstance(found, InvalidInput)
    assert found.code == "constraint_refused"


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

    monkeypatch.setattr("hanlin.engines.torch_writer.PATIENCE_S", 0.05)
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


def test_what_takes_too_long_is_answered_for_and_nobody_waits_for_it() -> None:
    late, held = InvalidInput("constraint_refused", reason="late"), threading.Event()
    threads = FormThreads(lambda: late, patience_s=0.1)
    stuck = [threads.submit(held.wait) for _ in range(MAX_LOST)]
    after = [threads.submit(lambda: 7) for _ in range(1500)]
    assert [future.exception(5) for future in stuck] == [late, late]
    assert all(future.exception(5) is late for future in after)  # as many threads as may be lost are
    held.set()
    give_up = time.monotonic() + 5
    while threads.num_lost and time.monotonic() < give_up:
        time.sleep(0.005)
    assert threads.submit(int).result(5) == 0
    assert isinstance(threads.submit(lambda: int("a")).exception(5), ValueError)
    threads.close()
    assert threads.submit(int).exception(5) is late


def test_forms_that_were_made_are_there_while_others_take_too_long_and_stay_good_when_the_threads_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanlin.engines import constraints

    held, plain = threading.Event(), constraints._compile
    monkeypatch.setattr(constraints, "_compile", lambda *given: held.wait() and plain(*given))
    forms, known = Constraints(folder / "tokenizer.json", num_tokens=500, stop_ids=[END]), Constraint("regex", "[ab]{3}")
    held.set()
    forms.form(known).result()
    held.clear()
    forms._threads = FormThreads(lambda: InvalidInput("constraint_refused", reason="late"), patience_s=0.05)
    stuck = [forms.form(Constraint("regex", text)) for text in "ab"]
    assert all(isinstance(future.exception(5), InvalidInput) for future in stuck)
    form = forms.form(known).result(5)
    held.set()
    forms.close()
    token = int(np.flatnonzero(np.unpackbits(form.allowed([]), bitorder="little"))[0])
    assert not form.must_end([token])
    assert form.allowed([token]).any()
