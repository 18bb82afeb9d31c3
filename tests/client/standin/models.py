"""Datasets and models of the stand-in."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .records import FILE, MODEL, NOW, REPORT
from .world import World, error


def routes(world: World) -> list[Route]:
    """The routes over `world`."""

    async def dataset(request: Request) -> Response:
        if request.path_params["name"] in world.empty_datasets:
            return JSONResponse({"name": request.path_params["name"], "task": "text-classification", "versions": []})
        if request.path_params["name"] != "reviews-zh":
            return error(404, "NotFound", "not_found", "there is no dataset of this name", "`hanlin dataset list` shows them.")
        return JSONResponse(
            {
                "name": "reviews-zh",
                "task": "text-classification",
                "versions": [{"number": 1, "digest": "d" * 64, "rows": 90, "created_at": NOW, "report": REPORT}],
            }
        )

    async def datasets(request: Request) -> Response:
        return JSONResponse(
            {
                "datasets": [
                    {
                        "name": "reviews-zh",
                        "task": "text-classification",
                        "versions": [{"number": 1, "digest": "d" * 64, "rows": 90, "created_at": NOW, "report": REPORT}],
                    }
                ]
            }
        )

    async def delete_dataset(request: Request) -> Response:
        if request.query_params.get("force") != "true":
            return error(409, "Conflict", "dataset_in_lineage", "sentiment-zh:1 was made of it", "--force")
        world.deleted.append(request.url.path)
        return Response(status_code=204)

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [MODEL, *world.empty_models]})

    async def model(request: Request) -> Response:
        if found := [item for item in world.empty_models if item["name"] == request.path_params["name"]]:
            return JSONResponse(found[0])
        if request.path_params["name"] != world.known_model:
            return error(404, "NotFound", "not_found", "there is no model of this name", "`hanlin model list` shows them.")
        return JSONResponse(MODEL)

    async def publish(request: Request) -> Response:
        if request.path_params["number"] == 1:
            return error(409, "Conflict", "already_published", "version 1 is published already")
        return JSONResponse({"number": 2, "state": "published"})

    async def ok(request: Request) -> Response:
        return JSONResponse({"ok": True, "got": (await request.json()) if await request.body() else None})

    async def alias(request: Request) -> Response:
        return JSONResponse({"number": (await request.json())["version"], "state": "published", "warnings": world.warnings})

    async def card(request: Request) -> Response:
        return PlainTextResponse("# sentiment-zh\n\n| a | b |\n", media_type="text/markdown")

    async def picture(request: Request) -> Response:
        return Response(b"<svg/>", media_type="image/svg+xml")

    async def files(request: Request) -> Response:
        digest = hashlib.sha256(FILE).hexdigest()
        world.blobs.setdefault(digest, FILE)
        return JSONResponse({"files": [{"path": "variants/a/model.bin", "sha256": digest, "size_bytes": len(FILE)}]})

    async def check(request: Request) -> Response:
        if (found := world.results.get("found")) is None:
            return error(404, "NotFound", "dataset_not_checked", "nobody has looked", "")
        return JSONResponse({"name": request.path_params["name"], "number": request.path_params["number"], "found": found})

    version = "/api/v1/models/{name}/versions/{number:int}"
    return [
        Route("/api/v1/datasets", datasets),
        Route("/api/v1/datasets/{name}", dataset),
        Route("/api/v1/datasets/{name}/versions/{number:int}/check", check),
        Route("/api/v1/models", models),
        Route("/api/v1/models/{name}", model),
        Route(version + "/publish", publish, methods=["POST"]),
        Route("/api/v1/models/{name}/aliases/{alias}", ok, methods=["DELETE"]),
        Route("/api/v1/models/{name}/aliases/{alias}", alias, methods=["PUT"]),
        Route("/api/v1/models/{name}/notes", ok, methods=["PUT"]),
        Route(version + "/card", card),
        Route(version + "/pictures/{picture}", picture),
        Route(version + "/files", files),
        Route(version, ok, methods=["DELETE"]),
        Route("/api/v1/models/{name}", ok, methods=["DELETE"]),
        Route("/api/v1/datasets/{name}", delete_dataset, methods=["DELETE"]),
        Route("/api/v1/datasets/{name}/versions/{number:int}", delete_dataset, methods=["DELETE"]),
    ]
