"""Routes of models and their versions."""

from __future__ import annotations

from fastapi import APIRouter, Response

from hanlin.control import models
from hanlin.control.platform import Platform
from hanlin.gateway.control_api_routing import Caller, Language, Number, Routes, answers
from hanlin.gateway.control_api_wire_models import (
    AliasRequest,
    FilesAnswer,
    ModelAnswer,
    ModelsAnswer,
    MovedAliasAnswer,
    NotesRequest,
    VersionAnswer,
)

# A picture is shown inside a page of ours or alone; it may neither run nor load anything.
_PICTURE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-content-type-options": "nosniff"}


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["models"])

    @data.add("GET", "/models", "read")
    def list_models(caller: Caller) -> ModelsAnswer:
        """The team's models with their versions, variants and certificates."""
        return ModelsAnswer(models=[ModelAnswer.of(view) for view in models.list_models(platform, caller)])

    @data.add("GET", "/models/{name}", "read")
    def get_model(caller: Caller, name: str) -> ModelAnswer:
        """One model."""
        return ModelAnswer.of(models.get_model(platform, caller, name))

    @data.add("DELETE", "/models/{name}", "write", status=204)
    def delete_model(caller: Caller, name: str) -> None:
        """Deletes a model with all its versions; 409 while an endpoint, alias or job needs one of them."""
        models.delete_model(platform, caller, name)

    @data.add("PUT", "/models/{name}/notes", "write", examples={"notes": {"notes": "Trained on reviews of *restaurants*."}})
    def set_notes(caller: Caller, name: str, body: NotesRequest) -> ModelAnswer:
        """Replaces the notes of the model card (Markdown)."""
        return ModelAnswer.of(models.set_notes(platform, caller, name, body.notes))

    @data.add("PUT", "/models/{name}/aliases/{alias}", "write", examples={"a version": {"version": 2}})
    def set_alias(caller: Caller, language: Language, name: str, alias: str, body: AliasRequest) -> MovedAliasAnswer:
        """Points an alias at a published version."""
        return MovedAliasAnswer.of_moved(models.set_alias(platform, caller, name, alias, body.version), language)

    @data.add("DELETE", "/models/{name}/aliases/{alias}", "write", status=204)
    def delete_alias(caller: Caller, name: str, alias: str) -> None:
        """Removes an alias; what was deployed by it goes on."""
        models.delete_alias(platform, caller, name, alias)

    @data.add("POST", "/models/{name}/versions/{number}/publish", "write", status=201)
    def publish_version(caller: Caller, name: str, number: Number) -> VersionAnswer:
        """Makes a certified version public; 409 without a passed certificate, and when it is public already."""
        return VersionAnswer.of(models.publish(platform, caller, name, number))

    @data.add("DELETE", "/models/{name}/versions/{number}", "write", status=204)
    def delete_version(caller: Caller, name: str, number: Number) -> None:
        """Deletes a version; 409 while an endpoint, alias or job needs it."""
        models.delete_version(platform, caller, name, number)

    @data.add("GET", "/models/{name}/versions/{number}/files", "read")
    def list_files(caller: Caller, name: str, number: Number) -> FilesAnswer:
        """The version's files with those of its variants."""
        return FilesAnswer.of(models.list_files(platform, caller, name, number))

    @data.add("GET", "/models/{name}/versions/{number}/card", "read", response_class=Response, responses=answers("text/markdown"))
    def model_card(caller: Caller, language: Language, name: str, number: Number) -> Response:
        """The model card in Markdown, in the caller's language."""
        text = models.card(platform, caller, name, number, language=language)
        return Response(text, media_type="text/markdown; charset=utf-8")

    @data.add(
        "GET",
        "/models/{name}/versions/{number}/pictures/{picture}.svg",
        "read",
        response_class=Response,
        responses=answers("image/svg+xml"),
    )
    def model_picture(caller: Caller, language: Language, name: str, number: Number, picture: str) -> Response:
        """A picture of the version, in the caller's language: `confusion`, `curve` or `pareto`."""
        found = models.picture(platform, caller, name, number, picture, language=language)
        return Response(found, media_type="image/svg+xml", headers=_PICTURE_HEADERS)

    return data.router
