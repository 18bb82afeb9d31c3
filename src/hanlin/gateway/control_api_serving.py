"""Routes of deployments and endpoints."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from hanlin.control import deployments, rollback, trials
from hanlin.control.platform import Platform
from hanlin.gateway.control_api_routing import Caller, Language, Routes
from hanlin.gateway.control_api_wire_models import (
    DeployedAnswer,
    DeploymentAnswer,
    DeploymentsAnswer,
    DeployRequest,
    EndpointAnswer,
    EndpointRequest,
    EndpointsAnswer,
    RollbackAnswer,
    RollbackRequest,
    ScaleRequest,
)
from hanlin.gateway.dataplane import Dataplane


def routes(platform: Platform, dataplane: Dataplane | None = None) -> APIRouter:
    """The routes over `platform`.

    Args:
        dataplane: of this gateway; it tells all gateways at once of an endpoint that is taken away.
    """
    data = Routes(platform, tags=["serving"])

    @data.add(
        "POST", "/deployments", "write", status=202,
        examples={
            "the newest version": {"model": "sentiment", "endpoint": "sentiment"},
            "two to four copies of one version": {"model": "sentiment:1", "endpoint": "sentiment", "replicas": 2, "max_replicas": 4},
            "a tenth of the calls": {"model": "sentiment:2", "endpoint": "sentiment", "canary": 10},
        },
    )  # fmt: skip
    def deploy(caller: Caller, body: DeployRequest, language: Language) -> DeployedAnswer:
        """Declares what an endpoint shall serve. What it served before answers until the new one is ready.

        Declaring again what is declared already answers the deployment that is there. With `canary` or `shadow` the version is only
        tried beside what serves, until it is promoted, aborted, or taken back for its errors, its latency or its labels."""
        view = deployments.deploy(
            platform, caller, model=body.model, endpoint=body.endpoint, variant=body.variant, replicas=body.replicas,
            max_replicas=body.max_replicas, isolation=body.isolation, idle_s=body.idle_s, long_text=body.long_text, canary=body.canary,
            shadow=body.shadow, draft=body.draft,
        )  # fmt: skip
        return DeployedAnswer.of_new(view, language)

    @data.add("GET", "/deployments", "read")
    def list_deployments(caller: Caller, language: Language) -> DeploymentsAnswer:
        """The team's deployments, newest first, ended ones included."""
        found = deployments.list_deployments(platform, caller)
        return DeploymentsAnswer(deployments=[DeploymentAnswer.of(view, language) for view in found])

    @data.add("GET", "/deployments/{deployment_id}", "read")
    def get_deployment(caller: Caller, deployment_id: str, language: Language) -> DeploymentAnswer:
        """One deployment."""
        return DeploymentAnswer.of(deployments.get_deployment(platform, caller, deployment_id), language)

    @data.add("GET", "/endpoints", "read")
    def list_endpoints(caller: Caller, language: Language) -> EndpointsAnswer:
        """The team's endpoints by name."""
        return EndpointsAnswer(endpoints=[EndpointAnswer.of_view(view, language) for view in deployments.list_endpoints(platform, caller)])

    @data.add("GET", "/endpoints/{endpoint}", "read")
    def get_endpoint(caller: Caller, endpoint: str, language: Language) -> EndpointAnswer:
        """One endpoint: what it shall serve, and what answers right now."""
        return EndpointAnswer.of_view(deployments.get_endpoint(platform, caller, endpoint), language)

    @data.add(
        "PATCH", "/endpoints/{endpoint}", "write",
        examples={"long texts are cut": {"long_text": "truncate"}, "answers are kept for an hour": {"cache_ttl_s": 3600}},
    )  # fmt: skip
    def update_endpoint(caller: Caller, endpoint: str, body: EndpointRequest, language: Language) -> EndpointAnswer:
        """Changes how an endpoint answers: what becomes of long texts, how long answers are kept. Nothing is started anew."""
        view = deployments.update_endpoint(platform, caller, endpoint, long_text=body.long_text, cache_ttl_s=body.cache_ttl_s)
        return EndpointAnswer.of_view(view, language)

    @data.add("DELETE", "/endpoints/{endpoint}", "write")
    async def delete_endpoint(caller: Caller, endpoint: str, language: Language) -> EndpointAnswer:
        """Takes an endpoint away: new calls are refused with 404 from now on, calls in flight end normally."""
        done = await run_in_threadpool(deployments.undeploy, platform, caller, endpoint)
        if dataplane is not None:  # here, because it belongs to this event loop
            await dataplane.withdraw(caller, endpoint, done.deployment_ids)
        return EndpointAnswer.of_view(done.view, language)

    @data.add(
        "POST", "/endpoints/{endpoint}/rollback", "write", status=202,
        examples={"what it served before": {}, "a version": {"to": "sentiment:1"}},
    )  # fmt: skip
    def roll_back_endpoint(caller: Caller, endpoint: str, language: Language, body: RollbackRequest | None = None) -> RollbackAnswer:
        """Goes back to what the endpoint served before. Asking again changes nothing until something is deployed or named."""
        to, expected = (body.to, body.expected) if body else (None, None)
        return RollbackAnswer.of_done(rollback.roll_back(platform, caller, endpoint, to=to, expected=expected), language)

    @data.add(
        "POST", "/endpoints/{endpoint}/scale", "write",
        examples={"two": {"min_replicas": 2}, "none to three, as load asks for": {"min_replicas": 0, "max_replicas": 3}},
    )  # fmt: skip
    def scale_endpoint(caller: Caller, endpoint: str, body: ScaleRequest, language: Language) -> DeploymentAnswer:
        """Changes how many replicas it has; those that are loaded stay."""
        view = deployments.scale(platform, caller, endpoint, min_replicas=body.min_replicas, max_replicas=body.max_replicas)
        return DeploymentAnswer.of(view, language)

    @data.add("POST", "/endpoints/{endpoint}/promote", "write", status=202)
    def promote_trial(caller: Caller, endpoint: str, language: Language) -> DeployedAnswer:
        """The version on trial serves from now on."""
        return DeployedAnswer.of_new(trials.promote(platform, caller, endpoint), language)

    @data.add("POST", "/endpoints/{endpoint}/abort", "write")
    def abort_trial(caller: Caller, endpoint: str, language: Language) -> DeploymentAnswer:
        """Ends the trial; all calls go to what served all along."""
        return DeploymentAnswer.of(trials.abort(platform, caller, endpoint), language)

    return data.router
