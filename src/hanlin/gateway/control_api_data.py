"""Routes of datasets, tasks and keys."""

from __future__ import annotations

from fastapi import APIRouter

from hanlin.control import datasets, keys, tasks
from hanlin.control.platform import Platform
from hanlin.gateway.control_api_routing import Caller, Number, Routes
from hanlin.gateway.control_api_wire import (
    DatasetAnswer,
    DatasetCheckAnswer,
    DatasetsAnswer,
    KeyAnswer,
    KeyRequest,
    KeysAnswer,
    NewKeyAnswer,
    TaskAnswer,
    TasksAnswer,
)


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["datasets"])

    @data.add("GET", "/datasets", "read")
    def list_datasets(caller: Caller) -> DatasetsAnswer:
        """The team's datasets with their versions and reports."""
        return DatasetsAnswer(datasets=[DatasetAnswer.of(view) for view in datasets.list_datasets(platform, caller)])

    @data.add("GET", "/datasets/{name}", "read")
    def get_dataset(caller: Caller, name: str) -> DatasetAnswer:
        """One dataset; new versions are made by an ingest job."""
        return DatasetAnswer.of(datasets.get_dataset(platform, caller, name))

    @data.add("DELETE", "/datasets/{name}", "write", status=204)
    def delete_dataset(caller: Caller, name: str, force: bool = False) -> None:
        """Deletes a dataset with all its versions; 409 while a job needs it, or a model version was made of it (unless `force`)."""
        datasets.delete_dataset(platform, caller, name, is_forced=force)

    @data.add("DELETE", "/datasets/{name}/versions/{number}", "write", status=204)
    def delete_dataset_version(caller: Caller, name: str, number: Number, force: bool = False) -> None:
        """Deletes one version of a dataset; 409 as for the whole."""
        datasets.delete_dataset(platform, caller, name, number, is_forced=force)

    @data.add("GET", "/datasets/{name}/versions/{number}/check", "read")
    def get_dataset_check(caller: Caller, name: str, number: Number) -> DatasetCheckAnswer:
        """What the newest job of kind `check` found in a version; 404 where there was none."""
        return DatasetCheckAnswer(name=name, number=number, found=datasets.get_check(platform, caller, name, number))

    @data.add("GET", "/tasks", "read")
    def list_tasks(caller: Caller) -> TasksAnswer:
        """The tasks this server knows, each with a worked example."""
        return TasksAnswer(tasks=[TaskAnswer.of(task) for task in tasks.list_tasks(platform, caller)])

    @data.add("GET", "/keys", "admin")
    def list_keys(caller: Caller) -> KeysAnswer:
        """The team's keys, revoked ones included."""
        return KeysAnswer(keys=[KeyAnswer.of(key) for key in keys.list_keys(platform, caller)])

    @data.add(
        "POST", "/keys", "admin", status=201,
        examples={
            "for an application": {"name": "app", "scopes": ["predict"]},
            "that ends": {"name": "visitor", "scopes": ["read", "predict"], "expires_at": "2099-12-31T00:00:00Z"},
        },
    )  # fmt: skip
    def create_key(caller: Caller, body: KeyRequest) -> NewKeyAnswer:
        """A new key. Its secret stands in this answer and nowhere else."""
        key, secret = keys.create_key(platform, caller, name=body.name, scopes=body.scopes, expires_at=body.expires_at)
        return NewKeyAnswer.of_new(key, secret)

    @data.add("DELETE", "/keys/{key_id}", "admin")
    def revoke_key(caller: Caller, key_id: str) -> KeyAnswer:
        """Ends a key; every gateway refuses it within a second."""
        return KeyAnswer.of(keys.revoke_key(platform, caller, key_id))

    return data.router
