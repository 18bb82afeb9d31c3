"""The control API under `/api/v1`, and OpenAI's files, batches, fine-tunings and stored responses.

Thin routes over `control/`, each with its declared scope.

`create_control_router(platform)` gives the whole of it.
"""

from __future__ import annotations

from fastapi import APIRouter

from hanlin.control.platform import Platform
from hanlin.gateway import (
    control_api_data,
    control_api_jobs,
    control_api_models,
    control_api_serving,
    openai_batches,
    openai_files,
    openai_fine_tuning,
    openai_responses,
    uploads,
)
from hanlin.gateway.dataplane import Dataplane


def create_control_router(platform: Platform, dataplane: Dataplane | None = None) -> APIRouter:
    """Every route of the control API.

    Args:
        dataplane: of this gateway, which is told of endpoints taken away, and says when it ends.
    """
    router = APIRouter()
    for module in (uploads, control_api_data, control_api_models, openai_files, openai_batches, openai_responses):
        router.include_router(module.routes(platform))
    router.include_router(control_api_jobs.routes(platform, lambda: dataplane is not None and dataplane.is_draining))
    router.include_router(control_api_serving.routes(platform, dataplane))
    router.include_router(openai_fine_tuning.routes(platform, dataplane))
    return router
