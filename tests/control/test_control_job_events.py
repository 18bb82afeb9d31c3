"""What is heard of a job: its events stream to the end mark, its log tells its story, in each reader's language."""

from __future__ import annotations

import asyncio
import json

from hanlin.control import jobs
from hanlin.errors import InvalidInput
from hanlin.messages.said import Said


async def test_events_stream_to_the_end_mark_and_resume(http, platform, owner, make_version) -> None:
    """C038: what looks like a frame inside a text does not break the frames."""
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    claimed = platform.jobs.claim("r", ["heavy"], 60)
    platform.jobs.report(claimed, step=1, total=2, metrics={"loss": 0.5})
    platform.jobs.message(claimed, Said("variant_error", {"problem": "line\n\ndata: not a frame\r\n"}))

    async def end() -> None:
        await asyncio.sleep(0.3)
        await asyncio.to_thread(platform.jobs.finish, claimed, {"ok": True})

    async with http.client(http.key()) as client:
        ending = asyncio.create_task(end())
        text = (await client.get(f"/api/v1/jobs/{job.id}/events")).text
        await ending
        frames = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in text.strip().split("\n\n")]
        assert [frame["event"] for frame in frames] == ["progress", "message", "end"]
        assert frames[0]["data"] == '{"step": 1, "total": 2, "metrics": {"loss": 0.5}}'
        rest = (await client.get(f"/api/v1/jobs/{job.id}/events", headers={"last-event-id": frames[1]["id"]})).text
        assert rest.count("event:") == 1
        assert "event: end" in rest
        assert (await client.get(f"/api/v1/jobs/{job.id}/events?after={frames[2]['id']}")).text == ""


def test_the_log_of_a_job_tells_its_story(platform, owner, make_version) -> None:
    """Messages, the figures of each evaluation and every tenth of the way; not the steps between."""
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    claimed = platform.jobs.claim("r", ["heavy"], 60)
    platform.jobs.message(claimed, Said("searching", {"variants": "onnx-int8", "version": "mood:1"}))
    for step in range(1, 101):
        metrics = {"loss": 0.5, "tokens_per_s": 900.0} | ({"validation_loss": step / 100} if step % 50 == 7 else {})
        platform.jobs.report(claimed, step=step, total=100, metrics=metrics)
    platform.jobs.finish(claimed, {"ok": True})
    lines = jobs.logs(platform, owner, job.id).splitlines()
    assert "onnx-int8" in lines[0]
    assert sum("validation_loss=" in line for line in lines) == 2
    assert len(lines) == 1 + 11 + 2 + 1
    assert not any("tokens_per_s" in line for line in lines)
    assert lines[-1].endswith("succeeded")
    path = platform.job_log(job.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a library's warning\n", encoding="utf-8")
    assert jobs.logs(platform, owner, job.id, language="zh").endswith("--- 进程输出 ---\na library's warning\n")


def test_the_log_of_a_failed_job_ends_with_the_reason(platform, owner, make_version) -> None:
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    platform.jobs.fail(platform.jobs.claim("r", ["heavy"], 60), InvalidInput("dataset_empty"))
    assert InvalidInput("dataset_empty").message in jobs.logs(platform, owner, job.id)


async def test_a_stream_that_ends_with_its_gateway_ends_with_an_error(http, platform, owner, make_version) -> None:
    """C067: never with what a reader could take for the end of the job."""
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    platform.jobs.report(platform.jobs.claim("r", ["heavy"], 60), step=1, total=2, metrics={})
    http.dataplane.is_draining = True
    async with http.client(http.key()) as client:
        text = (await client.get(f"/api/v1/jobs/{job.id}/events")).text
    assert [line for line in text.split("\n") if line.startswith("event:")] == ["event: progress", "event: error"]
    assert "server_stopping" in text


async def test_a_job_speaks_each_readers_language_and_one_code(http, platform, owner, make_version) -> None:
    make_version()
    job = jobs.submit(platform, owner, kind="compress", config={"model": "mood"})
    claimed = platform.jobs.claim("r", ["heavy"], 60)
    reason = Said("probe_died", {"variant": "onnx-int8", "signal": 9})
    platform.jobs.message(claimed, Said("variant_failed", {"variant": "onnx-int8", "reason": reason}))
    platform.jobs.finish(claimed, {"ok": True})
    told = {}
    async with http.client(http.key()) as client:
        for language in ("en", "zh"):
            headers = {"accept-language": language}
            answer = (await client.get(f"/api/v1/jobs/{job.id}", headers=headers)).json()
            stream = (await client.get(f"/api/v1/jobs/{job.id}/events", headers=headers)).text
            event = json.loads(stream.split("data: ")[1].split("\n")[0])
            assert event["message"] == answer["message"]
            assert {"code": event["code"], "params": event["params"]} == answer["said"]
            told[language] = answer
    assert told["en"]["message"] == "onnx-int8: failed: the process that measured onnx-int8 died (signal 9)"
    assert told["zh"]["message"] == "onnx-int8：失败：测量 onnx-int8 的进程意外终止（信号 9）"
    assert told["en"]["said"] == told["zh"]["said"]
    assert told["en"]["said"]["params"]["reason"] == {"code": "probe_died", "params": {"variant": "onnx-int8", "signal": 9}}
