"""Stacks that tests of a module share: see `stacks.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tests.gateway.grpc_calls import channel_to
from tests.gateway.stacks import PATIENT, STACK, TALKS, Stack
from tests.gateway.told_world import make_world, plugin  # noqa: F401 - fixtures of several files
from tests.gateway.ways import FINDER, MORE_ENDPOINTS, SENSES

from hanlin.generation import GenerationSettings
from hanlin.tasks.meanings import MeaningSchema, Slot
from hanlin.tasks.sql.schema import Column, SqlSchema, Table
from hanlin.tasks.sql.settings import SqlSettings


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Shared by a module: endpoint `sentiment` of team default, `secret` of team other."""
    found = Stack(tmp_path_factory.mktemp("stack") / "home")
    found.add_model("m:1")
    try:
        found.wait_state(found.deploy("m:1"), "ready")
        found.wait_state(found.deploy("m:1", "secret", team="other"), "ready")
        assert found.post("good").status_code == 200
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`ALL_ENDPOINTS` of `ways`, of team default. Shared by all files: nothing is deployed there, nor broken."""
    settings = {"moderation_endpoint": "sentiment", "moderation_labels": "negative", "default_endpoint": "sentiment"}
    found = Stack(tmp_path_factory.mktemp("doors") / "home", **settings)
    try:
        open_doors(found)
        open_more_doors(found)
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose endpoint `muse` writes whatever a random network thinks of; tests may deploy others beside it."""
    from tests.gateway.muse import make_model  # torch

    found = Stack(tmp_path_factory.mktemp("muse") / "home")
    make_model(found.home / "models" / "muse:1")
    try:
        found.wait_state(found.deploy("muse:1", "muse", variant="torch-fp32"), "ready")
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def muse(writers: Stack) -> httpx.Client:
    """A client of `writers`."""
    return writers.client


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`ENDPOINTS` of `ways` with the control API, whose one key is the client's."""
    found = Stack(tmp_path_factory.mktemp("whole") / "home", program=STACK.with_name("whole.py"), **PATIENT)
    try:
        while not (key := found.home / "key.txt").exists():
            assert found.gateway.poll() is None, found.gateway_log.read_text()
            found.pause()
        found.client.headers["authorization"] = f"Bearer {key.read_text()}"
        open_doors(found)
        yield found
    finally:
        found.close()


def open_doors(stack: Stack) -> None:
    """Deploys `ENDPOINTS` of `ways` and waits until they answer."""
    stack.add_model("m:1")
    stack.add_model("v:1", task="embedding", labels=(), dimensions=8)
    stack.add_model("r:1", task="reranking", labels=("relevance",))
    stack.add_model("t:1", task="token-classification", labels=("O", "B-good"), per_token=True)
    stack.add_model(
        "roles:1", task="semantic-role-labelling", labels=("O", "B-V"), per_token=True, spec_more={"finder": FINDER, "senses": SENSES}
    )
    numbers = [stack.deploy("m:1"), stack.deploy("v:1", "vectors"), stack.deploy("r:1", "ranks"), stack.deploy("t:1", "tags")]
    numbers += [stack.deploy("roles:1", "roles")]
    for number in numbers:
        stack.wait_state(number, "ready")
    ranking = {"query": "good", "texts": ["bad"]}
    for endpoint, inputs in (("sentiment", "good"), ("vectors", "good"), ("ranks", ranking), ("tags", "good"), ("roles", "good")):
        assert stack.post(inputs, endpoint).status_code == 200


def open_more_doors(stack: Stack) -> None:
    """Deploys an endpoint of each other task: `MORE_ENDPOINTS` of `ways`."""
    written = {"generation": GenerationSettings(max_new_tokens=8)}
    stack.add_model("mood:1", task="sentiment", spec_more={"scale": (-1.0, 1.0)})
    stack.add_model("answers:1", task="question-answering", labels=("start", "end"), per_token=True, spec_more={"pairs": "joined"})
    stack.add_model("blanks:1", task="fill-mask", labels=(), spec_more={"mask_id": 200}, masks=True)
    stack.add_model("muse:1", task="text-generation", labels=(), spec_more=written | {"chat": TALKS}, writes=True, max_rows=8)
    for task in ("translation", "summarization"):
        stack.add_model(f"{MORE_ENDPOINTS[task]}:1", task=task, labels=(), spec_more=written, writes=True)
    labels = ("O", "B-room", "I-room", "intent=turn_on", "kind=", "kind=light")
    schema = MeaningSchema({"turn_on": {"room": Slot(is_spoken=True), "kind": Slot(("light",))}})
    stack.add_model("meanings:1", task="semantic-parsing", labels=labels, spec_more={"meanings": schema}, per_token=True)
    queries = SqlSettings(SqlSchema((Table("books", (Column("pages", "number"),)),)), first=10_000, end=3)
    more = {"generation": GenerationSettings(), "queries": queries}
    stack.add_model("queries:1", task="text-to-sql", labels=(), spec_more=more, writes=True)
    numbers = [stack.deploy(f"{endpoint}:1", endpoint) for endpoint in MORE_ENDPOINTS.values()]
    for number in numbers:
        stack.wait_state(number, "ready")


@pytest.fixture(scope="session")
def make_stack() -> type[Stack]:
    """For a test with settings of its own; it closes what it makes."""
    return Stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """One for a single test, which may break it; models and deployments are the test's business."""
    found = Stack(tmp_path / "home", request_timeout_s=20.0)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def run_shown() -> Callable[..., dict[str, Any]]:
    """Runs the first Python block below a heading of a page of docs/, with its address, key and endpoint made real; gives its names."""

    def run(page: str, heading: str, *, url: str, endpoint: str) -> dict[str, Any]:
        text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
        shown = text.partition(heading)[2].partition("```python\n")[2].partition("```")[0]
        for said, meant in (("http://127.0.0.1:8000", url), ("hl_…", "hl_app"), ("my-endpoint", endpoint)):
            assert said in shown
            shown = shown.replace(said, meant)
        names: dict[str, Any] = {}
        exec(shown, names)
        return names

    return run


@pytest.fixture(scope="module")
def channel(doors: Stack) -> Iterator[grpc.Channel]:
    """To the gRPC port of `doors`."""
    with channel_to(doors.grpc) as found:
        yield found
