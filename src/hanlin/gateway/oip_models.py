"""What the Open Inference Protocol tells of servers and endpoints, over REST and gRPC alike, and its orders to load and unload."""

from __future__ import annotations

from collections.abc import Iterable

from hanlin import __version__
from hanlin.errors import InvalidInput, NotReady
from hanlin.gateway.dataplane import Dataplane, version_of
from hanlin.gateway.oip_outputs import tensors_of
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import ReplicaInfo
from hanlin.types import JsonObject, JsonValue, Principal

NAME = "hanlin"
EXTENSIONS = ("binary_tensor_data", "model_repository", "model_repository(unload_dependents)", "model_configuration", "statistics")
_STATES = {"ready": "READY", "starting": "LOADING"}
_TYPES = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32", "INT64": "TYPE_INT64"}


def server() -> JsonObject:
    """Server metadata."""
    return {"name": NAME, "version": __version__, "extensions": list[JsonValue](EXTENSIONS)}


def is_server_ready(dataplane: Dataplane) -> bool:
    """Whether calls are taken."""
    return dataplane.router.has_routes and not dataplane.is_draining


def is_ready(route: EndpointRoute) -> bool:
    """Whether an endpoint is loaded. One that sleeps is not, though a call to it is answered: it wakes it."""
    return bool(route.replicas)


def metadata(endpoint: str, route: EndpointRoute) -> JsonObject:
    """Model metadata. Raises NotReady (`endpoint_starting`) before it was loaded for the first time."""
    inputs, outputs = tensors_of(_info(route).task)
    return {
        "name": endpoint, "versions": [version_of(route.version)], "platform": f"{NAME}_{route.variant}",
        "inputs": list[JsonValue](inputs), "outputs": list[JsonValue](outputs),
    }  # fmt: skip


def config(endpoint: str, route: EndpointRoute) -> JsonObject:
    """Model configuration, as much of it as there is here. Raises as `metadata`."""
    info = _info(route)
    inputs, outputs = ([_configured(tensor) for tensor in side] for side in tensors_of(info.task))
    said = {
        "task": info.task, "model": route.model, "variant": route.variant, "labels": ",".join(info.labels),
        "max_length": str(info.max_length), "max_items": str(info.max_items), "long_text": route.long_text,
    } | ({"dimensions": str(info.dimensions)} if info.dimensions else {})  # fmt: skip
    return {
        "name": endpoint, "platform": f"{NAME}_{route.variant}", "backend": NAME, "max_batch_size": 0,
        "input": list[JsonValue](inputs), "output": list[JsonValue](outputs),
        "parameters": {name: {"string_value": value} for name, value in said.items()},
    }  # fmt: skip


def _configured(tensor: JsonObject) -> JsonObject:
    return {"name": tensor["name"], "data_type": _TYPES[str(tensor["datatype"])], "dims": tensor["shape"]}


def index(dataplane: Dataplane, principal: Principal, *, is_ready_only: bool = False) -> list[JsonObject]:
    """The team's endpoints with the state of each. Raises PermissionDenied."""
    found: list[JsonObject] = []
    for name, route in dataplane.endpoints(principal):
        state = "READY" if is_ready(route) else _STATES.get(route.state, "UNAVAILABLE")
        if state == "READY" or not is_ready_only:
            reason = "" if state == "READY" else route.state
            found.append({"name": name, "version": version_of(route.version), "state": state, "reason": reason})
    return found


async def statistics(dataplane: Dataplane, principal: Principal, endpoint: str = "") -> JsonObject:
    """What the workers of one endpoint, or of all the team's, have counted; of times, the engine's only. Raises NotFound."""
    names = [endpoint] if endpoint else [name for name, _ in dataplane.endpoints(principal)]
    stats = []
    for name in names:
        route = dataplane.find(principal, name)
        stats.append(_summed(name, route, await dataplane.reports(principal, name)))
    return {"model_stats": list[JsonValue](stats)}


def _summed(endpoint: str, route: EndpointRoute, reports: Iterable[dict[str, float]]) -> JsonObject:
    told = list(reports)

    def total(name: str) -> int:
        return int(sum(values.get(name, 0) for values in told))

    engine_ns = int(sum(values.get("engine_seconds_total", 0) for values in told) * 1e9)
    steps = total("steps_total")
    return {
        "name": endpoint, "version": version_of(route.version), "last_inference": 0,
        "inference_count": total("rows_total"), "execution_count": steps,
        "inference_stats": {
            "success": _duration(total("answered_total")), "fail": _duration(total("failed_total")), "queue": _duration(),
            "compute_input": _duration(), "compute_infer": _duration(steps, engine_ns), "compute_output": _duration(),
        },
        "batch_stats": [],
    }  # fmt: skip


def _duration(count: int = 0, ns: int = 0) -> JsonObject:
    return {"count": count, "ns": ns}


async def load(dataplane: Dataplane, principal: Principal, endpoint: str, *, timeout_s: float | None = None) -> None:
    """Wakes an endpoint that sleeps; returns when it is loaded.

    Raises:
        HanlinError: PermissionDenied without the scope `write`; NotFound; NotReady; EngineFailed (`endpoint_failed`).
    """
    principal.require("write")
    await dataplane.wake(principal, endpoint, timeout_s=timeout_s or dataplane.settings.request_timeout_s)


async def unload(dataplane: Dataplane, principal: Principal, endpoint: str) -> None:
    """Puts an endpoint to sleep that may. Raises PermissionDenied, NotFound; Conflict (`endpoint_stays_awake`, `endpoint_in_use`)."""
    principal.require("write")
    await dataplane.rest(principal, endpoint)


def check_order(parameters: JsonObject, *allowed: str) -> None:
    """Raises InvalidInput (`unknown_parameter`): a model's files and configuration come from the registry, not with the order."""
    for name in parameters:
        if name not in allowed:
            raise InvalidInput("unknown_parameter", name=name[:100], choices=", ".join(allowed) or "none")


def _info(route: EndpointRoute) -> ReplicaInfo:
    if route.info is None:
        raise NotReady("endpoint_starting", retry_after_s=route.load_s or 2.0)
    return route.info
