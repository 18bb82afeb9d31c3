"""Models, their versions, and everything that was measured about one."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import Response

from hanlin.console.views import ModelView, VersionView
from hanlin.console.views_data import DatasetVersionView
from hanlin.console.visits import Visit
from hanlin.errors import NotFound
from hanlin.types import is_name

# A picture is a file of the version; opened by itself it may style itself and do nothing else.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_OF_ROWS = ("few_validation_rows", "few_test_rows")  # what a dataset is warned of and its models inherit
# No raw HTML, no images (they would be asked for elsewhere); links to script schemes are refused by the parser.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


async def show_list(visit: Visit) -> Response:
    """All models with their newest version."""
    return visit.render("models.html.jinja", models=await visit.ask(visit.site.port.list_models))


async def show_model(visit: Visit) -> Response:
    """One model and the list of its versions."""
    model = await visit.ask(visit.site.port.get_model, _name(visit))
    return visit.render("model.html.jinja", model=model)


async def show_version(visit: Visit) -> Response:
    """Everything measured about one version: metrics, pictures, variants, certificate, card."""
    model = await visit.ask(visit.site.port.get_model, _name(visit))
    version = _find(model, int(visit.request.path_params["version"]))
    card = await visit.ask(visit.site.port.card, model.name, version.number, visit.language)
    dataset = await _dataset(visit, version)
    rows = [said for said in dataset.warnings if said.code in _OF_ROWS] if dataset else []
    told = {said.code: said for said in (*rows, *version.warnings)}
    return visit.render(
        "version.html.jinja", model=model, version=version, dataset=dataset, warnings=list(told.values()), card=render_markdown(card)
    )


async def show_picture(visit: Visit) -> Response:
    """A stored picture, as an image that can do nothing."""
    picture = str(visit.request.path_params["picture"])
    if not is_name(picture):
        raise NotFound("console_page_missing")
    number = int(visit.request.path_params["version"])
    content = await visit.ask(visit.site.port.picture, _name(visit), number, picture, visit.language)
    return Response(content, media_type="image/svg+xml", headers={"content-security-policy": _PICTURE_POLICY})


def render_markdown(text: str) -> Markup:
    """Markdown as HTML in which nothing acts: raw HTML comes out as text."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704  the parser escapes all it does not make itself


def _name(visit: Visit) -> str:
    name = str(visit.request.path_params["model"])
    if not is_name(name):
        raise NotFound("console_page_missing")
    return name


async def _dataset(visit: Visit, version: VersionView) -> DatasetVersionView | None:
    """The very rows it was trained on; None when they are gone, or others took their name."""
    name, number = version.dataset or ("", 0)
    if not name:
        return None
    try:
        found = await visit.ask(visit.site.port.get_dataset, name)
    except NotFound:
        return None
    digest = dict(version.lineage).get("dataset_digest")
    rows = next((item for item in found.versions if item.number == number), None)
    return rows if rows and digest in {None, rows.digest} else None


def _find(model: ModelView, number: int) -> VersionView:
    for version in model.versions:
        if version.number == number:
            return version
    raise NotFound("console_page_missing")
