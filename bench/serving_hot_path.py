"""Where each microsecond of a one-text request goes, and what everything but the engine costs.

usage: python bench/serving_hot_path.py [--quick] [--step-ms 3] [--row-ms 1]

First each part of the road alone, in this process: CPU time, the best of many rounds. Then the real gateway and worker processes over
the `fake` engine, which sleeps for `step-ms` + `row-ms` a row (a real engine's time on this machine) and computes nothing: CPU
seconds per 1,000 requests of each process, load driver excluded. Prints a Markdown section and a JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from gateway_alone import ANSWER, LABELS, TOGETHER, FullRouter, NoRouter, through_protocol
from hanlin.accounts import Accounts
from hanlin.demo.server import free_port
from hanlin.gateway import strict_json
from hanlin.gateway.app import create_app
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.http_guard import Guard
from hanlin.observe.logs import configure_logs
from hanlin.serving.batcher import Batcher
from hanlin.serving.wire import Answer, Call, pack, unpack_from_gateway, unpack_from_worker
from hanlin.settings import Settings
from hanlin.storage.database import Database
from hanlin.tasks.base import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.spec import ModelSpec
from http_load import http_requests
from servers import BUILD, Server, cpu_between, drive
from texts import short_texts, write_bodies


def fake_model(folder: Path, **fake: float) -> Path:
    """A classifier with MiniLM's tokenizer whose engine sleeps."""
    from hanlin.datasets import bundled

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(bundled.minilm(BUILD / "packages") / "tokenizer.json", folder)
    ModelSpec(task="text-classification", labels=LABELS, max_length=256, pad_id=0, languages=("en",)).save(folder)
    (folder / "fake.json").write_text(json.dumps(fake))
    return folder


def microseconds(work: Callable[[], object], *, calls: int, rounds: int = 30) -> float:
    """CPU microseconds of one of the `calls` that `work` does; the best round, which neighbours on the machine disturbed least."""
    best = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        best = min(best, time.process_time() - began_s)
    return best / calls * 1e6


async def _echo(scope: object, receive: Callable[[], object], send: Callable[[object], object]) -> None:
    await receive()  # type: ignore[misc]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]


def gateway_parts(home: Path, bodies: list[bytes]) -> Iterator[tuple[str, float]]:
    """The gateway's parts: name and microseconds a request."""
    import uvloop

    database = Database(f"sqlite:///{home / 'hanlin.db'}")
    database.migrate()
    accounts = Accounts(database)
    header = f"Bearer {accounts.ensure_owner_key(home)}"
    requests = http_requests(bodies, "/models/m", [f"authorization: {header}"])
    settings = Settings(home=home)
    configure_logs("bench", path=home / "logs" / "bench.log")
    guard = Guard(settings.max_header_bytes)
    app = create_app(Dataplane(accounts, settings=settings, router=NoRouter()))
    yield "read strictly (guard)", microseconds(lambda: [guard.feed(request) for request in requests], calls=len(requests))
    whole = uvloop.run(through_protocol(_echo, settings, requests))
    yield "HTTP protocol, guard included, empty answer", whole
    full = create_app(Dataplane(accounts, settings=settings, router=FullRouter()))
    full.valve.close = lambda *_, **__: None  # type: ignore[method-assign]
    yield "a worker's refusal, passed on", uvloop.run(through_protocol(full, settings, requests))
    full = create_app(Dataplane(accounts, settings=settings, router=FullRouter()))
    yield "a refusal at the valve, when a worker has just refused the same caller", uvloop.run(through_protocol(full, settings, requests))
    yield "whole gateway but its way to the worker", uvloop.run(through_protocol(app, settings, requests))
    logging.getLogger("hanlin.access").setLevel(logging.ERROR)
    yield "the same without log lines", uvloop.run(through_protocol(app, settings, requests))
    yield "of which: who calls", microseconds(lambda: [accounts.authenticate(header) for _ in bodies], calls=len(bodies))
    parse = lambda: [strict_json.parse_object(body, allowed=("inputs", "parameters"), required=("inputs",)) for body in bodies]  # noqa: E731
    yield "of which: JSON", microseconds(parse, calls=len(bodies))
    database.close()


def frame_parts(texts: list[str]) -> Iterator[tuple[str, float]]:
    """Frames between gateway and worker."""
    contents = [msgspec.msgpack.encode([text, {}]) for text in texts]
    calls = [pack(Call(number + 1, msgspec.Raw(content), 29.9, "key_0123456789abcdef")) for number, content in enumerate(contents)]
    answers = [pack(Answer(number + 1, ANSWER, 1, 20, 0.1, 0.1, 1.0)) for number in range(len(texts))]

    def there() -> None:
        for number, text in enumerate(texts):
            pack(Call(number, msgspec.Raw(msgspec.msgpack.encode([text, {}])), 29.9, "key_0123456789abcdef"))
        for frame in calls:
            unpack_from_gateway(frame[4:])

    def back() -> None:
        for number in range(len(texts)):
            pack(Answer(number, ANSWER, 1, 20, 0.1, 0.1, 1.0))
        for frame in answers:
            unpack_from_worker(frame[4:])

    yield "call frame, written and read", microseconds(there, calls=len(texts))
    yield "answer frame, written and read", microseconds(back, calls=len(texts))


def worker_parts(folder: Path, texts: list[str]) -> Iterator[tuple[str, float]]:
    """The worker's parts, `TOGETHER` calls at once."""
    task, spec, encoder = TASKS.get("text-classification"), ModelSpec.load(folder), TextEncoder.load(folder)
    request = task.check(texts[0], {}, limits=Limits())
    rows = encoder.encode(texts)
    logits = {"logits": np.random.default_rng(0).normal(size=(len(texts), 2)).astype(np.float32)}
    one = {"logits": logits["logits"][:1]}
    yield "check", microseconds(lambda: [task.check(text, {}, limits=Limits()) for text in texts], calls=len(texts))
    yield "encode (clean, tokenise), one at a time", microseconds(lambda: [encoder.encode([text]) for text in texts], calls=len(texts))
    yield "queue and choose", microseconds(lambda: _queue(rows), calls=len(texts))
    yield "pad", microseconds(lambda: pad(rows, 0), calls=len(texts))
    yield "decode, one at a time", microseconds(lambda: [task.decode(one, spec, request.options) for _ in texts], calls=len(texts))
    yield "decode, the batch together", microseconds(lambda: task.decode(logits, spec, request.options), calls=len(texts))
    decoded = task.decode(one, spec, request.options)
    encode = msgspec.json.Encoder().encode
    yield "answer as JSON", microseconds(lambda: [encode(task.answer(decoded, request)) for _ in texts], calls=len(texts))


def _queue(rows: list[list[int]]) -> None:
    batcher = Batcher(max_batch_tokens=4096, max_queue_tokens=65_536)
    for number, row in enumerate(rows):
        batcher.add(number, [len(row)], now_s=0.0, deadline_s=30.0, key="key")
    while batcher.next_batch(0.0):
        pass


def processes(folder: Path, *, seconds: float) -> dict[str, dict[str, float]]:
    """CPU seconds per 1,000 requests of the real processes at 1, 8 and 64 clients."""
    home, port = Path(tempfile.mkdtemp(prefix="hanlin-bench-")), free_port()
    bodies = write_bodies(home / "bodies.jsonl", [{"inputs": text} for text in short_texts(4096)])
    command = [
        sys.executable,
        str(Path(__file__).with_name("our_server.py")),
        str(home),
        str(port),
        json.dumps({"m": [str(folder), "fake-fp32"]}),
    ]
    found: dict[str, dict[str, float]] = {}
    try:
        with Server(command, port=port, log=home / "server.log") as server:
            key = wait_for_key(home)
            server.wait_ready("/models/m", b'{"inputs":"hello"}', {"Authorization": f"Bearer {key}"}, timeout_s=60)
            options = {"headers": [f"authorization: Bearer {key}"]}
            drive(port, "/models/m", bodies, **options, clients=8, seconds=1)  # type: ignore[arg-type]
            for clients in (1, 8, 64):
                before = server.cpu_s()
                load = drive(port, "/models/m", bodies, **options, clients=clients, seconds=seconds)  # type: ignore[arg-type]
                spent = cpu_between(before, server.cpu_s())
                good = int(str(load["good"]))
                parts = {role: sum(value for name, value in spent.items() if f"hanlin {role}" in name) for role in ("gateway", "worker")}
                found[str(clients)] = {
                    "rate": float(str(load["rate"])), **{role: round(1000 * value / good, 3) for role, value in parts.items()},
                    "both": round(1000 * sum(parts.values()) / good, 3), "driver": round(1000 * float(str(load["driver_cpu_s"])) / good, 3),
                }  # fmt: skip
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return found


def wait_for_key(home: Path) -> str:
    """The owner key that `our_server.py` makes in a new home."""
    for _ in range(600):
        with contextlib.suppress(FileNotFoundError):
            return (home / "owner.key").read_text().strip()
        time.sleep(0.1)
    raise RuntimeError("the server made no key")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="two seconds a load instead of eight")
    parser.add_argument("--step-ms", type=float, default=3.0)
    parser.add_argument("--row-ms", type=float, default=1.0)
    options = parser.parse_args()
    texts = short_texts(TOGETHER)
    with tempfile.TemporaryDirectory() as scratch:
        folder = fake_model(Path(scratch) / "model", step_ms=options.step_ms, row_ms=options.row_ms)
        bodies = [json.dumps({"inputs": text}).encode() for text in texts]
        parts = [*gateway_parts(Path(scratch), bodies), *frame_parts(texts), *worker_parts(folder, texts)]
        spent = processes(folder, seconds=2.0 if options.quick else 8.0)
    print("### Where each microsecond of a request goes\n")
    print("| part, alone | CPU µs a request |\n|---|---|")
    for name, value in parts:
        print(f"| {name} | {value:.1f} |")
    print("\n| clients | requests/s | gateway | worker | both: CPU seconds per 1,000 | load driver |\n|---|---|---|---|---|---|")
    for clients, told in spent.items():
        print(f"| {clients} | {told['rate']:.0f} | {told['gateway']} | {told['worker']} | **{told['both']}** | {told['driver']} |")
    print("\n" + json.dumps({"bench": "serving_hot_path", "parts": dict(parts), "processes": spent}))


if __name__ == "__main__":
    main()
