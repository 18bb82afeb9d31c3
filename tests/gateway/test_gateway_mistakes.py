"""One contract behind all doors: the same mistake gets the same verdict at every one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.gateway.ways import MORE_WAYS, WAYS, Through

VERDICT = tuple[int, str]
ASKED = tuple[str, bytes, dict[str, str]]  # path, body, headers


def of_inputs(inputs: object) -> Callable[[Through], ASKED]:
    return lambda way: (way.where(), json.dumps(way.body(inputs)).encode(), {})


def of_bytes(change: Callable[[bytes], bytes]) -> Callable[[Through], ASKED]:
    """What is made of a good body."""
    return lambda way: (way.where(), change(json.dumps(way.body(["good", "bad"])).encode()), {})


def of_headers(**headers: str) -> Callable[[Through], ASKED]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda way: (way.where(), json.dumps(way.body(["good"])).encode(), named)


def of_endpoint(endpoint: str) -> Callable[[Through], ASKED]:
    return lambda way: (way.where(endpoint), json.dumps(way.body(["good"], endpoint)).encode(), {})


def more(field: bytes) -> Callable[[Through], ASKED]:
    """A good body with one field more, whatever its name: what it holds is looked at first."""
    return of_bytes(lambda raw: raw[:-1] + b', "nonsense": ' + field + b"}")


def twice(raw: bytes) -> bytes:
    return raw[:-1] + b", " + raw[1:].partition(b":")[0] + b': "again"}'


INPUTS: dict[str, tuple[object, VERDICT]] = {
    "empty list": ([], (422, "empty_batch")),
    "empty text": ([""], (422, "empty_text")),
    "space": ([" \n\t"], (422, "empty_text")),
    "ideographic space": (["\u3000"], (422, "empty_text")),
    "second text empty": (["good", ""], (422, "empty_text")),
    "last text empty": (["good"] * 31 + [" "], (422, "empty_text")),
    "number among texts": (["good", 5], (422, "invalid_inputs")),
    "fraction among texts": (["good", 0.5], (422, "invalid_inputs")),
    "null among texts": (["good", None], (422, "invalid_inputs")),
    "boolean among texts": (["good", True], (422, "invalid_inputs")),
    "object among texts": (["good", {"a": "b"}], (422, "invalid_inputs")),
    "null first": ([None, "good"], (422, "invalid_inputs")),
    "too many tokens": (["good " * 65], (413, "text_too_long")),
    "too many tokens in the last": (["good", "bad", "good " * 65], (413, "text_too_long")),
    "too many bytes": (["g" * 1_050_000], (413, "text_too_long")),
    "one text too many": (["good"] * 33, (413, "batch_too_large")),
    "far too many texts": (["good"] * 3000, (413, "batch_too_large")),
    "bad and too many": ([""] * 33, (413, "batch_too_large")),
    "lone surrogate": (["good", "a\ud800b"], (422, "invalid_unicode")),
    "surrogates the wrong way round": (["\udc00\ud800"], (422, "invalid_unicode")),
    "half a pair at the end": (["good \ud83d"], (422, "invalid_unicode")),
    "false among texts": (["good", False], (422, "invalid_inputs")),
    "negative number among texts": (["good", -1], (422, "invalid_inputs")),
    "empty object among texts": (["good", {}], (422, "invalid_inputs")),
    "empty text before a wrong one": (["", 5], (422, "empty_text")),
    "wrong one before an empty text": (["good", 5, ""], (422, "invalid_inputs")),
    "too long before an empty text": (["g" * 1_050_000, ""], (413, "text_too_long")),
    "one token too many": (["good " * 64 + "bad"], (413, "text_too_long")),
    "one text too many, others empty": (["good"] + [""] * 32, (413, "batch_too_large")),
    "tabs": (["\t\t"], (422, "empty_text")),
    "no-break space": (["\u00a0"], (422, "empty_text")),
    "combining marks alone": (["\u0301\u0302"], (422, "empty_text")),
    "control characters alone": (["\x01\x02\x7f"], (422, "empty_text")),
    "zero width alone": (["\u200b\u200d"], (422, "empty_text")),
    "line separator": (["\u2028"], (422, "empty_text")),
}
ALONE: dict[str, object] = {
    "number": 5,
    "fraction": 0.5,
    "true": True,
    "false": False,
    "nothing": None,
    "object": {"a": "b"},
    "empty object": {},
}
BODIES: dict[str, tuple[Callable[[Through], ASKED], VERDICT]] = {
    "no body": (of_bytes(lambda _: b""), (400, "empty_body")),
    "no JSON": (of_bytes(lambda _: b"good"), (400, "malformed_json")),
    "cut off": (of_bytes(lambda raw: raw[:-2]), (400, "malformed_json")),
    "two values": (of_bytes(lambda raw: raw + raw), (400, "malformed_json")),
    "trailing comma": (of_bytes(lambda raw: raw[:-1] + b",}"), (400, "malformed_json")),
    "single quotes": (of_bytes(lambda raw: raw.replace(b'"', b"'")), (400, "malformed_json")),
    "UTF-16": (of_bytes(lambda raw: raw.decode().encode("utf-16")), (400, "malformed_json")),
    "bad UTF-8": (of_bytes(lambda raw: raw.replace(b"good", b"g\xff")), (400, "malformed_json")),
    "a list": (of_bytes(lambda raw: b"[" + raw + b"]"), (422, "body_not_an_object")),
    "a string": (of_bytes(lambda _: b'"good"'), (422, "body_not_an_object")),
    "null": (of_bytes(lambda _: b"null"), (422, "body_not_an_object")),
    "nothing in it": (of_bytes(lambda _: b"{}"), (422, "missing_field")),
    "NaN": (more(b"NaN"), (422, "number_not_finite")),
    "infinity": (more(b"-Infinity"), (422, "number_not_finite")),
    "too large a number": (more(b"1e999"), (422, "number_not_finite")),
    "too long a number": (more(b"9" * 5000), (422, "number_not_finite")),
    "duplicate key": (of_bytes(twice), (422, "duplicate_key")),
    "duplicate key inside": (more(b'{"a": 1, "a": 2}'), (422, "duplicate_key")),
    "deep": (more(b"[" * 70 + b"]" * 70), (422, "nested_too_deeply")),
    "very deep": (more(b"[" * 50_000), (422, "nested_too_deeply")),
    "many values": (more(b"[" + b"1," * 130_000 + b"1]"), (413, "too_many_values")),
    "surrogate elsewhere": (more(b'"\\ud800"'), (422, "invalid_unicode")),
    "unknown field": (more(b"1"), (422, "unknown_field")),
    "unknown field of null": (more(b"null"), (422, "unknown_field")),
    "a body too large": (more(b'"' + b"a" * 1_100_000 + b'"'), (413, "body_too_large")),
    "no key": (of_headers(authorization=""), (401, "unauthenticated")),
    "wrong key": (of_headers(authorization="Bearer hl_wrong"), (401, "unauthenticated")),
    "key in another scheme": (of_headers(authorization="Basic aGxfYXBw"), (401, "unauthenticated")),
    "key that may not call": (of_headers(authorization="Bearer hl_reader"), (403, "scope_missing")),
    "key of another team": (of_headers(authorization="Bearer hl_other"), (404, "endpoint_not_found")),
    "another content type": (of_headers(content_type="text/plain"), (415, "wrong_content_type")),
    "another charset": (of_headers(content_type="application/json; charset=gbk"), (415, "wrong_content_type")),
    "compressed": (of_headers(content_encoding="gzip"), (415, "content_encoding_not_taken")),
    "no deadline": (of_headers(x_timeout_s="0"), (422, "invalid_timeout")),
    "a wrong deadline": (of_headers(x_timeout_s="soon"), (422, "invalid_timeout")),
    "too late a deadline": (of_headers(x_timeout_s="1e9"), (422, "invalid_timeout")),
    "unknown endpoint": (of_endpoint("none-such"), (404, "endpoint_not_found")),
    "private endpoint": (of_endpoint(".sentiment"), (404, "endpoint_not_found")),
    "no name": (of_endpoint("Not_A_Name"), (404, "endpoint_not_found")),
    "a long name": (of_endpoint("n" * 300), (404, "endpoint_not_found")),
}
SYNTAX = {
    "byte order mark": b"\xef\xbb\xbf{}", "comment": b"{} // good", "Python's true": b'{"a": True}', "undefined": b'{"a": undefined}',
    "bad escape": b'{"a": "\\x41"}', "cut escape": b'{"a": "\\u12"}', "open string": b'{"a": "good',
    "line break in a string": b'{"a": "go\nod"}',
    "control in a string": b'{"a": "\x01"}', "NUL": b'{"a": "\x00"}', "leading zero": b'{"a": 01}', "plus": b'{"a": +1}',
    "bare point": b'{"a": .5}',
    "point at the end": b'{"a": 1.}', "hexadecimal": b'{"a": 0x1}', "no colon": b'{"a" 1}', "no key": b'{: 1}', "number as key": b'{1: 2}',
    "no comma": b'{"a": 1 "b": 2}', "two commas": b'{"a": 1,, "b": 2}', "wrong bracket": b'{"a": [1}', "open object": b'{"a": 1',
    "only space": b"  \n",
    "overlong UTF-8": b'{"a": "\xc0\xaf"}', "encoded surrogate": b'{"a": "\xed\xa0\x80"}', "UTF-32": "{}".encode("utf-32"),
}  # fmt: skip
NUMBERS = {
    "infinity, positive": b"Infinity",
    "1E400": b"1E400",
    "-1e999": b"-1e999",
    "2**64": b"18446744073709551616",
    "below -2**63": b"-9223372036854775809",
}
UNKNOWN = {"of a list": b"[]", "of an object": b"{}", "of a text": b'"good"', "of a boolean": b"false"}
DEADLINES = ("-1", "nan", "inf", "1e3", "1,5", "0.0", "+1", "1_0", "0x1", "99999999999999999", "1.2.3")
KINDS = (
    "application/jsonx",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "application/json; charset=utf-16",
    "json",
)
CODINGS = ("br", "deflate", "zstd", "gzip, gzip")
NAMES = ("UPPER", "under_score-", "-minus", "a..b", "sentiments", "..sentiment", "sentiment.")
CASES = (
    {name: (of_inputs(inputs), verdict) for name, (inputs, verdict) in INPUTS.items()}
    | {f"{name} for texts": (of_inputs(value), (422, "invalid_inputs")) for name, value in ALONE.items()}
    | BODIES
    | {f"JSON: {name}": (of_bytes(lambda _, raw=raw: raw), (400, "malformed_json")) for name, raw in SYNTAX.items()}
    | {f"number: {name}": (more(raw), (422, "number_not_finite")) for name, raw in NUMBERS.items()}
    | {f"unknown field {name}": (more(raw), (422, "unknown_field")) for name, raw in UNKNOWN.items()}
    | {f"deadline {text}": (of_headers(x_timeout_s=text), (422, "invalid_timeout")) for text in DEADLINES}
    | {f"content type {text}": (of_headers(content_type=text), (415, "wrong_content_type")) for text in KINDS}
    | {f"coding {text}": (of_headers(content_encoding=text), (415, "content_encoding_not_taken")) for text in CODINGS}
    | {f"endpoint {text}": (of_endpoint(text), (404, "endpoint_not_found")) for text in NAMES}
)
OF_ENDPOINTS = {
    "unknown endpoint", "private endpoint", "no name", "a long name", *(name for name in CASES if name.startswith("endpoint "))
}  # fmt: skip


def test_there_are_mistakes_enough() -> None:
    assert len(CASES) >= 120


@pytest.fixture(scope="module")
def quick(doors) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=doors.url, headers={"authorization": "Bearer hl_app", "content-type": "application/json"}, timeout=30
    ) as found:
        yield found


def is_possible(way: Through, name: str) -> bool:
    """Where no endpoint is said none can be said wrong."""
    return not (way.is_nameless and name in OF_ENDPOINTS)


def verdict_of(answer: httpx.Response) -> VERDICT:
    """Of a refusal, small and in its protocol's own form; a good answer has no code."""
    if answer.status_code == 200:
        return ANSWERED
    error = answer.json()
    error = error if isinstance(error["error"], str) else error["error"]
    assert len(answer.content) <= 4096
    assert error["type"]
    return answer.status_code, error["code"]


@pytest.mark.parametrize(
    ("way", "name"),
    [pytest.param(way, name, id=f"{way.task}-{way.name}-{name}") for way in WAYS for name in CASES if is_possible(way, name)],
)
def test_the_same_mistake_gets_the_same_verdict_at_every_door(quick, way: Through, name: str) -> None:
    make, verdict = CASES[name]
    if way.task == "reranking" and name.endswith(" for texts"):
        verdict = 422, "invalid_ranking"  # its inputs are an object everywhere
    if name == "key of another team" and way.is_nameless and way.name != "moderation":
        verdict = 404, "no_default_endpoint"  # that team has none
    path, body, headers = make(way)
    assert verdict_of(quick.post(path, content=body, headers=headers)) == verdict


BY_KIND: dict[tuple[str, str], list[Through]] = {}
for each in MORE_WAYS:
    BY_KIND.setdefault((each.task, "zero-shot" if "zero-shot" in each.name else ""), []).append(each)
ANSWERED = (200, "")
OBJECTS = ("object among texts", "empty object among texts", "object for texts", "empty object for texts")
IN_WINDOWS = ("too many tokens", "too many tokens in the last", "one token too many")
BESIDE_A_MASK = ("combining marks alone", "control characters alone", "zero width alone")
# What these tasks see otherwise, at every door alike.
OTHERWISE: dict[tuple[str, str], VERDICT] = (
    {("text-generation", name): (422, "invalid_messages") for name in OBJECTS}
    | {("question-answering", f"{name} for texts"): (422, "invalid_question") for name in ALONE}
    | {("question-answering", name): ANSWERED for name in IN_WINDOWS}
    | {("fill-mask", name): ANSWERED for name in BESIDE_A_MASK}
)


@pytest.mark.parametrize("kind", BY_KIND, ids="-".join)
def test_the_same_mistake_gets_the_same_verdict_at_every_door_of_other_tasks(doors, quick, kind: tuple[str, str]) -> None:
    """All mistakes through all doors of a task."""
    found: dict[str, dict[str, VERDICT]] = {}
    for way in BY_KIND[kind]:
        for name, (make, _) in CASES.items():
            path, body, headers = make(way)
            answer = quick.post(path, content=body, headers=headers)
            found.setdefault(name, {})[way.name] = verdict_of(answer)
    due = {name: OTHERWISE.get((kind[0], name), verdict) for name, (_, verdict) in CASES.items()}
    assert {name: verdicts for name, verdicts in found.items() if set(verdicts.values()) != {due[name]}} == {}


BAD = {"empty": (" ", 422), "too long": ("good " * 65, 413), "surrogate": ("a\ud800", 422)}
WHOLE = [way for way in (*WAYS, *MORE_WAYS) if not way.name.startswith("oip-binary")]  # whose requests are those of the other


SENTENCES_OF_LABELS = 3  # of two labels, and the neutral one


def rows_of(stack) -> float:
    """That engines have run, of all endpoints."""
    lines = [line for line in stack.client.get("/metrics").text.splitlines() if line.startswith("hanlin_worker_rows_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("way", WHOLE, ids=lambda way: f"{way.task}-{way.name}")
def test_one_bad_text_of_32_is_named_and_nothing_is_computed(doors, quick, way: Through) -> None:
    """C033: whichever of them it is; without it the others are answered, and these rows alone have cost anything."""
    before = rows_of(doors)
    for name, (bad, status) in BAD.items():
        if name == "too long" and way.task == "question-answering":
            continue  # is read in windows
        for place in (0, 17, 31):
            texts = ["good"] * 32
            texts[place] = bad
            answer = quick.post(way.where(), content=json.dumps(way.body(texts)).encode())
            error = answer.json()
            error = error if isinstance(error["error"], str) else error["error"]
            assert (answer.status_code, error.get("index")) == (status, place), (name, error)
    assert quick.post(way.where(), json=way.body(["good"] * 31)).status_code == 200
    due = before + 31 + (SENTENCES_OF_LABELS if "zero-shot" in way.name else 0)
    for _ in range(200):
        if (done := rows_of(doors)) >= due:
            break
        doors.pause()
    assert done == due
