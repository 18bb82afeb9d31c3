"""Routes of deployments and endpoints."""

from __future__ import annotations

from fastapi import APIRouter

from hanlin.control import deployments
from hanlin.control.platform import Platform
from hanlin.gateway.control_api_routing import Caller, Routes
from hanlin.gateway.control_api_wire_models import DeploymentAnswer, DeploymentsAnswer, DeployRequest, EndpointAnswer, EndpointsAnswer


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["serving"])

    @data.add("POST", "/deployments", "write", status=202)
    def deploy(caller: Caller, body: DeployRequest) -> DeploymentAnswer:
        """Declares what an endpoint shall serve. What it served before answers until the new one is ready."""
        view = deployments.deploy(platform, caller, model=body.model, endpoint=body.endpoint, variant=body.variant, replicas=body.replicas)
        return DeploymentAnswer.of(view)

    @data.add("GET", "/deployments", "read")
    def list_deployments(caller: Caller) -> DeploymentsAnswer:
        """The team's deployments, newest first, ended ones included."""
        return DeploymentsAnswer(deployments=[DeploymentAnswer.of(view) for view in deployments.list_deployments(platform, caller)])

    @data.add("GET", "/deployments/{deployment_id}", "read")
    def get_deployment(caller: Caller, deployment_id: str) -> DeploymentAnswer:
        """One deployment."""
        return DeploymentAnswer.of(deployments.get_deployment(platform, caller, deployment_id))

    @data.add("GET", "/endpoints", "read")
    def list_endpoints(caller: Caller) -> EndpointsAnswer:
        """The team's endpoints by name."""
        return EndpointsAnswer(endpoints=[EndpointAnswer.of_view(view) for view in deployments.list_endpoints(platform, caller)])

    @data.add("GET", "/endpoints/{endpoint}", "read")
    def get_endpoint(caller: Caller, endpoint: str) -> EndpointAnswer:
        """One endpoint: what it shall serve, and what answers right now."""
        return EndpointAnswer.of_view(deployments.get_endpoint(platform, caller, endpoint))

    @data.add("DELETE", "/endpoints/{endpoint}", "write")
    def undeploy(caller: Caller, endpoint: str) -> EndpointAnswer:
        """Takes an endpoint away; calls in flight end normally."""
        return EndpointAnswer.of_view(deployments.undeploy(platform, caller, endpoint))

    @data.add("POST", "/endpoints/{endpoint}/rollback", "write", status=202)
    def rollback(caller: Caller, endpoint: str) -> DeploymentAnswer:
        """Goes back to what the endpoint served before."""
        return DeploymentAnswer.of(deployments.rollback(platform, caller, endpoint))

    return data.router
