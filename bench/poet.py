"""A poet from nothing: our decoder learns poems of Tang and answers `/v1/completions` in lines of five or seven characters.

usage: python bench/poet.py [--rows 4000] [--calls 40] [--set option=value …] [--home FOLDER]

The whole road by the command line, on a server of its own: poems whose lines all have five characters, or seven (gold, simplified), are
added as texts, a Transformer is trained, deployed, and asked for quatrains with the form as a regular expression. Told are the share of
answers in form with the constraint and without it, and poems of both kinds. Ends with 1 when a finished poem breaks its form. `--home`
keeps the server's home, to go on with it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from servers import Server
from serving_hot_path import wait_for_key
from tour import Road
from training_data import CACHE

CHARACTER = "[\u4e00-\u9fff]"
OPTIONS: dict[str, Any] = {
    "epochs": 4,
    "max_length": 128,
    "train_length": 96,
    "vocab_size": 6000,
    "hidden_size": 192,
    "layers": 4,
    "heads": 4,
}
PORT = 18_312
BEGINNINGS = ("春", "月", "山", "秋", "江")


def couplets(size: int, count: int) -> str:
    """The form of so many couplets: two lines of `size` characters each."""
    line = f"{CHARACTER}{{{size}}}"
    return "\\n".join([f"{line}，{line}。"] * count)


REGULAR = re.compile("|".join(f"({couplets(size, 1)}\\n?)+" for size in (5, 7)))


def poems() -> Iterator[str]:
    """Poems of Tang whose lines all have five characters, or all seven."""
    for row in CORPORA.get("chinese-poems").rows(Source(CACHE)):
        if row["kind"] == "tang-shi" and REGULAR.fullmatch(text := str(row["text"])):
            yield text


class Poets(Road):
    """The road, and calls of OpenAI's doors."""

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises httpx.HTTPStatusError."""
        key = (self.home / "owner.key").read_text(encoding="utf-8").strip()
        answer = httpx.post(f"{self.url}{path}", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=300)
        return dict(answer.raise_for_status().json())


def asked(road: Poets, size: int, calls: int, *, is_held: bool) -> list[str]:
    """Finished quatrains that begin with each of the beginnings in turn, drawn with other seeds."""
    found = []
    for seed in range(calls):
        begin = BEGINNINGS[seed % len(BEGINNINGS)]
        rest = f"{CHARACTER}{{{size - 1}}}，{CHARACTER}{{{size}}}。\\n{couplets(size, 1)}"
        body: dict[str, Any] = {"model": "poet", "prompt": begin, "max_tokens": 120, "temperature": 0.9, "top_p": 0.95, "seed": seed}
        body |= {"response_format": {"type": "regex", "value": rest}} if is_held else {}
        answer = road.post("/v1/completions", body)["choices"][0]
        if answer["finish_reason"] == "stop":
            found.append(begin + answer["text"])
    return found


def learn(road: Poets, rows: int, options: dict[str, Any], work: Path) -> dict[str, Any]:
    """From poems to an endpoint; the figures on the test rows."""
    file = work / "poems.jsonl"
    file.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in islice(poems(), rows)), encoding="utf-8")
    road.run("dataset", "add", "tang", str(file), "--task", "text-generation")
    chosen = [part for name, value in options.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    job = road.run("train", "--task", "text-generation", "--dataset", "tang", "--model", "transformer", "--name", "poet", *chosen)
    road.run("deploy", "poet", "--endpoint", "poet")
    return dict(job["result"]["metrics"])


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000, help="poems")
    parser.add_argument("--calls", type=int, default=40, help="of each kind")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the training, its value as JSON")
    parser.add_argument("--home", type=Path)
    chosen = parser.parse_args()
    options = OPTIONS | {name: json.loads(value) for name, _, value in (item.partition("=") for item in chosen.set)}
    told: dict[str, Any] = {"rows": chosen.rows, "options": options}
    with tempfile.TemporaryDirectory() as scratch:
        home, work = chosen.home or Path(scratch) / "home", Path(scratch)
        command = [sys.executable, "-m", "hanlin", "up", "--home", str(home), "--port", str(PORT), "--grpc-port", "0"]
        with Server(command, port=PORT, log=work / "server.log"):
            wait_for_key(home)
            road, began_s = Poets(home, PORT), time.monotonic()
            told |= {"metrics": learn(road, chosen.rows, options, work), "seconds": round(time.monotonic() - began_s)}
            for size in (5, 7):
                form = re.compile(couplets(size, 2))
                for name, is_held in (("held", True), ("free", False)):
                    found = asked(road, size, chosen.calls, is_held=is_held)
                    right = sum(bool(form.fullmatch(poem)) for poem in found)
                    told[f"{name}_{size}"] = {"calls": chosen.calls, "finished": len(found), "in_form": right, "poems": found[:3]}
    print(json.dumps(told, ensure_ascii=False, indent=1))
    sys.exit(any(not 0 < told[f"held_{size}"]["finished"] == told[f"held_{size}"]["in_form"] for size in (5, 7)))


if __name__ == "__main__":
    main()
