"""How `bench/serving_kills.py` counts: an answer that comes twice, or belongs to another request, is noticed wherever it turns up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def calls() -> ModuleType:
    sys.path.insert(0, str(BENCH))
    try:
        import kill_calls
    finally:
        sys.path.remove(str(BENCH))
    return kill_calls


def said(request: str, text: str, *, status: int = 200) -> bytes:
    """An answer as the server writes it; it repeats its text."""
    head = f"HTTP/1.1 {status} X\r\nx-request-id: {request}\r\nx-hanlin-model: m:1 fake-fp32\r\ncontent-length: {len(text)}\r\n\r\n"
    return head.encode() + text.encode()


async def seen(calls: ModuleType, replies: Callable[[list[tuple[str, str]]], bytes]) -> tuple[dict[str, int], dict[str, int]]:
    """What a caller counts of three requests to a server that says `replies` to all it has been asked so far, and the problems told."""
    asked: list[tuple[str, str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                body = await reader.readexactly(int(fields["content-length"]))
                asked.append((fields["x-request-id"], body.decode().partition(": ")[2].strip('"}')))
                if not (reply := replies(asked)):
                    return
                writer.write(reply)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        texts = [calls.text_of(number) for number in range(3)]
        ledger = calls.Ledger({"m:1": {calls.kind_of(text): text.encode() for text in texts}})
        caller = calls.Caller(ledger, port, "/models/e", "hl_key", may_break=lambda _: False)
        for number, text in enumerate(texts):
            await caller.ask(f"r{number}", text)
        await caller.close()
    assert not ledger.open
    return dict(ledger.seen), dict(ledger.problems)


@pytest.mark.parametrize(
    ("replies", "counts", "problem"),
    [
        (lambda asked: said(*asked[-1]), {"answered": 3}, ""),
        (lambda asked: said(*asked[-1]) * (1 + (len(asked) == 1)), {"answered": 3, "wrong": 1}, "an answer came twice"),
        (lambda asked: said(*asked[-1]) * (1 + (len(asked) == 3)), {"answered": 3, "wrong": 1}, "an answer came twice"),
        (lambda asked: b"".join(said(*one) for one in asked[-2:]), {"answered": 3, "wrong": 2}, "an answer came twice"),
        (lambda asked: said("r9", "x") + said(*asked[-1]), {"answered": 3, "wrong": 3}, "an answer that nobody asked for"),
        (lambda asked: said(asked[-1][0], asked[0][1]), {"answered": 1, "wrong": 2}, "the answer of another text or version"),
        (lambda asked: said(*asked[-1], status=500 if len(asked) == 2 else 200), {"answered": 2, "failed": 1}, "500 w0 w0 w1"),
        (lambda asked: said(*asked[-1]) if len(asked) != 2 else b"", {"answered": 2, "failed": 1}, "IncompleteReadError"),
    ],
    ids=["well", "first twice", "last twice", "the former again", "nobody's", "another's", "refused", "cut"],
)
async def test_what_callers_count(calls: ModuleType, replies: Callable[..., bytes], counts: dict[str, int], problem: str) -> None:
    found, problems = await seen(calls, replies)
    assert found == counts
    assert set(problems) == ({problem} if problem else set())


def test_texts_are_their_own_and_neighbours_differ_in_kind(calls: ModuleType) -> None:
    texts = [calls.text_of(number) for number in range(2000)]
    assert len(set(texts)) == 2000
    assert {len({calls.kind_of(text) for text in texts[begin : begin + calls.KINDS]}) for begin in (0, 101)} == {calls.KINDS}
