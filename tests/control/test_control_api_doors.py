"""Every route of the control API: behind a key, with a declared scope, blind to other teams, deaf to sloppy JSON."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse

from hanlin.control.stored_responses import StoredResponses
from hanlin.gateway.app import create_app
from hanlin.gateway.control_api import create_control_router
from hanlin.gateway.dataplane import Dataplane

DIGEST = "a" * 64
EXAMPLES = {
    "name": "mood", "number": "1", "alias": "production", "picture": "confusion", "job_id": "job_x", "sha256": DIGEST, "endpoint": "live",
    "key_id": "key_x", "deployment_id": "dep-x", "file_id": "file-x", "batch_id": "batch_x", "fine_tuning_job_id": "ftjob-x",
    "response_id": "resp_x",
}  # fmt: skip
BODIES = {
    "/api/v1/jobs": {"kind": "evaluate", "config": {"model": "mood"}},
    "/api/v1/models/{name}/notes": {"notes": "n"},
    "/api/v1/models/{name}/aliases/{alias}": {"version": 1},
    "/api/v1/deployments": {"model": "mood", "endpoint": "live"},
    "/api/v1/keys": {"name": "k", "scopes": ["read"]},
    "/api/v1/endpoints/{endpoint}": {"long_text": "refuse"},
    "/api/v1/endpoints/{endpoint}/scale": {"min_replicas": 1},
    "/v1/fine_tuning/jobs": {"model": "lstm", "training_file": "file-x"},
    "/v1/batches": {"input_file_id": "file-x", "endpoint": "/v1/embeddings", "completion_window": "24h"},
}
RESPONSES = "/v1/responses/"
NAMES_NOTHING = {f"/api/v1/{name}" for name in ("datasets", "tasks", "keys", "models", "endpoints", "deployments", "jobs")}
NAMES_NOTHING |= {"/v1/files", "/v1/batches", "/v1/fine_tuning/jobs"}


def routes(platform) -> list[tuple[str, str, APIRoute]]:
    found = flatten(create_control_router(platform).routes)
    return [(method, route.path, route) for route in found for method in sorted(route.methods)]


def flatten(items) -> list[APIRoute]:
    found: list[APIRoute] = []
    for item in items:
        inner = getattr(item, "original_router", None)  # FastAPI keeps included routers whole
        found += flatten(inner.routes) if inner is not None else [item]
    return found


def fill(path: str, **values: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: (EXAMPLES | values)[found.group(1)], path)


def test_there_are_routes_and_each_declares_its_scope(platform) -> None:
    found = routes(platform)
    assert len(found) >= 30
    for method, path, route in found:
        assert isinstance(route, APIRoute), path
        scope = (route.openapi_extra or {}).get("x-scope")
        assert scope in ({"predict"} if path.startswith(RESPONSES) else {"read", "write", "admin"}), f"{method} {path} declares no scope"


async def test_no_route_answers_without_a_key(http, platform) -> None:
    bodies = set()
    async with http.client() as client:
        for method, path, _ in routes(platform):
            answer = await client.request(method, fill(path), json=BODIES.get(path))
            assert answer.status_code == 401, f"{method} {path}"
            if method != "HEAD":
                bodies.add(json.dumps({name: value for name, value in answer.json()["error"].items() if name != "request_id"}))
    assert len(bodies) == 1


@pytest.mark.parametrize("header", ["Basic abc", "Bearer ' OR 1=1 --", "Bearer hl_" + "a" * 1_000_000, "Bearer hl_ключ", "hl_x", ""])
async def test_a_bad_key_is_refused_with_the_same_words(http, header) -> None:
    async with http.client() as client:
        answer = await client.get("/api/v1/models", headers={"authorization": header.encode()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


async def test_a_scope_is_needed(http, platform) -> None:
    predicts, reads = http.key("predict"), http.key("read")
    async with http.client(predicts) as client:
        for method, path, _ in routes(platform):
            if path.startswith(RESPONSES):  # who may ask may see what was answered
                client.headers["authorization"] = f"Bearer {reads}"
            else:
                client.headers["authorization"] = f"Bearer {predicts}"
            answer = await client.request(method, fill(path), json=BODIES.get(path))
            assert answer.status_code == 403, f"{method} {path}"


async def test_a_query_is_as_strict_as_a_body(http, platform) -> None:
    """Bug: `?limits=5` was passed over, and all were told."""
    async with http.client(http.key()) as client, http.client() as stranger:
        for method, path, route in routes(platform):
            if method == "HEAD":
                continue
            known = {field.alias for field in route.dependant.query_params} | ({"beta"} if path.startswith(RESPONSES) else set())
            asked = {"json": BODIES.get(path), "params": {"limits": "5"}}
            answer = await client.request(method, fill(path), **asked)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_query" if known else "no_query"), (
                f"{method} {path}"
            )
            assert all(name in answer.json()["error"]["message"] for name in ("limits", *known))
            assert (await stranger.request(method, fill(path), **asked)).status_code == 401
        assert (await client.get("/api/v1/jobs?limit=5&state=queued")).status_code == 200
        beta = await client.get("/v1/responses/resp_x?beta=true")
        assert (beta.status_code, beta.json()["error"]["code"]) == (404, "not_found")
        twice = await client.get("/api/v1/jobs?limit=5&limit=6")
        assert (twice.status_code, twice.json()["error"]["code"]) == (422, "duplicate_query")


async def test_another_teams_things_look_like_nothing(http, platform, make_version, owner) -> None:
    """C042: with the other team's key every path with an id answers byte for byte as if the id were unknown."""
    make_version()
    from hanlin.control import batches, deployments, files, fine_tuning, jobs

    endpoint = deployments.deploy(platform, owner, model="mood", endpoint="live")
    job = jobs.submit(platform, owner, kind="evaluate", config={"model": "mood", "dataset": None})
    key, _ = platform.accounts.create_key(owner.team_id, "kept", ["read"])
    (platform.settings.home / "lines").write_text("{}")
    file = files.add(platform, owner, platform.settings.home / "lines", name="lines.jsonl")
    batch = batches.create(platform, owner, file_id=file.id, url="/v1/embeddings", metadata={})
    rows = files.add(platform, owner, platform.settings.home / "lines", name="rows.jsonl", purpose="fine-tune")
    tuning = fine_tuning.create(
        platform, owner, model="lstm", training_file=rows.id, validation_file=None, suffix="", seed=1, hyperparameters={}, metadata={}
    )
    theirs = {"job_id": job.id, "deployment_id": endpoint.id, "key_id": key.id, "file_id": file.id, "batch_id": batches.batch_id(batch)}
    StoredResponses(platform).keep(owner, {"id": "resp_1"}, [], [])
    theirs["response_id"] = "resp_1"
    theirs["fine_tuning_job_id"] = fine_tuning.tuning_id(tuning)
    theirs["sha256"] = platform.registry.get_model(owner.team_id, "mood").versions[0].manifest.find("model.safetensors").sha256
    stranger = http.key(team="other")
    async with http.client(stranger) as client:
        for method, path, _ in routes(platform):
            if (
                (path in NAMES_NOTHING and method != "POST")
                or (method == "PUT" and "blobs" in path)
                or path in {"/api/v1/keys", "/v1/files"}
            ):
                continue
            is_tuned = path == "/v1/models/{endpoint}"  # which takes names of fine-tunings only, whoever has them
            own = {"endpoint": f"ft:{tuning.config['name'][4:].replace('--', ':')}"} if is_tuned else {}
            known = await client.request(method, fill(path, **theirs, **own), json=BODIES.get(path), headers={"x-request-id": "r"})
            assert known.status_code == 404, f"{method} {path} {known.text}"
            if method == "HEAD":
                continue
            unknown_body = json.loads(json.dumps(BODIES.get(path)).replace("mood", "nope")) if path in BODIES else None
            no_ids = {key: value[:-1] + "0" for key, value in theirs.items()}
            url = fill(path, name="nope", endpoint="ft:lstm:default::nope" if is_tuned else "nope", **no_ids)
            unknown = await client.request(method, url, json=unknown_body, headers={"x-request-id": "r"})
            assert unknown.status_code == 404
            assert known.json()["error"].keys() == unknown.json()["error"].keys()
            assert known.json()["error"]["code"] == unknown.json()["error"]["code"], f"{method} {path}"


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"version": %s}' % value for value in (b"NaN", b"Infinity", b"1e999", b'"1"', b"1.0", b"true", b"null", b"[]", b"0", b"-1")),
        b'{"version": 9223372036854775808}', b'{"version": "\\ud800"}', b'{"version": 1, "x": 1}', b'{"version": 1', b"{}", b"[]", b"",
        b"[" * 100_000, b'{"version":' + b"[" * 900 + b"]" * 900 + b"}", b"\xff\xfe", b'{"version": "' + b"x" * 1_000_000 + b'"}',
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
async def test_sloppy_json_is_refused_in_a_small_answer(http, make_version, body) -> None:
    make_version()
    async with http.client(http.key()) as client:
        answer = await client.put("/api/v1/models/mood/aliases/live", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text[:200]
    assert len(answer.content) <= 4096
    assert b"x" * 65 not in answer.content


async def test_another_content_type_is_refused(http, make_version) -> None:
    make_version()
    async with http.client(http.key()) as client:
        answer = await client.put("/api/v1/models/mood/aliases/live", content=b'{"version": 1}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_a_body_over_the_limit_is_refused(http) -> None:
    async with http.client(http.key()) as client:
        answer = await client.put("/api/v1/models/mood/notes", json={"notes": "x" * 3_000_000})
    assert answer.status_code == 413


async def test_openapi_describes_every_route(http, platform) -> None:
    async with http.client() as client:
        described = (await client.get("/openapi.json")).json()
    for method, path, _ in routes(platform):
        operation = described["paths"][path][method.lower()]
        assert operation.get("description"), f"{method} {path}"
        assert operation["security"]


@pytest.mark.parametrize("name", ["..", "a%2Fb", "CON", "a" * 300, "name.", "-x", "😀", "Ünicode", "a b", "$(id)", "x;y", "a\x00b"])
async def test_names_that_could_do_harm_are_refused(http, name) -> None:
    async with http.client(http.key()) as client:
        for body in ({"kind": "ingest", "config": {"dataset": name, "files": [{"path": "a.csv", "sha256": DIGEST, "size_bytes": 1}]}},):
            answer = await client.post("/api/v1/jobs", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_name")
        answer = await client.post("/api/v1/deployments", json={"model": "mood", "endpoint": name[:80]})
        assert answer.status_code == 422


async def test_errors_speak_chinese_when_asked(http) -> None:
    async with http.client(http.key()) as client:
        answer = await client.get("/api/v1/models/none", headers={"accept-language": "zh-CN"})
    assert "没有" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("/api/v1/nothing", "text/html", "no_such_page"),
        ("/api/v1", "*/*", "no_such_page"),
        ("/api/v1x", "*/*", None),
        ("/v1/nothing", "text/html", "no_such_page"),
        ("/v2/nothing", "*/*", "no_such_page"),
        ("/tei/any/nothing", "*/*", "no_such_page"),
        ("/console", "*/*", None),
    ],
)
async def test_an_unknown_address_of_the_api_is_no_page_of_the_console(
    platform, settings, path: str, accept: str, code: str | None
) -> None:
    console = PlainTextResponse("a page")
    app = create_app(Dataplane(platform.accounts, settings=settings), control_router=create_control_router(platform), console_app=console)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.get(path, headers={"accept": accept})
    if code is None:
        assert answer.text == "a page"
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


async def test_a_wrong_method_is_told_what_the_address_takes(http) -> None:
    """C018: 405 with every method of the path in `Allow`."""
    async with http.client(http.key()) as client:
        cases = (("PATCH", "/api/v1/jobs", "GET, POST"), ("DELETE", "/healthz", "GET, HEAD"), ("PUT", "/nowhere", None))
        for method, path, allowed in cases:
            answer = await client.request(method, path)
            assert answer.status_code == (405 if allowed else 404), path
            assert answer.headers.get("allow") == allowed


async def test_a_body_without_a_key_is_not_even_parsed(http) -> None:
    """C040: a stranger's bad body is answered like a stranger's good one."""
    async with http.client() as client:
        json_type = "application/json"
        for body, kind in ((b"{", json_type), (b"a=b", "text/plain"), (b"x" * 3_000_000, json_type), (b"{}", json_type)):
            answer = await client.post("/api/v1/jobs", content=body, headers={"content-type": kind})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("moment", ["2099-01-01", "2099-01-01T00:00:00", "soon", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_an_expiry_without_a_time_zone_or_beyond_the_calendar_is_refused(http, moment) -> None:
    async with http.client(http.key("admin")) as client:
        answer = await client.post("/api/v1/keys", json={"name": "k", "scopes": ["read"], "expires_at": moment})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_field")
        good = await client.post("/api/v1/keys", json={"name": "k", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z"})
        assert good.status_code == 201


async def test_a_crash_in_a_route_is_a_whole_answer_of_ours(http, monkeypatch) -> None:
    """Not the framework's plain text, and the connection ends well."""

    def crash(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("hanlin.control.datasets.list_datasets", crash)
    async with http.client(http.key()) as client:
        answer = await client.get("/api/v1/datasets", headers={"x-request-id": "r1"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["request_id"]) == (500, "internal", "r1")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"kind": "train"}, "missing_field", "'config' is missing"),
        ({"kind": "train", "config": {}, "knd": 1}, "unknown_field", "the nearest is kind"),
        ({"kind": "train", "config": []}, "wrong_field_type", "an object is expected"),
        ({"kind": "train", "config": {}, "idempotency_key": "k" * 201}, "invalid_field", "200"),
    ],
)
async def test_a_wrong_body_is_told_in_our_words(http, body, code, words) -> None:
    async with http.client(http.key()) as client:
        error = (await client.post("/api/v1/jobs", json=body)).json()["error"]
    assert error["code"] == code
    assert words in error["message"]
