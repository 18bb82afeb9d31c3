"""Deploying, deleting, adding and rolling back at once, on a database of each kind: everybody is told something of ours."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hanlin.control import deployments, files, fine_tuning, models
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.rollback import roll_back
from hanlin.errors import HanlinError
from hanlin.settings import Settings, load_settings

WORKERS, ROUNDS, ROOM = 8, 6, 3


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return load_settings({}, home=tmp_path / "home", database_url=database_url, max_fine_tuned=ROOM)


def test_a_model_that_comes_and_goes_is_there_or_not_found(platform, owner, make_version, desired: DeclaredDeployments) -> None:
    """Deploying what was just being deleted was an internal error in every run."""
    make_version()
    begin = threading.Barrier(WORKERS)

    def serve(endpoint: str) -> None:
        made = deployments.deploy(platform, owner, model="mood", endpoint=endpoint)
        desired.set_state(made.id, "ready", None, 1)
        deployments.undeploy(platform, owner, endpoint)
        desired.set_state(made.id, "stopped", None, 1)

    acts = (
        lambda: models.delete_model(platform, owner, "mood"), lambda: serve("one"), make_version,
        lambda: roll_back(platform, owner, "one"), lambda: models.set_alias(platform, owner, "mood", "latest", 1),
        lambda: models.delete_alias(platform, owner, "mood", "latest"), lambda: serve("two"), lambda: serve("one"),
    )  # fmt: skip

    def work(place: int) -> set[str]:
        told = set()
        begin.wait()
        for _ in range(ROUNDS):
            try:
                acts[place]()
            except HanlinError as error:
                told.add(error.family)
        return told

    with ThreadPoolExecutor(WORKERS) as pool:
        told = set().union(*pool.map(work, range(WORKERS)))
    assert told <= {"NotFound", "Conflict"}
    for endpoint in deployments.list_endpoints(platform, owner):
        deployments.undeploy(platform, owner, endpoint.name)
    for spec in desired.list_deployments():
        desired.set_state(spec.id, "stopped", None, 1)


def test_no_more_fine_tunings_than_a_team_may_have_are_queued_at_once(platform, owner) -> None:
    """Bug: each was counted before it was queued: eight at once were all let in, however few there was room for."""
    path = platform.settings.home / "rows.jsonl"
    path.write_bytes(b"{}")
    kept = files.add(platform, owner, path, name=path.name, purpose="fine-tune")
    begin = threading.Barrier(WORKERS)

    def work(seed: int) -> str:
        begin.wait()
        try:
            fine_tuning.create(
                platform, owner, model="lstm", training_file=kept.id, validation_file=None, suffix="", seed=seed, hyperparameters={},
                metadata={},
            )  # fmt: skip
        except HanlinError as error:
            return error.code
        return "queued"

    with ThreadPoolExecutor(WORKERS) as pool:
        told = sorted(pool.map(work, range(WORKERS)))
    assert told == ["queued"] * ROOM + ["too_many_fine_tuned"] * (WORKERS - ROOM)
