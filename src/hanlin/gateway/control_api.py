"""The control API under `/api/v1`: thin routes over `control/`, each with its declared scope.

`create_control_router(platform)` gives the whole of it.
"""

from __future__ import annotations

from fastapi import APIRouter

from hanlin.control.platform import Platform
from hanlin.gateway import control_api_data, control_api_jobs, control_api_models, control_api_serving, uploads


def create_control_router(platform: Platform) -> APIRouter:
    """Every route of the control API."""
    router = APIRouter()
    for module in (uploads, control_api_data, control_api_jobs, control_api_models, control_api_serving):
        router.include_router(module.routes(platform))
    return router
