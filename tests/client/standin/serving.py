"""Endpoints, predictions, deployments, tasks and keys of the stand-in."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .records import NOW
from .world import World, error


def is_good(text: str) -> bool:
    """The stand-in's whole idea of language."""
    return "好" in text or "wonderful" in text


def embed(inputs: str | list[str], parameters: dict) -> list:
    """A vector of each text's length."""
    rows = [
        [float(len(text)), -1.0, 0.5, 0.25][: parameters.get("dimensions")] for text in ([inputs] if isinstance(inputs, str) else inputs)
    ]
    if parameters.get("normalize"):
        rows = [[value / math.hypot(*row) for value in row] for row in rows]
    return rows[0] if isinstance(inputs, str) else rows


def tag(inputs: str | list[str], parameters: dict) -> list:
    """The first word of each text is somebody's name."""
    key = "entity" if parameters.get("aggregation_strategy", "none") == "none" else "entity_group"
    rows = [
        [{key: "PER", "score": 0.97, "word": text.split()[0], "start": 0, "end": len(text.split()[0])}]
        for text in ([inputs] if isinstance(inputs, str) else inputs)
    ]
    return rows[0] if isinstance(inputs, str) else rows


def rank(inputs: dict, parameters: dict) -> list:
    """The longest text first."""
    order = sorted(range(len(inputs["texts"])), key=lambda index: -len(inputs["texts"][index]))[: parameters.get("top_k")]
    more = [{"text": inputs["texts"][index]} if parameters.get("return_text") else {} for index in order]
    return [{"index": index, "score": 1 / (place + 1), **extra} for place, (index, extra) in enumerate(zip(order, more, strict=True))]


def find(inputs: dict | list[dict], parameters: dict) -> dict | list:
    """The first capitalised word answers every question; of documents that of the last one."""
    if isinstance(inputs, dict) and "context" in inputs:
        return find([inputs], parameters)[0]
    if isinstance(inputs, dict):
        (answer,) = find([{"context": inputs["documents"][-1]}], parameters)
        return {**answer, "document": len(inputs["documents"]) - 1}
    found = []
    for item in inputs:
        words = [word for word in item["context"].split() if word[0].isupper()]
        start = item["context"].index(words[0]) if words else 0
        answer = {"answer": words[0] if words else "", "score": 0.9, "start": start, "end": start + len(words[0]) if words else 0}
        found.append({**answer, "no_answer_score": 0.05})
    return found


def fill(inputs: list[str], parameters: dict) -> list:
    """`cat` stands at every mask, or perhaps `dog`."""
    words = (("cat", 0.9), ("dog", 0.05))
    found = []
    for text in inputs:
        item = [{"score": score, "token": 7, "token_str": word, "sequence": text.replace("[MASK]", word, 1)} for word, score in words]
        found.append(item if text.count("[MASK]") == 1 else [item] * text.count("[MASK]"))
    return found


def write(inputs: object, parameters: dict) -> object:
    """Each text backwards, as long as it may be."""
    most = parameters.get("max_new_tokens", 99)
    ends = {True: "length", False: "stop"}
    texts = inputs if isinstance(inputs, list) else [inputs]
    return [{"generated_text": text[::-1][:most], "finish_reason": ends[len(text) > most]} for text in texts]


def judge_aspect(inputs: list[dict], parameters: dict) -> list:
    """A text is good of what it names."""
    return [[{"label": "pos" if item["text_pair"] in item["text"] else "neg", "score": 0.9}] for item in inputs]


OTHER_TASKS = {"aspects": judge_aspect, "vectors": embed, "names": tag, "ranker": rank, "reader": find, "blanks": fill, "muse": write}


def routes(world: World) -> list[Route]:
    """The routes over `world`."""

    async def predict(request: Request) -> Response:
        body = await request.json()
        endpoint = request.path_params["endpoint"]
        if endpoint in OTHER_TASKS:
            return JSONResponse(OTHER_TASKS[endpoint](body["inputs"], body.get("parameters", {})))
        if endpoint not in ("sentiment", "mood"):
            return error(404, "NotFound", "not_found", f"there is no endpoint {endpoint}", "`hanlin endpoint list` shows them.")
        if isinstance(body["inputs"], dict):
            return error(422, "InvalidInput", "invalid_inputs", "inputs must be a text or a list of texts, not object")
        texts = [body["inputs"]] if isinstance(body["inputs"], str) else body["inputs"]
        for index, text in enumerate(texts):
            if not text:
                return error(422, "InvalidInput", "empty_text", "the text is empty", "Send some text.", index=index)
        top = body.get("parameters", {}).get("top_k")
        rows = [
            sorted(
                ({"label": "pos", "score": 0.9 if is_good(text) else 0.2}, {"label": "neg", "score": 0.1 if is_good(text) else 0.8}),
                key=lambda row: -row["score"],
            )[:top]
            for text in texts
        ]
        return JSONResponse(rows[0] if isinstance(body["inputs"], str) else rows, headers=long_headers(body, texts))

    def long_headers(body: dict, texts: list[str]) -> dict[str, str]:
        """What is said of texts of more than 50 characters."""
        parameters = body.get("parameters", {})
        how = "truncate" if parameters.get("truncation") else parameters.get("long_text")
        long = [index for index, text in enumerate(texts) if len(text) > 50]
        found = {"server-timing": "queue;dur=0.5, encode;dur=0.25, engine;dur=4", "x-hanlin-model": "sentiment-zh:1 openvino-int8"}
        if long and how == "truncate":
            found["x-hanlin-truncated"] = ",".join(map(str, long))
        if long and how == "window":
            found["x-hanlin-windows"] = ",".join(f"{index}=3" for index in long)
        return found

    async def undeploy(request: Request) -> Response:
        world.gone.add(request.path_params["endpoint"])
        return Response(status_code=204)

    async def describe(request: Request) -> Response:
        if request.path_params["endpoint"] in world.gone:
            world.lingers -= 1
            if world.lingers < 0:
                return error(404, "NotFound", "endpoint_not_found", "there is no endpoint of this name")
        return JSONResponse(
            {
                "endpoint": request.path_params["endpoint"],
                "task": "text-classification",
                "labels": ["neg", "pos"],
                "model": "sentiment-zh",
                "version": 1,
                "variant": "openvino-int8",
                "limits": {"max_items": 256},
                "example": {},
            }
        )

    async def deploy(request: Request) -> Response:
        body = await request.json()
        found = {
            "id": f"dep-{len(world.deployments) + 1}",
            "version": 1,
            "state": "starting",
            "reason": None,
            "created_at": NOW,
            "url": f"{world.url}/models/{body['endpoint']}",
            "replicas": 1,
            "variant": "openvino-int8",
            "warnings": world.warnings,
            **body,
        }
        if role := next((name for name in ("canary", "shadow") if body.get(name)), None):
            found |= {"role": role, "weight": body[role]}
            side = {"calls": 120, "failed": 3, "p50_ms": 2.5, "p95_ms": 4.0, "p99_ms": 9.0, "labels": {"neg": 0.25, "pos": 0.75}}
            world.trial = {**found, "state": "ready", "stats": {"trial": side, "live": {**side, "calls": 1080}, "label_drift": 0.1}}
        world.deployments.append(found)
        return JSONResponse(found, 202)

    async def deployments(request: Request) -> Response:
        for found in world.deployments:
            if found["state"] == "starting":
                found.update(state=world.deploy_end)
                if world.deploy_end == "failed":
                    found.update(
                        reason="not enough memory", said={"code": "insufficient_memory", "params": {"needed_mib": 9, "free_mib": 3}}
                    )
        return JSONResponse({"deployments": world.deployments})

    async def rollback(request: Request) -> Response:
        world.rollbacks.append(await request.json())
        return JSONResponse(
            {
                "is_changed": len(world.rollbacks) == 1,
                "id": "dep-0",
                "endpoint": request.path_params["endpoint"],
                "model": "sentiment-zh",
                "version": 1,
                "state": "ready",
                "replicas": 1,
            },
            202,
        )

    def told(request: Request, **changes: object) -> dict[str, object]:
        found = {"id": "dep-9", "endpoint": request.path_params["endpoint"], "model": "sentiment-zh", "version": 2, "state": "ready"}
        return {**found, "variant": "openvino-int8", **changes}

    async def scale(request: Request) -> Response:
        body = await request.json()
        low = body["min_replicas"]
        return JSONResponse(told(request, replicas=low, max_replicas=body["max_replicas"] or low))

    async def promote(request: Request) -> Response:
        world.trial = None
        return JSONResponse(told(request, role="live"), 202)

    async def abort(request: Request) -> Response:
        if world.trial is None:
            return error(409, "Conflict", "no_trial", "no other version is on trial")
        world.trial = None
        return JSONResponse(told(request, role="canary", state="stopped"))

    async def endpoints(request: Request) -> Response:
        return JSONResponse(
            {
                "endpoints": [
                    {
                        "endpoint": "sentiment",
                        "task": "text-classification",
                        "model": "sentiment-zh",
                        "version": 1,
                        "variant": "openvino-int8",
                        "state": "ready",
                        "replicas": 1,
                        "url": f"{world.url}/models/sentiment",
                    }
                ]
            }
        )

    async def endpoint(request: Request) -> Response:
        settings = await request.json() if request.method == "PATCH" else {}
        world.endpoint_settings |= {name: value for name, value in settings.items() if value is not None}
        name = request.path_params["endpoint"]
        found = {"endpoint": name, "id": "dep-seen", "task": "text-classification", "state": "ready", "trial": world.trial}
        return JSONResponse({**found, **world.endpoint_settings})

    async def tasks(request: Request) -> Response:
        return JSONResponse(
            {
                "tasks": [
                    {
                        "name": "text-classification",
                        "main_metric": "accuracy",
                        "columns": ["text", "label"],
                        "example": {"request": {"inputs": "好"}},
                    }
                ]
            }
        )

    async def list_keys(request: Request) -> Response:
        return JSONResponse({"keys": [{name: value for name, value in key.items() if name != "secret"} for key in world.keys]})

    async def create_key(request: Request) -> Response:
        body = await request.json()
        world.keys.append({"id": f"key-{len(world.keys) + 1}", "created_at": NOW, "revoked_at": None, "secret": "hl_" + "s" * 43, **body})
        return JSONResponse(world.keys[-1], 201)

    async def revoke(request: Request) -> Response:
        return Response(status_code=204)

    return [
        Route("/models/{endpoint}", predict, methods=["POST"]),
        Route("/models/{endpoint}", describe),
        Route("/api/v1/deployments", deploy, methods=["POST"]),
        Route("/api/v1/deployments", deployments),
        Route("/api/v1/endpoints", endpoints),
        Route("/api/v1/endpoints/{endpoint}", endpoint, methods=["GET", "PATCH"]),
        Route("/api/v1/endpoints/{endpoint}", undeploy, methods=["DELETE"]),
        Route("/api/v1/endpoints/{endpoint}/rollback", rollback, methods=["POST"]),
        Route("/api/v1/endpoints/{endpoint}/scale", scale, methods=["POST"]),
        Route("/api/v1/endpoints/{endpoint}/promote", promote, methods=["POST"]),
        Route("/api/v1/endpoints/{endpoint}/abort", abort, methods=["POST"]),
        Route("/api/v1/tasks", tasks),
        Route("/api/v1/keys", list_keys),
        Route("/api/v1/keys", create_key, methods=["POST"]),
        Route("/api/v1/keys/{id}", revoke, methods=["DELETE"]),
    ]
