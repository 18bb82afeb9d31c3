"""`/v1/files` and `/v1/batches` of a real server, with the package `openai` itself, sync and async."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types import Batch

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(make_server, publish_fakes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    home = tmp_path_factory.mktemp("openai") / "home"
    publish_fakes(home, {"dimensions": 4, "row_ms": 1}, name="m")
    found = make_server(home, HANLIN_MAX_BATCH_FILE_BYTES="4000000", HANLIN_MAX_BATCH_ROWS="20000").start()
    with found.client() as client:
        client.deployments.wait(client.deployments.create("m:1", "vectors"), timeout=120)
    yield found
    found.stop()


@pytest.fixture
def client(server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as found:
        yield found


def line(number: int, **more: object) -> dict[str, object]:
    body = {"model": "vectors", "input": f"w{number % 10} w{number // 10 % 10}"}
    return {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/embeddings", "body": body} | more


def upload(client: openai.OpenAI, lines: list[dict[str, object]]) -> str:
    content = "\n".join(map(json.dumps, lines)).encode()
    return client.files.create(file=("lines.jsonl", content), purpose="batch").id


def create(client: openai.OpenAI, file_id: str, **more: object) -> Batch:
    return client.batches.create(input_file_id=file_id, endpoint="/v1/embeddings", completion_window="24h", **more)  # type: ignore[arg-type]


def ended(client: openai.OpenAI, batch: Batch) -> Batch:
    deadline = time.monotonic() + 120
    while batch.status not in {"completed", "failed", "expired", "cancelled"}:
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    return batch


def read(client: openai.OpenAI, file_id: str | None) -> list[dict]:
    return [] if file_id is None else [json.loads(row) for row in client.files.content(file_id).text.splitlines()]


def test_a_batch_answers_as_the_door_does(client) -> None:
    bad = line(30, body={"model": "vectors", "input": ""}), line(31, body={"model": "missing", "input": "w1"})
    file_id = upload(client, [*(line(number) for number in range(30)), *bad])
    batch = create(client, file_id, metadata={"for": "test"})
    assert (batch.object, batch.endpoint, batch.input_file_id, batch.metadata) == ("batch", "/v1/embeddings", file_id, {"for": "test"})
    assert batch.expires_at == batch.created_at + 86_400
    batch = ended(client, batch)
    assert batch.status == "completed"
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (32, 30, 2)
    rows = read(client, batch.output_file_id)
    assert [row["custom_id"] for row in rows] == [f"row-{number}" for number in range(30)]
    assert len({row["id"] for row in rows}) == 30
    direct = client.embeddings.create(model="vectors", input="w7 w0", encoding_format="float")
    response = rows[7]["response"]
    assert (rows[7]["error"], response["status_code"], bool(response["request_id"])) == (None, 200, True)
    assert response["body"]["data"][0]["embedding"] == pytest.approx(direct.data[0].embedding, abs=1e-6)
    assert response["body"]["usage"] == direct.usage.model_dump()
    errors = read(client, batch.error_file_id)
    assert [(row["custom_id"], row["response"]["status_code"]) for row in errors] == [("row-30", 422), ("row-31", 404)]
    assert errors[0]["response"]["body"]["error"]["code"] == "empty_text"


def test_files_are_kept_listed_read_in_part_and_deleted(client, server) -> None:
    content = json.dumps(line(1)).encode()
    one = client.files.create(file=io.BytesIO(content), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200})
    assert (one.object, one.bytes, one.purpose, one.expires_at - one.created_at) == ("file", len(content), "batch", 7200)
    two = client.files.create(file=("第二.jsonl", content), purpose="batch")
    assert client.files.retrieve(two.id).filename == "第二.jsonl"
    assert [file.id for file in client.files.list(purpose="batch")][:2] == [two.id, one.id]
    assert [file.id for file in client.files.list(purpose="batch", limit=1)][:2] == [two.id, one.id]  # the client turns the pages
    assert client.files.content(one.id).read() == content
    part = client.files.with_raw_response.content(one.id, extra_headers={"range": "bytes=5-"})
    assert (part.http_response.status_code, part.content) == (206, content[5:])
    assert client.files.delete(one.id).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(one.id)


def test_wrong_lines_fail_the_batch_and_are_told_by_number(client) -> None:
    lines = [line(0), line(1, url="/v1/rerank"), line(0), {"custom_id": "x"}]
    batch = ended(client, create(client, upload(client, lines)))
    assert (batch.status, batch.output_file_id, batch.failed_at is not None) == ("failed", None, True)
    assert [(error.line, error.code, error.param) for error in batch.errors.data] == [
        (2, "batch_line_url", "url"), (4, "batch_line_method", "method"), (3, "batch_line_twin", "custom_id"),
    ]  # fmt: skip


def test_a_cancelled_batch_keeps_what_was_done(client) -> None:
    batch = create(client, upload(client, [line(number) for number in range(20_000)]))
    deadline = time.monotonic() + 60
    while not (batch := client.batches.retrieve(batch.id)).request_counts.completed:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert batch.status == "in_progress"
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    batch = ended(client, batch)
    assert batch.status == "cancelled"
    rows = read(client, batch.output_file_id)
    assert 0 < len(rows) == batch.request_counts.completed < 20_000
    assert [row["custom_id"] for row in rows] == [f"row-{number}" for number in range(len(rows))]


def test_lines_that_were_not_asked_in_time_stand_among_the_errors(client, server) -> None:
    file_id = upload(client, [line(number) for number in range(20_000)])
    with server.client() as hanlin:
        sent = hanlin.blobs.upload(write(server.home, [line(number) for number in range(20_000)]))[0].model_dump()
        job = hanlin.jobs.submit("batch", {"url": "/v1/embeddings", "file": sent | {"path": f"{file_id}.jsonl"}, "window_s": 4})
    batch = ended(client, client.batches.retrieve(job.id.replace("job_", "batch_")))
    assert (batch.status, batch.input_file_id, batch.expires_at - batch.created_at) == ("expired", file_id, 4)
    assert batch.request_counts.completed + batch.request_counts.failed == batch.request_counts.total == 20_000
    good, bad = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert [row["custom_id"] for row in [*good, *bad]] == [f"row-{number}" for number in range(20_000)]
    assert bad[0]["response"] is None
    assert {row["error"]["code"] for row in bad} == {"batch_expired"}


def write(home: Path, lines: list[dict[str, object]]) -> Path:
    path = home / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_batches_are_listed_in_pages_newest_first(client) -> None:
    file_id = upload(client, [line(1)])
    made = [create(client, file_id).id for _ in range(3)]
    page = client.batches.list(limit=2)
    assert ([batch.id for batch in page.data], page.has_more) == (made[:0:-1], True)
    assert [batch.id for batch in client.batches.list(limit=2)][:3] == made[::-1]
    ended(client, client.batches.retrieve(made[-1]))


async def test_the_async_client_does_the_same(server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        file = await client.files.create(file=("a.jsonl", json.dumps(line(3)).encode()), purpose="batch")
        batch = await client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
        for _ in range(600):
            batch = await client.batches.retrieve(batch.id)
            if batch.status == "completed":
                break
            await asyncio.sleep(0.1)
        content = await client.files.content(batch.output_file_id or "")
        assert json.loads(content.text)["custom_id"] == "row-3"


@pytest.mark.parametrize(
    ("purpose", "content", "status"), [("assistants", b"{}", 422), ("batch", b"", 422), ("batch", b"x" * 4_000_001, 413)]
)
def test_what_is_no_input_of_a_batch_is_refused(client, purpose: str, content: bytes, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.files.create(file=("a", content), purpose=purpose)  # type: ignore[arg-type]
    assert caught.value.status_code == status


def test_unknown_things_are_not_found_and_wrong_ones_refused(client) -> None:
    with pytest.raises(openai.NotFoundError):
        create(client, "file-nope")
    for call in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            call("batch_nope")
    file_id = upload(client, [line(1)])
    for more in ({"endpoint": "/v1/images/generations"}, {"completion_window": "1h"}):
        with pytest.raises(openai.UnprocessableEntityError):
            client.batches.create(**{"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h", **more})  # type: ignore[arg-type]


def test_scopes_are_asked_for(server) -> None:
    with server.client() as owner:
        secret = owner.keys.create("reader", ["read"]).secret
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=secret, max_retries=0) as client:
        assert client.batches.list(limit=1) is not None
        with pytest.raises(openai.PermissionDeniedError):
            client.files.create(file=("a", b"{}"), purpose="batch")
