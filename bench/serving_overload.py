"""Ten times more calls than the server can answer: what good work is still done, who is refused and how soon, and when it is over.

usage: python bench/serving_overload.py [--seconds 60] [--tokens short|long] [--variant V] [--threads 2] [--quick]

First the peak: 64 clients in a closed loop. Then an open loop of ten times that rate. Then one client at a time until an answer takes no
longer than three times what it took before: recovered. The load driver and every refusal take processor time from the engine on a
machine this small; both are measured, and goodput is also given against the peak less their share. Prints Markdown and a JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from embedder import embedder, usual_variant
from hanlin.demo.server import free_port
from servers import BENCH, Server, cpu_between, drive
from serving_hot_path import wait_for_key
from texts import mixed_texts, short_texts, write_bodies

CORES = 2
OVERLOAD = 10


def one_ms(port: int, key: str) -> float:
    """How long one call takes."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/models/m", b'{"inputs":"hello"}', {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    )
    began_s = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - began_s)


def recovered_s(port: int, key: str, *, usual_ms: float) -> float:
    """Seconds until calls take no longer than three times what is usual, three in a row; at most 30."""
    began_s, good = time.perf_counter(), 0
    while time.perf_counter() - began_s < 30 and good < 3:
        try:
            good = good + 1 if one_ms(port, key) < 3 * usual_ms + 5 else 0
        except OSError:
            good = 0
            time.sleep(0.05)
    return time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tokens", choices=("short", "long"), default="short", help="texts of about 20 tokens, or of 128 to 256")
    parser.add_argument("--variant", default=usual_variant(), help="%(default)s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="ten seconds")
    options = parser.parse_args()
    seconds = 10.0 if options.quick else options.seconds
    texts = short_texts(8192) if options.tokens == "short" else mixed_texts(8192, 128, 256)
    folder = embedder(options.variant)
    with tempfile.TemporaryDirectory(prefix="hanlin-bench-") as place:
        scratch, port = Path(place), free_port()
        bodies = write_bodies(scratch / "bodies.jsonl", [{"inputs": text} for text in texts])
        command = [
            sys.executable,
            str(BENCH / "our_server.py"),
            str(scratch / "home"),
            str(port),
            json.dumps({"m": [str(folder), options.variant]}),
        ]
        with Server([*command, f"threads={options.threads}"], port=port, log=scratch / "server.log") as server:
            key = wait_for_key(scratch / "home")
            headers = [f"authorization: Bearer {key}"]
            server.wait_ready("/models/m", b'{"inputs":"hello"}', {"Authorization": f"Bearer {key}"}, timeout_s=120)
            drive(port, "/models/m", bodies, headers=headers, clients=64, seconds=1)
            usual_ms = min(one_ms(port, key) for _ in range(20))
            peak = drive(port, "/models/m", bodies, headers=headers, clients=64, seconds=min(10.0, seconds))
            before = server.cpu_s()
            rate = OVERLOAD * float(str(peak["rate"]))
            storm = drive(port, "/models/m", bodies, headers=headers, rate=rate, connections=1024, seconds=seconds)
            back_s = recovered_s(port, key, usual_ms=usual_ms)
            spent = cpu_between(before, server.cpu_s())
    gateway_s = sum(value for name, value in spent.items() if "hanlin gateway" in name)
    share = (float(str(storm["driver_cpu_s"])) + gateway_s) / (CORES * seconds)
    goodput = float(str(storm["rate"])) / float(str(peak["rate"]))
    figures = {
        "goodput of peak": round(goodput, 3), "goodput of peak less what driver and gateway took": round(goodput / max(0.05, 1 - share), 3),
        "share of the processor taken by driver and gateway": round(share, 3),
        "accepted p99 over p99 at peak": round(storm["good_ms"]["p99"] / peak["good_ms"]["p99"], 2),  # type: ignore[index]
        "refusals p50 ms": storm["refused_ms"].get("p50", 0.0), "refusals p99 ms": storm["refused_ms"].get("p99", 0.0),  # type: ignore[attr-defined]
        "refusals without Retry-After": storm["without_retry_after"], "recovered after s": round(back_s, 2),
    }  # fmt: skip
    print(f"### Ten times more than it can answer ({options.tokens} texts, {seconds:.0f} s)\n")
    print(f"Peak {peak['rate']}/s, p99 {peak['good_ms']['p99']:.0f} ms; offered {rate:.0f}/s: {storm['statuses']}\n")  # type: ignore[index]
    for name, value in figures.items():
        print(f"- {name}: {value}")
    print("\n" + json.dumps({"bench": "serving_overload", "texts": options.tokens, "peak": peak, "storm": storm, "figures": figures}))


if __name__ == "__main__":
    main()
