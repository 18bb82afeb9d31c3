"""From `hanlin up` on an existing home to the first answer, and the gateway's memory.

usage: python bench/serving_start.py [--home HOME] [--rounds 5] [--quick]

HOME: a home in which `hanlin demo` has run; without it the demo runs first, in a home below build/.

Each round starts the server as a user does, asks endpoint `sentiment` over HTTP until it answers, reads the memory of the gateway
process and whether torch is mapped into it, and stops the server.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from hanlin.demo.server import free_port

BUILD_HOME = Path(__file__).parents[1] / "build" / "bench-home"


def one_round(home: Path) -> tuple[float, float, bool]:
    """Seconds to the first answer, gateway MB (RSS), whether torch's library is in the gateway."""
    port = free_port()
    headers = {"Authorization": f"Bearer {(home / 'owner.key').read_text().strip()}"}
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "hanlin", "up", "--home", str(home), "--port", str(port), "--grpc-port", "0"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/models/sentiment", json={"inputs": "很好"}, headers=headers, timeout=30)
                if answer.status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        gateway = next(child for child in psutil.Process(server.pid).children(recursive=True) if "gateway" in " ".join(child.cmdline()))
        has_torch = any("libtorch" in entry.path for entry in gateway.memory_maps())
        return seconds, gateway.memory_info().rss / 2**20, has_torch
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main() -> None:
    """Prints a Markdown section and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    options = parser.parse_args()
    home = options.home or BUILD_HOME
    if not (home / "owner.key").is_file():
        subprocess.run([sys.executable, "-m", "hanlin", "demo", "--home", str(home), "--no-serve"], check=True)
    rounds = [one_round(home) for _ in range(2 if options.quick else options.rounds)]
    seconds = [found[0] for found in rounds]
    memory = max(found[1] for found in rounds)
    print("### Start and memory\n")
    print("| what | figure |\n|---|---|")
    median, slowest = statistics.median(seconds), max(seconds)
    print(f"| `hanlin up` on an existing home to the first answer, of {len(rounds)} | {median:.1f} s (slowest {slowest:.1f}) |")
    print(f"| gateway memory (RSS), largest | {memory:.0f} MB |")
    print(f"| torch in the gateway | {'yes' if any(found[2] for found in rounds) else 'no'} |\n")
    print(json.dumps({"bench": "serving_start", "seconds": seconds, "gateway_mb": memory}))


if __name__ == "__main__":
    main()
