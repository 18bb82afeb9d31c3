"""Our server beside others with the same MiniLM on the same machine, and beside the bare engine; one after the other, in one run.

usage: python bench/serving_peers.py [--only ours,mosec-st,…] [--seconds 5] [--variant V] [--threads 2] [--quick]

Each peer runs as its documentation has users run it, with sentence-transformers; `mosec-ov` is the best of them given our own engine
and precision. Their environments are made below build/peers (about 2 GB each, pinned versions). One distinct text of about 20 tokens a
request, at 1, 8 and 64 clients; for ours also 8 clients with 32 texts of 8 to 256 tokens each. Prints a Markdown section and a JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedder import embedder, source, usual_variant
from hanlin.demo.server import free_port
from hanlin.observe.machine import processor
from servers import BENCH, BUILD, Server, cpu_between, drive
from serving_hot_path import wait_for_key
from texts import mixed_texts, short_texts, write_bodies

PINS = ("torch==2.13.0", "transformers==5.23.0", "sentence-transformers==6.2.0", "tokenizers==0.23.3")
MOSEC = ("mosec==0.9.8", "openvino==2026.4.1", *PINS)
CLIENTS = (1, 8, 64)
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server.

    Args:
        requirements: what its environment has.
        command: argv below the environment's folder, given a port.
        body: one text as it takes it.
    """

    venv: str
    requirements: tuple[str, ...]
    command: Callable[[int], list[str]]
    path: str
    body: Callable[[str], object]
    environ: dict[str, str] = field(default_factory=dict)


def _app(name: str) -> str:
    return str(BENCH / "peers" / f"{name}_app.py")


def _text(text: str) -> object:
    return {"text": text}


def _mosec(port: int) -> list[str]:
    return ["bin/python", _app("mosec"), "--port", str(port)]


PRECISION = "bf16" if usual_variant().endswith("bf16") else "f32"  # as OpenVINO names it
PEERS = {
    "mosec-st": Peer("mosec", MOSEC, _mosec, "/inference", _text, {"ENGINE": "st"}),
    "mosec-ov": Peer("mosec", MOSEC, _mosec, "/inference", _text, {"ENGINE": "ov", "PRECISION": PRECISION}),
    "litserve": Peer("litserve", ("litserve==0.2.19", *PINS), lambda port: ["bin/python", _app("litserve"), str(port)], "/embed", _text),
    "bentoml": Peer("bentoml", ("bentoml==1.4.40", *PINS), lambda port: ["bin/bentoml", "serve", "bento_app:Embed", "--port", str(port),
                    "--host", "127.0.0.1", "--working-dir", str(BENCH / "peers")], "/embed", lambda text: {"text": [text]}),
    "infinity": Peer("infinity", ("infinity-emb[server,torch]==0.0.78", "torch==2.13.0"), lambda port: [
                     "bin/infinity_emb", "v2", "--model-id", str(source()), "--port", str(port), "--host", "127.0.0.1", "--engine", "torch",
                     "--device", "cpu", "--no-bettertransformer", "--served-model-name", "m"], "/embeddings",
                     lambda text: {"model": "m", "input": [text]}),
}  # fmt: skip


def environment(peer: Peer) -> Path:
    """Its virtual environment, made when it is not there."""
    folder = BUILD / "peers" / peer.venv
    if not (folder / ".ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
        (folder / ".ready").touch()
    return folder


def load(server: Server, path: str, bodies: Path, headers: Sequence[str], *, clients: int, seconds: float) -> Figures:
    """Figures of one load."""
    before = server.cpu_s()
    found = drive(server.port, path, bodies, headers=headers, clients=clients, seconds=seconds)
    spent = cpu_between(before, server.cpu_s())
    times = found["good_ms"]
    assert isinstance(times, dict)
    statuses = found["statuses"]
    assert isinstance(statuses, dict)
    ended = sum(statuses.values())  # those too that came when the time was over, which are no part of the rate
    return {
        "rate": float(str(found["rate"])), "p50_ms": times.get("p50", 0.0), "p99_ms": times.get("p99", 0.0),
        "cpu_s_per_1000": round(1000 * sum(spent.values()) / max(1, ended), 3), "bad": ended - statuses.get("200", 0),
        "broken": float(str(found["broken"])),
        "driver_cpu_s": float(str(found["driver_cpu_s"])),
    }  # fmt: skip


def measure_peer(name: str, scratch: Path, *, seconds: float, threads: int, openvino_model: Path) -> dict[str, Figures]:
    """All loads of one peer."""
    peer, port = PEERS[name], free_port()
    folder = environment(peer)
    texts = short_texts(4096)
    bodies = write_bodies(scratch / f"{name}.jsonl", [peer.body(text) for text in texts])
    program, *arguments = peer.command(port)
    environ = {"MODEL_DIR": str(source()), "OPENVINO_MODEL": str(openvino_model), "THREADS": str(threads), **peer.environ}
    with Server([str(folder / program), *arguments], port=port, log=scratch / f"{name}.log", environ=environ, cwd=scratch) as server:
        boot_s = server.wait_ready(peer.path, json.dumps(peer.body(texts[0])).encode(), {}, timeout_s=180)
        load(server, peer.path, bodies, (), clients=8, seconds=1)
        found = {str(clients): load(server, peer.path, bodies, (), clients=clients, seconds=seconds) for clients in CLIENTS}
        return found | {"start": {"boot_s": round(boot_s, 1), "memory_mb": round(server.memory_mb())}}


def measure_ours(scratch: Path, folder: Path, variant: str, *, seconds: float, threads: int) -> dict[str, Figures]:
    """All loads of our own server."""
    home, port = scratch / "home", free_port()
    bodies = write_bodies(scratch / "ours.jsonl", [{"inputs": text} for text in short_texts(4096)])
    texts = mixed_texts(4096, 8, 256)
    many = write_bodies(scratch / "mixed.jsonl", [{"inputs": texts[at : at + 32]} for at in range(0, len(texts), 32)])
    command = [sys.executable, str(BENCH / "our_server.py"), str(home), str(port), json.dumps({"m": [str(folder), variant]})]
    with Server([*command, f"threads={threads}"], port=port, log=scratch / "ours.log") as server:
        key = wait_for_key(home)
        headers = [f"authorization: Bearer {key}"]
        boot_s = server.wait_ready("/models/m", b'{"inputs":"hello"}', {"Authorization": f"Bearer {key}"}, timeout_s=120)
        load(server, "/models/m", bodies, headers, clients=8, seconds=1)
        found = {str(clients): load(server, "/models/m", bodies, headers, clients=clients, seconds=seconds) for clients in CLIENTS}
        found["mixed"] = load(server, "/models/m", many, headers, clients=8, seconds=8 * seconds)
        found["mixed"]["rate"] *= 32
        return found | {"start": {"boot_s": round(boot_s, 1), "memory_mb": round(server.memory_mb())}}


def bare(folder: Path, variant: str, *, threads: int, seconds: float) -> Figures:
    """The engine alone."""
    command = [sys.executable, str(BENCH / "bare_engine.py"), str(folder), variant, f"--threads={threads}", f"--seconds={seconds}"]
    found: Figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def ratios(found: dict[str, dict[str, Figures]], alone: Figures) -> Figures:
    """What the project promises, as ratios."""
    ours = found["ours"]
    others = [figures["64"]["rate"] for name, figures in found.items() if name not in ("ours", "mosec-ov")]
    result = {
        "of the bare engine, 64 clients": ours["64"]["rate"] / alone["short_rate"],
        "of the bare engine, 8 clients of 32 mixed texts": ours["mixed"]["rate"] / alone["mixed_rate"],
        "p50 of 1 client over the bare engine's step, ms": ours["1"]["p50_ms"] - alone["one_ms"],
    }
    if others:
        result["times the best peer with sentence-transformers"] = ours["64"]["rate"] / max(others)
    if "mosec-ov" in found:
        result["times mosec with our engine"] = ours["64"]["rate"] / found["mosec-ov"]["64"]["rate"]
    return {name: round(value, 2) for name, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(["ours", *PEERS]))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--variant", default=usual_variant(), help="%(default)s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="ours and mosec-ov, two seconds a load")
    options = parser.parse_args()
    names = ["ours", "mosec-ov"] if options.quick else options.only.split(",")
    seconds = 2.0 if options.quick else options.seconds
    folder = embedder(options.variant)
    model = folder / "variants" / ("openvino-int8" if options.variant.endswith("int8") else "openvino") / "model.xml"
    with tempfile.TemporaryDirectory(prefix="hanlin-bench-") as place:
        scratch = Path(place)
        before = bare(folder, options.variant, threads=options.threads, seconds=seconds / 2)
        found = {name: measure_ours(scratch, folder, options.variant, seconds=seconds, threads=options.threads) if name == "ours" else
                 measure_peer(name, scratch, seconds=seconds, threads=options.threads, openvino_model=model) for name in names}  # fmt: skip
        after = bare(folder, options.variant, threads=options.threads, seconds=seconds / 2)
    alone = {name: round((before[name] + after[name]) / 2, 3) for name in before}
    machine = processor()
    print(f"### Beside other servers\n\n{machine.name}, {machine.cores} cores, {', '.join(machine.flags)}; ", end="")
    print(f"{options.variant}, {options.threads} threads\n")
    print("| server | requests/s at 1 / 8 / 64 | p50 ms at 1 / 64 | p99 ms at 64 | CPU s per 1,000 at 64 | memory MB | start s |")
    print("|---|---|---|---|---|---|---|")
    for name, figures in found.items():
        rates = " / ".join(f"{figures[str(clients)]['rate']:.0f}" for clients in CLIENTS)
        print(f"| {name} | {rates} | {figures['1']['p50_ms']:.1f} / {figures['64']['p50_ms']:.0f} | {figures['64']['p99_ms']:.0f} "
              f"| {figures['64']['cpu_s_per_1000']} | {figures['start']['memory_mb']:.0f} | {figures['start']['boot_s']} |")  # fmt: skip
    print(f"| bare engine | texts/s {alone['short_rate']:.0f} | step {alone['one_ms']:.1f} | | | | |\n")
    told = ratios(found, alone) if "ours" in found else {}
    for name, value in told.items():
        print(f"- {name}: **{value}**")
    if "ours" in found:
        print(f"- texts/s at 8 clients of 32 mixed texts: {found['ours']['mixed']['rate']:.0f}, bare engine {alone['mixed_rate']:.0f}")
    print("\n" + json.dumps({"bench": "serving_peers", "bare": [before, after], "servers": found, "ratios": told}))


if __name__ == "__main__":
    main()
