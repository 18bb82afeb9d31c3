"""W3C trace context: taken only as the standard has it, told in the answer."""

from __future__ import annotations

import re

import pytest

from hanlin.gateway.trace import trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"
RESPONSE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def read(*parents: str, states: tuple[str, ...] = ()):
    lines = [(b"traceparent", one.encode("latin-1")) for one in parents] + [(b"tracestate", one.encode("latin-1")) for one in states]
    return trace_of(dict(lines), lines)


@pytest.mark.parametrize(
    ("parent", "flags"),
    [(GOOD, "01"), (GOOD[:-2] + "00", "00"), (GOOD[:-2] + "ff", "01"), (GOOD[:-2] + "02", "00"), (f"cc-{TRACE}-{SPAN}-01", "01"),
     (f"01-{TRACE}-{SPAN}-01-what-will-be", "01")],
)  # fmt: skip
def test_a_trace_goes_on(parent: str, flags: str) -> None:
    found = read(parent)
    assert (found.trace_id, found.flags) == (TRACE, flags)
    assert found.span_id != SPAN
    assert RESPONSE.fullmatch(found.header.decode())


@pytest.mark.parametrize(
    "parents",
    [
        (), ("",), (GOOD.upper(),), (GOOD + "-",), (GOOD + "-x",), (GOOD + " ",), (f"ff-{TRACE}-{SPAN}-01",), (f"00-{'0' * 32}-{SPAN}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",), (f"00-{TRACE[:-1]}-{SPAN}-01",), (f"00-{TRACE}-{SPAN}-1",), (f"0-{TRACE}-{SPAN}-01",),
        (f"00-{TRACE}-{SPAN}",), (f"00_{TRACE}_{SPAN}_01",), (f"00-{'g' * 32}-{SPAN}-01",), (f"cc-{TRACE}-{SPAN}-01.x",),
        (GOOD, GOOD), ("\xff" * 55,),
    ],
)  # fmt: skip
def test_what_is_no_context_begins_a_trace(parents: tuple[str, ...]) -> None:
    found, other = read(*parents, states=("a=1",)), read(*parents)
    assert found.trace_id not in (TRACE, "0" * 32, other.trace_id)
    assert (found.flags, found.state) == ("00", "")
    assert RESPONSE.fullmatch(found.header.decode())


STATES = {
    ("a=1",): "a=1", ("rojo=00f067,congo=t61",): "rojo=00f067,congo=t61", ("a=1", "b=2"): "a=1,b=2", (" a=1 ,\tb=2, ,",): "a=1,b=2",
    ("fw529a3039@dt=FfV h",): "fw529a3039@dt=FfV h", (",".join(f"k{n}=1" for n in range(32)),): ",".join(f"k{n}=1" for n in range(32)),
}  # fmt: skip
BROKEN = [
    ("a=1,a=2",), ("A=1",), ("a",), ("a=",), ("a=b=c",), ("a=\xe9",), ("a=1\r\nx: y",), (",".join(f"k{n}=1" for n in range(33)),),
    (f"a={'1' * 300}",), tuple(f"k{n}={'1' * 100}" for n in range(6)),
]  # fmt: skip


@pytest.mark.parametrize(("states", "kept"), [*STATES.items(), *((states, "") for states in BROKEN)])
def test_the_state_goes_along_when_it_is_well_formed(states: tuple[str, ...], kept: str) -> None:
    found = read(GOOD, states=states)
    assert (found.trace_id, found.state) == (TRACE, kept)


def test_answers_tell_the_trace(stack) -> None:
    for method, path, status in (("POST", "/models/sentiment", 200), ("GET", "/healthz", 200), ("GET", "/models/none-such", 404)):
        body = {"inputs": "good"} if method == "POST" else None
        answer = stack.client.request(method, path, json=body, headers={"traceparent": GOOD, "x-request-id": f"mine-{status}"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, f"mine-{status}")
        trace, span, flags = RESPONSE.fullmatch(answer.headers["traceresponse"]).groups()
        assert (trace, flags) == (TRACE, "01")
        assert span != SPAN
        new = RESPONSE.fullmatch(stack.client.request(method, path, json=body).headers["traceresponse"])
        assert new[1] != TRACE
        assert new[3] == "00"


@pytest.mark.parametrize("value", ["a b", "\u00e4", "a" * 129, "<script>", "a;b", ""])
def test_a_request_id_that_could_do_harm_is_replaced(stack, value: str) -> None:
    answer = stack.client.get("/healthz", headers={"x-request-id": value.encode()})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert len(answer.headers.get_list("x-request-id")) == 1
