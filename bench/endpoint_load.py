"""`hanlin bench` on the endpoint of a home: capacity, the held rate, where the time goes; then the same with answers kept.

usage: python bench/endpoint_load.py [--home HOME] [--endpoint sentiment] [--out curve.svg] [--quick]

HOME: a home in which `hanlin demo` has run; without it the demo runs first, in a home below build/.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hanlin.client import Hanlin
from hanlin.demo.server import free_port

BUILD_HOME = Path(__file__).parents[1] / "build" / "bench-home"


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The server's address."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "hanlin", "up", "--home", str(home), "--port", url.rpartition(":")[2], "--grpc-port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def measure(home: Path, url: str, endpoint: str, *options: str) -> dict[str, Any]:
    """What `hanlin bench` says, as a user starts it."""
    environ = {**os.environ, "HANLIN_HOME": str(home), "HANLIN_URL": url}
    command = [sys.executable, "-m", "hanlin", "bench", endpoint, "--json", *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE).stdout)
    return found


def row(name: str, load: dict[str, Any]) -> str:
    """A line of the table."""
    latency, parts = load["latency"], load["parts_ms"]
    engine = parts["queue"] + parts["engine"]
    return (
        f"| {name} | {load['goodput_rps']:,.0f} | {latency['p50_ms']:.2f} | {latency['p99_ms']:.2f} | {engine:.2f} "
        f"| {parts['parse'] + parts['hop'] + parts['decode'] + parts['write'] + parts['encode']:.2f} | {parts['network']:.2f} |"
    )


def main() -> None:
    """Prints a Markdown section and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--endpoint", default="sentiment")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="a second a load")
    options = parser.parse_args()
    home = options.home or BUILD_HOME
    if not (home / "owner.key").is_file():
        subprocess.run([sys.executable, "-m", "hanlin", "demo", "--home", str(home), "--no-serve"], check=True)
    seconds = ("--seconds", "1" if options.quick else "5")
    out = ("--out", str(options.out)) if options.out else ()
    with served(home) as url, Hanlin(url, (home / "owner.key").read_text().strip(), timeout=60, max_retries=20) as hanlin:
        hanlin.endpoints.update(options.endpoint, cache_ttl_s=0)
        hanlin.predict(options.endpoint, "很好")
        found = measure(home, url, options.endpoint, *seconds, *out)
        hanlin.endpoints.update(options.endpoint, cache_ttl_s=3600)
        time.sleep(2.5)  # the longest until a gateway has looked
        kept = measure(home, url, options.endpoint, "--clients", "1,8", "--rates", "", *seconds)
        hanlin.endpoints.update(options.endpoint, cache_ttl_s=0)
    print(f"### One endpoint under load: {found['model']}\n")
    print(f"At most {found['capacity_rps']:,.0f} requests a second; held: {found['held_rps']}; limit: {found['limit']}.\n")
    print("| load | good/s | p50 ms | p99 ms | queue and model ms | rest of the server ms | network and HTTP ms |")
    print("|---|---|---|---|---|---|---|")
    print(*(row(f"{load['clients']} at once", load) for load in found["closed"]), sep="\n")
    print(*(row(f"{load['offered_rps']:,.0f}/s", load) for load in found["open"]), sep="\n")
    print(*(row(f"{load['clients']} at once, {kept['cached_share']:.0%} kept answers", load) for load in kept["closed"]), sep="\n")
    print("\n" + json.dumps({"bench": "endpoint_load", "found": found, "kept": kept}))


if __name__ == "__main__":
    main()
