"""Jobs are checked when they are submitted."""

from __future__ import annotations

import contextlib
import json

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import deployments, jobs
from hanlin.control.job_kinds import JOB_KINDS, check_job
from hanlin.control.job_schemas import EXAMPLES, job_schemas
from hanlin.datasets.options import ReadOptions
from hanlin.errors import Conflict, HanlinError, InvalidInput, NotFound
from hanlin.pipelines.base import PIPELINES
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.training.config import TrainConfig
from hanlin.training.option_rules import BUILT_IN, CHOICES, NEEDS, Case, applies
from hanlin.types import Digest, KeyId, Principal

DIGEST = "a" * 64
FILE = {"path": "a.csv", "sha256": DIGEST, "size_bytes": 1}


def test_every_kind_has_its_pipeline() -> None:
    assert PIPELINES.names() == sorted(JOB_KINDS)


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("dance", {}, "unknown_job_kind"),
        ("train", {"dataset": "none", "model": "lstm", "name": "x"}, "not_found"),
        ("train", {"dataset": "/etc/passwd", "model": "lstm", "name": "x"}, "invalid_name"),
        ("train", {"dataset": "file:///etc/passwd", "model": "lstm", "name": "x"}, "invalid_dataset_reference"),
        ("train", {"dataset": "http://169.254.169.254/", "model": "lstm", "name": "x"}, "invalid_dataset_reference"),
        ("ingest", {"dataset": "d", "files": []}, "invalid_job_config"),
        ("ingest", {"dataset": "d", "files": [FILE]}, "blob_not_found"),
        ("ingest", {"dataset": "d", "files": [FILE | {"path": "../x"}]}, "invalid_file_path"),  # C084: no archives are taken, only paths
        ("ingest", {"dataset": "d", "files": [FILE | {"path": "/etc/passwd"}]}, "invalid_file_path"),
        ("ingest", {"dataset": "d", "files": [FILE | {"path": "C:/x"}]}, "invalid_file_path"),
        ("ingest", {"dataset": "d", "files": [FILE | {"sha256": "A" * 64}]}, "invalid_digest"),
        ("ingest", {"dataset": "d", "files": [FILE], "options": {"colour": "red"}}, "unknown_dataset_option"),
        ("ingest", {"dataset": "d", "files": [FILE], "source": "s3://b"}, "unknown_field"),
        ("evaluate", {"model": "m:1", "query": 1}, "unknown_field"),  # also the name of a part of a request
        ("evaluate", {"model": "m:1", "body": {"model": 1}}, "unknown_field"),
        ("compress", {"model": "none"}, "not_found"),
        ("compress", {"model": "http://169.254.169.254/"}, "invalid_model_reference"),
        ("certify", {"model": "file:///etc/passwd"}, "invalid_model_reference"),
        ("evaluate", {"model": "s3://other/model"}, "invalid_model_reference"),
        ("import", {"name": "m", "files": [FILE], "rows": "http://[::ffff:127.0.0.1]/"}, "invalid_dataset_reference"),
        ("import", {"name": "m", "files": [FILE | {"path": "http://169.254.169.254/x"}]}, "invalid_file_path"),
        ("compress", {"model": "none", "budget": True}, "wrong_field_type"),
        ("compress", {"model": "none", "budget": "0.5"}, "wrong_field_type"),
        ("compress", {"model": "none", "budget": -1}, "invalid_job_config"),
        ("compress", {"model": "none", "target": "beauty"}, "invalid_job_config"),
        ("import", {"name": "$(id)", "files": [FILE]}, "invalid_name"),
        ("import", {"name": "m", "files": [FILE], "labels": ["a", "b\x00"]}, "invalid_job_config"),
        ("evaluate", {"model": "a@b@c"}, "invalid_model_reference"),
    ],
)  # fmt: skip
def test_a_job_that_would_fail_is_refused_at_once(platform, owner, kind, config, code) -> None:
    """Among them C083 and C120: nothing is fetched from an address, there are only names and uploaded bytes; C090: names are plain."""
    with pytest.raises(HanlinError) as caught:
        jobs.submit(platform, owner, kind=kind, config=config)
    assert caught.value.code == code
    assert jobs.list_jobs(platform, owner) == []


def test_a_wrong_field_is_told_in_our_words_in_both_languages() -> None:
    def told(kind: str, config: dict) -> tuple[str, str]:
        with pytest.raises(HanlinError) as caught:
            check_job(kind, config)
        return caught.value.text("en"), caught.value.text("zh")

    english, chinese = told("train", {"model": "lstm", "name": "x"})
    assert (english, chinese) == ("the field 'dataset' is missing", "缺少字段 'dataset'")
    english, chinese = told("compress", {"model": "m", "budgt": 1})
    assert "no field 'budgt'; the nearest is budget" in english
    assert "最接近的是 budget" in chinese
    english, chinese = told("certify", {"model": "m", "rows": "many"})
    assert english == "the field 'rows' has the wrong type: a whole number is expected"
    assert chinese == "字段 'rows' 的类型不对：应为整数"
    assert "the nearest is size_bytes" in told("ingest", {"dataset": "d", "files": [FILE | {"size": 1}]})[0]


@pytest.mark.parametrize("kind", sorted(JOB_KINDS))
def test_the_example_of_a_kind_would_be_taken(kind) -> None:
    """And the description of a kind names exactly the fields that its check knows."""
    check_job(kind, EXAMPLES[kind])
    assert job_schemas()[kind]["properties"].keys() == JOB_KINDS[kind].model_fields.keys()


def is_taken(name: str, value: object) -> bool:
    """Whether some model takes the option for some task where it does something."""
    for case in (Case(model, task) for model in CHOICES["model"] for task in BUILT_IN):
        with contextlib.suppress(InvalidInput):
            if applies(name, case):
                switch, values = NEEDS.get(name, (name, (value,)))
                TrainConfig.from_json({switch: values[0], name: value}, model=case.model, task=case.task)  # type: ignore[arg-type]
                return True
    return False


def test_what_is_described_of_the_options_is_what_is_taken() -> None:
    training = job_schemas()["train"]["properties"]["options"]["properties"]
    assert training.keys() == TrainConfig.__dataclass_fields__.keys() - {"model", "task"}
    for name, schema in training.items():
        for value in (schema[key] for key in ("default", "minimum", "maximum") if key in schema):
            assert is_taken(name, value), (name, value)
        for choice in schema.get("enum", ()):
            assert is_taken(name, choice), (name, choice)
    reading = job_schemas()["ingest"]["properties"]["options"]["properties"]
    for name, schema in reading.items():
        for choice in schema.get("enum", [schema["default"]]):
            ReadOptions.from_json({name: choice})


def test_unknown_variants_are_refused_when_submitted(platform, owner, make_version) -> None:
    make_version()
    with pytest.raises(HanlinError) as caught:
        jobs.submit(platform, owner, kind="compress", config={"model": "mood", "variants": ["magic-int1"]})
    assert caught.value.code == "unknown_variant"


@pytest.mark.parametrize(
    "base", ["http://169.254.169.254/", "file:///etc/passwd", "s3://other", "0.0.0.0:80", "$(id)", "`id`", "a;b", "lstm\n"]
)
def test_c083_a_base_is_one_of_our_networks_or_a_model_by_name(platform, owner, base: str) -> None:
    add_dataset(platform)
    with pytest.raises(HanlinError) as caught:
        jobs.submit(platform, owner, kind="train", config={"dataset": "rows", "model": base, "name": "x"})
    assert caught.value.code in {"invalid_model_reference", "invalid_name", "not_found"}
    assert jobs.list_jobs(platform, owner) == []


def add_dataset(platform, task: str = "text-classification") -> None:
    content = b"rows"
    manifest = Manifest((ManifestFile("train.jsonl", Digest(platform.blobs.put(content)), len(content)),))
    platform.registry.create_dataset_version(DEFAULT_TEAM, "rows", task, manifest, {"rows_kept": 3})


@pytest.mark.parametrize(("options", "named"), [({"seed": 7}, "'seed'"), ({"task": "translation"}, "'task'"), ({"seed": None}, "'seed'")])
def test_an_option_that_contradicts_what_stands_beside_it_is_refused(platform, owner, options, named) -> None:
    add_dataset(platform)
    config = {"dataset": "rows", "model": "lstm", "name": "x", "seed": 3}
    with pytest.raises(InvalidInput) as caught:
        jobs.submit(platform, owner, kind="train", config=config | {"options": options})
    assert (caught.value.code, caught.value.params["name"]) == ("invalid_training_option", named)
    assert jobs.list_jobs(platform, owner) == []
    assert jobs.submit(platform, owner, kind="train", config=config | {"options": {"seed": 3}}).config["seed"] == 3


def test_a_task_that_is_not_the_datasets_is_refused(platform, owner) -> None:
    add_dataset(platform, "translation")
    with pytest.raises(Conflict) as caught:
        jobs.submit(platform, owner, kind="train", config={"dataset": "rows", "model": "lstm", "name": "x"})
    assert caught.value.code == "task_mismatch"
    assert all("`--task translation`" in caught.value.advice(language) for language in ("en", "zh"))
    assert jobs.list_jobs(platform, owner) == []


def test_defaults_are_written_out(platform, owner, make_version) -> None:
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    assert job.config["budget"] == 0.5
    assert job.config["target"] == "throughput"
    assert job.config["rows"] == platform.settings.compression_rows == 10_000
    assert platform.settings.certificate_rows == 200
    for asked, filled in (({}, 200), ({"rows": 7}, 7)):
        assert jobs.submit(platform, owner, kind="certify", config={"model": "mood", **asked}).config["rows"] == filled
    assert (job.lane, job.state, job.key_id) == ("heavy", "queued", owner.key_id)


def test_one_idempotency_key_makes_one_job(platform, owner, make_version) -> None:
    make_version()
    first = jobs.submit(platform, owner, kind="compress", config={"model": "mood"}, idempotency_key="k")
    assert jobs.submit(platform, owner, kind="compress", config={"model": "mood"}, idempotency_key="k").id == first.id
    with pytest.raises(Conflict):
        jobs.submit(platform, owner, kind="compress", config={"model": "mood", "budget": 1}, idempotency_key="k")


def test_a_queued_job_is_cancelled_at_once_and_only_once(platform, owner, stranger, make_version) -> None:
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    with pytest.raises(NotFound):
        jobs.cancel(platform, stranger, job.id)
    assert jobs.cancel(platform, owner, job.id).state == "cancelled"
    assert jobs.cancel(platform, owner, job.id).state == "cancelled"


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("compress", {"model": "mood", "dataset": None, "variants": ["fake-fp32"]}, "unknown_variant"),
        ("compress", {"model": "mood", "dataset": None, "variants": ["vllm-bf16"]}, "engine_apart"),
        ("certify", {"model": "mood", "dataset": None, "variant": "openvino-int8"}, "not_found"),
    ],
)
def test_a_variant_that_cannot_be_had_is_refused_at_once(platform, make_version, kind, config, code) -> None:
    make_version()
    owner = Principal(DEFAULT_TEAM, KeyId("k"), frozenset({"admin"}))
    with pytest.raises(HanlinError) as caught:
        jobs.submit(platform, owner, kind=kind, config=config)
    assert caught.value.code == code


def test_a_name_is_refused_as_what_it_names(platform, owner) -> None:
    with pytest.raises(HanlinError) as caught:
        jobs.submit(platform, owner, kind="ingest", config={"dataset": "A B", "files": [FILE]})
    assert caught.value.text("en").startswith("dataset name")
    assert caught.value.text("zh").startswith("数据集")


@pytest.mark.parametrize(
    ("kind", "task", "code"),
    [
        ("hanlin-lstm", "text-classification", "base_of_another_kind"), ("bert", "text-classification", None),
        ("llama", "text-classification", "base_of_another_kind"), ("bert", "text-generation", "base_of_another_kind"),
        ("llama", "text-generation", None), ("hanlin-decoder", "text-generation", None), ("t5", "translation", None),
        ("hanlin-seq2seq", "translation", None), ("hanlin-seq2seq", "text-generation", "base_of_another_kind"),
        ("bert", "translation", None), ("roberta", "summarization", None),
        ("deberta", "translation", "base_of_another_kind"), ("llama", "translation", "base_of_another_kind"),
        ("distilbert", "text-to-sql", None), ("hanlin-seq2seq", "text-to-sql", "base_of_another_kind"),
        ("t5", "text-to-sql", "base_of_another_kind"),
    ],
)  # fmt: skip
def test_only_networks_that_can_learn_a_task_are_taken_to_be_fine_tuned_on_it(platform, owner, kind, task, code) -> None:
    add_dataset(platform, task)
    content = json.dumps({"model_type": kind}).encode()
    manifest = Manifest((ManifestFile("config.json", Digest(platform.blobs.put(content)), len(content)),))
    platform.registry.create_version(
        DEFAULT_TEAM, "start", "text-classification", manifest=manifest, lineage={}, metrics={}, labels=("a", "b")
    )
    config = {"dataset": "rows", "model": "start:1", "name": "x", "task": task}
    if code is None:
        assert jobs.submit(platform, owner, kind="train", config=config).state == "queued"
        return
    with pytest.raises(InvalidInput) as caught:
        jobs.submit(platform, owner, kind="train", config=config)
    assert caught.value.code == code
    assert f"start:1 is a '{kind}' network, which cannot be fine-tuned for {task}" in caught.value.text("en")
    assert jobs.list_jobs(platform, owner) == []


@pytest.mark.parametrize(
    ("values", "options", "refused"),
    [
        ({"model_type": "bert"}, {"decoder_layers": 2, "head_rate": 3.0}, None),
        ({"model_type": "bert"}, {"adapter": "lora"}, ("invalid_training_option", "'adapter'")),
        ({"model_type": "t5"}, {"decoder_layers": 2}, ("invalid_training_option", "'decoder_layers'")),
        ({"model_type": "hanlin-seq2seq"}, {"head_rate": 3.0}, ("invalid_training_option", "'head_rate'")),
        ({"model_type": "bert", "hidden_act": "relu"}, {}, ("encoder_cannot_start", "hidden_act")),
        ({"model_type": "electra", "hidden_size": 256, "num_attention_heads": 4}, {}, ("encoder_cannot_start", "embedding_size")),
    ],
)
def test_options_and_forms_that_a_decoder_cannot_have_are_refused_at_once(platform, owner, values, options, refused) -> None:
    add_dataset(platform, "translation")
    content = json.dumps(values).encode()
    manifest = Manifest((ManifestFile("config.json", Digest(platform.blobs.put(content)), len(content)),))
    platform.registry.create_version(DEFAULT_TEAM, "start", "fill-mask", manifest=manifest, lineage={}, metrics={}, labels=())
    config = {"dataset": "rows", "model": "start:1", "name": "x", "task": "translation", "options": options}
    if refused is None:
        assert jobs.submit(platform, owner, kind="train", config=config).state == "queued"
        return
    with pytest.raises(InvalidInput) as caught:
        jobs.submit(platform, owner, kind="train", config=config)
    assert (caught.value.code, caught.value.params["name"]) == refused


def test_a_dataset_that_is_being_made_is_told_with_its_job(platform, owner, stranger) -> None:
    making = platform.jobs.submit(DEFAULT_TEAM, "ingest", {"dataset": "rows"}, lane="data")
    config = {"dataset": "rows:1", "model": "lstm", "name": "x"}
    with pytest.raises(NotFound) as caught:
        jobs.submit(platform, owner, kind="train", config=config)
    assert (caught.value.code, caught.value.params["job"]) == ("dataset_being_made", making.id)
    for who, dataset in ((owner, "other"), (stranger, "rows")):
        with pytest.raises(NotFound) as caught:
            jobs.submit(platform, who, kind="train", config=config | {"dataset": dataset})
        assert caught.value.code == "not_found"


def test_what_a_base_cannot_do_is_refused_at_once(platform, owner) -> None:
    manifest = Manifest((ManifestFile("config.json", Digest(platform.blobs.put(b"{}")), 2),))
    version = platform.registry.create_version(
        DEFAULT_TEAM, "start", "text-classification", manifest=manifest, lineage={}, metrics={}, labels=(), is_base=True
    )
    platform.registry.publish(version)
    calls = [
        lambda kind=kind: jobs.submit(platform, owner, kind=kind, config={"model": "start"}) for kind in ("compress", "certify", "evaluate")
    ]
    for call in (*calls, lambda: deployments.deploy(platform, owner, model="start", endpoint="live")):
        with pytest.raises(Conflict) as caught:
            call()
        assert caught.value.code == "base_has_no_head"
