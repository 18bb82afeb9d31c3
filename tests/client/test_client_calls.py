"""The SDK against a real server: answers, errors, retries."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, Hanlin, Prediction


def test_classify_one_and_many(hanlin) -> None:
    one = hanlin.classify("sentiment", "质量很好")
    assert isinstance(one, Prediction)
    assert (one.label, one.score) == ("pos", 0.9)
    assert one.by_label() == {"pos": 0.9, "neg": 0.1}
    many = hanlin.classify("sentiment", ["好", "坏"], top_k=1)
    assert [row.label for row in many] == ["pos", "neg"]
    assert all(len(row) == 1 for row in many)


def test_embed_one_and_many(hanlin) -> None:
    assert hanlin.embed("vectors", "abc") == [3.0, -1.0, 0.5, 0.25]
    assert hanlin.embed("vectors", ("a", "ab"), dimensions=2) == [[1.0, -1.0], [2.0, -1.0]]
    with pytest.raises(errors.Internal):
        hanlin.embed("ranker", {"query": "not a list of vectors", "texts": []})


async def test_similarity_is_the_cosine(hanlin, world, standin) -> None:
    near, same = hanlin.similarity("vectors", "abc", ["a", "abc"])
    assert 0 < near < same == pytest.approx(1.0)
    assert hanlin.similarity("vectors", "abc", []) == []
    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert await client.similarity("vectors", "abc", ("a", "abc")) == [near, same]


def test_some_calls_may_have_other_options(hanlin, world) -> None:
    world.faults = ["503"]
    with pytest.raises(errors.NotReady):
        hanlin.with_options(max_retries=0).classify("sentiment", "好")
    world.slow_s = 2.0
    with pytest.raises(errors.DeadlineExceeded):
        hanlin.with_options(timeout=0.2).models.list()
    world.slow_s = 0.0
    assert hanlin.classify("sentiment", "好").label == "pos"


async def test_some_calls_may_have_other_options_async(world, standin) -> None:
    async with AsyncHanlin(world.url, standin.KEY) as client:
        world.slow_s = 2.0
        with pytest.raises(errors.DeadlineExceeded):
            await client.with_options(timeout=0.2, max_retries=0).keys.list()


def test_rerank_gives_places_best_first(hanlin) -> None:
    found = hanlin.rerank("ranker", "which?", ["a", "abc", "ab"], top_k=2, return_text=True)
    assert [(item.index, item.text) for item in found] == [(1, "abc"), (2, "ab")]
    assert hanlin.rerank("ranker", "which?", ["a"])[0].text is None


def test_tag_tokens_reads_tokens_and_entities(hanlin) -> None:
    (one,) = hanlin.tag_tokens("names", "Ada lives here")
    assert (one.label, one.word, one.start, one.end) == ("PER", "Ada", 0, 3)
    assert [row[0].word for row in hanlin.tag_tokens("names", ["Ada x", "Bob y"], aggregation_strategy="none", ignore_labels=[])] == [
        "Ada",
        "Bob",
    ]


async def test_the_other_tasks_can_be_awaited(standin, world) -> None:
    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert await client.embed("vectors", "abc") == [3.0, -1.0, 0.5, 0.25]
        assert (await client.rerank("ranker", "which?", ["a", "ab"]))[0].index == 1
        assert (await client.tag_tokens("names", ["Ada x"]))[0][0].word == "Ada"


def test_predict_gives_the_raw_answer(hanlin) -> None:
    assert hanlin.predict("sentiment", "好", top_k=1) == [{"label": "pos", "score": 0.9}]


def test_what_was_done_to_long_texts_is_told(hanlin) -> None:
    long = "好" * 60
    short, cut = hanlin.classify("sentiment", ["好", long], truncate=True)
    assert (short.is_truncated, cut.is_truncated, cut.num_windows) == (False, True, 1)
    answer = hanlin.ask("sentiment", ["好", long, long], long_text="window")
    assert (answer.truncated, answer.windows, answer.is_cached) == ((), {1: 3, 2: 3}, False)
    assert answer.times_ms == {"queue": 0.5, "encode": 0.25, "engine": 4.0}
    assert answer.model == "sentiment-zh:1 openvino-int8"
    assert hanlin.endpoints.update("sentiment", long_text="window", cache_ttl_s=60).cache_ttl_s == 60


async def test_what_was_done_to_long_texts_is_told_async(world, standin) -> None:
    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert (await client.ask("sentiment", ["好" * 60], truncation=True)).truncated == (0,)
        assert (await client.endpoints.update("sentiment", long_text="truncate")).long_text == "truncate"


@pytest.mark.parametrize("fault", ["503", "429", "cut", "garbage"])
def test_passing_faults_are_retried(hanlin, world, fault) -> None:
    world.faults = [fault, fault]
    assert hanlin.classify("sentiment", "好").label == "pos"
    assert len(world.paths("POST")) == 3


@pytest.mark.parametrize(
    ("fault", "family", "code"), [("429-quota", errors.QuotaExceeded, "quota_used"), ("500", errors.EngineFailed, "model_output_invalid")]
)
def test_lasting_faults_are_not_retried(hanlin, world, fault, family, code) -> None:
    world.faults = [fault]
    with pytest.raises(family) as caught:
        hanlin.classify("sentiment", "好")
    assert caught.value.code == code
    assert len(world.paths("POST")) == 1


def test_what_changes_something_is_not_sent_again_after_a_cut(hanlin, world) -> None:
    world.faults = ["cut"]
    with pytest.raises(errors.NotReady) as caught:
        hanlin.models.publish("sentiment-zh", 2)
    assert caught.value.code == "connection_cut"
    assert len(world.paths("POST")) == 1


def test_a_job_sent_again_after_a_cut_is_one_job(hanlin, world) -> None:
    world.faults = ["cut"]
    job = hanlin.jobs.submit("train", {"dataset": "reviews-zh"})
    assert list(world.jobs) == [job.id]


def test_errors_are_rebuilt_with_the_servers_words(hanlin) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.classify("sentiment", ["好", ""])
    assert caught.value.code == "empty_text"
    assert caught.value.params["index"] == 1
    assert caught.value.message == "the text is empty"
    assert caught.value.next_step == "Send some text."
    assert caught.value.params["request_id"] == "req-1"
    with pytest.raises(errors.NotFound):
        hanlin.classify("nothing", "好")


@pytest.mark.parametrize(("inputs", "found"), [(None, "null"), (7, "int"), (b"a", "bytes")])
def test_what_is_no_text_is_refused_before_sending(hanlin, world, inputs, found) -> None:
    for call in (hanlin.classify, hanlin.embed, hanlin.tag_tokens):
        with pytest.raises(errors.InvalidInput) as caught:
            call("sentiment", inputs)
        assert (caught.value.code, caught.value.params["found"]) == ("invalid_inputs", found)
    assert world.requests == []


def test_lone_surrogate_is_refused_before_sending(hanlin, world) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.classify("sentiment", ["好", "ab\ud800"])
    assert caught.value.code == "invalid_unicode"
    assert caught.value.params == {"index": 1, "position": 2}, "the place in the text, not in the body"
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.models.set_notes("sentiment-zh", "\ud800")
    assert caught.value.code == "text_not_unicode"
    with pytest.raises(errors.InvalidInput):
        hanlin.predict("sentiment", float("nan"))
    assert world.requests == []


def test_names_cannot_leave_their_place_in_the_path(hanlin, world) -> None:
    with pytest.raises(errors.HanlinError):
        hanlin.models.get("../jobs")
    assert all(path != "/api/v1/jobs" for path in world.paths("GET"))


def test_a_wrong_key(world, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with Hanlin(world.url, "hl_wrong") as client:
        with pytest.raises(errors.Unauthenticated):
            client.tasks()
        with pytest.raises(errors.Unauthenticated) as caught:  # the first call of an upload is HEAD: its refusal has no body
            client.blobs.upload(tmp_path / "file")
    assert caught.value.code == "key_refused"


def test_nobody_listens() -> None:
    with Hanlin("http://127.0.0.1:9", "hl_x", max_retries=1) as client, pytest.raises(errors.NotReady) as caught:
        client.tasks()
    assert caught.value.code == "server_unreachable"
    assert "hanlin up" in caught.value.next_step


def test_the_deadline_bounds_the_whole_call(world, standin) -> None:
    world.slow_s = 5.0
    with Hanlin(world.url, standin.KEY, timeout=0.3) as client, pytest.raises(errors.DeadlineExceeded):
        client.classify("sentiment", "好")
    _, _, headers = world.requests[0]
    assert 0 < float(headers["x-timeout-s"]) <= 0.3


async def test_async_speaks_the_same(world, standin) -> None:
    world.faults = ["503", "cut"]
    async with AsyncHanlin(world.url, standin.KEY) as client:
        answers = await asyncio.gather(*(client.classify("sentiment", text) for text in ["好", "坏"] * 20))
        assert [answer.label for answer in answers] == ["pos", "neg"] * 20
        with pytest.raises(errors.InvalidInput):
            await client.classify("sentiment", "")
        assert (await client.models.resolve("sentiment-zh@production")).number == 1


async def test_async_deadline(world, standin) -> None:
    world.slow_s = 5.0
    async with AsyncHanlin(world.url, standin.KEY, timeout=0.3) as client:
        with pytest.raises(errors.DeadlineExceeded):
            await client.classify("sentiment", "好")


def test_models_resolve_like_the_server(hanlin) -> None:
    model = hanlin.models.get("sentiment-zh")
    assert model.version().number == 1, "a candidate is not chosen before a published version"
    assert hanlin.models.resolve("sentiment-zh:2").state == "candidate"
    with pytest.raises(errors.NotFound) as caught:
        hanlin.models.resolve("sentiment-zh@staging")
    assert caught.value.code == "version_missing"
    with pytest.raises(errors.InvalidInput):
        hanlin.models.resolve("Sentiment ZH")


def test_every_call_of_the_control_api(hanlin, world) -> None:
    assert hanlin.datasets.get("reviews-zh").versions[0].rows == 90
    assert hanlin.datasets.list()[0].name == "reviews-zh"
    assert hanlin.models.list()[0].aliases == {"production": 1}
    assert hanlin.models.promote("sentiment-zh", "production", 1).number == 1
    hanlin.models.demote("sentiment-zh", "production")
    hanlin.models.set_notes("sentiment-zh", "备注")
    hanlin.models.publish("sentiment-zh", 2)
    with pytest.raises(errors.Conflict):
        hanlin.models.publish("sentiment-zh", 1)
    assert hanlin.models.card("sentiment-zh", 1).startswith("# sentiment-zh")
    assert hanlin.models.picture("sentiment-zh", 1, "curve") == b"<svg/>"
    hanlin.models.delete("sentiment-zh", 2)
    hanlin.models.delete("sentiment-zh")
    with pytest.raises(errors.Conflict) as caught:
        hanlin.datasets.delete("reviews-zh", 1)
    assert caught.value.code == "dataset_in_lineage"
    hanlin.datasets.delete("reviews-zh", 1, force=True)
    hanlin.datasets.delete("reviews-zh", force=True)
    assert world.deleted == ["/api/v1/datasets/reviews-zh/versions/1", "/api/v1/datasets/reviews-zh"]
    deployment = hanlin.deployments.create("sentiment-zh@production", "sentiment")
    assert hanlin.deployments.wait(deployment).state == "ready"
    assert hanlin.endpoints.list()[0].model == "sentiment-zh"
    assert hanlin.endpoints.get("sentiment").state == "ready"
    rollbacks = [hanlin.endpoints.rollback("sentiment"), hanlin.endpoints.rollback("sentiment", to="sentiment-zh:1", expected="dep-1")]
    assert [(done.version, done.is_changed) for done in rollbacks] == [(1, True), (1, False)]
    assert world.rollbacks[1] == {"to": "sentiment-zh:1", "expected": "dep-1"}
    scaled = hanlin.endpoints.scale("sentiment", 2, 4)
    assert (scaled.replicas, scaled.max_replicas) == (2, 4)
    tried = hanlin.deployments.create("sentiment-zh:2", "sentiment", canary=10)
    assert (tried.role, tried.weight) == ("canary", 10)
    trial = hanlin.endpoints.get("sentiment").trial
    assert trial is not None and trial.stats is not None
    assert hanlin.endpoints.promote("sentiment").role == "live"
    hanlin.deployments.create("sentiment-zh:2", "sentiment", shadow=100)
    assert hanlin.endpoints.abort("sentiment").state == "stopped"
    assert hanlin.describe("sentiment").labels == ("neg", "pos")
    hanlin.endpoints.delete("sentiment")
    key = hanlin.keys.create("app", ["predict"])
    assert key.secret
    assert key.secret not in repr(key)
    assert hanlin.keys.list()[0].secret is None
    hanlin.keys.revoke(key.id)
    assert hanlin.tasks()[0].main_metric == "accuracy"


def test_a_failed_deployment_says_why(hanlin, world) -> None:
    world.deploy_end = "failed"
    with pytest.raises(errors.EngineFailed) as caught:
        hanlin.deployments.wait(hanlin.deployments.create("sentiment-zh", "sentiment"))
    assert "not enough memory" in caught.value.message
    said = hanlin.deployments.list()[-1].said
    assert said == {"code": "insufficient_memory", "params": {"needed_mib": 9, "free_mib": 3}}


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_is_a_step_in_the_path_is_not_sent(hanlin, world, name) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.classify(name, "x")
    assert caught.value.code == "invalid_name"
    assert world.requests == []


@pytest.mark.parametrize("name", ["生产", "a/b", "a%2fb", "a\\b", "a\nb"])
def test_a_name_that_no_path_has_is_refused_by_its_kind(hanlin, world, name) -> None:
    for call, kind in (
        (lambda: hanlin.models.promote("sentiment-zh", name, 1), "alias"),
        (lambda: hanlin.models.get(name), "model"),
        (lambda: hanlin.classify(name, "x"), "endpoint"),
    ):
        with pytest.raises(errors.InvalidInput) as caught:
            call()
        assert (caught.value.code, caught.value.params["kind"]) == ("invalid_name", kind)
    assert world.requests == []
