"""The web application: its routes, what each demands, and what every answer carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hanlin.console.forms import check_origin, read_form
from hanlin.console.headers import HeadersMiddleware
from hanlin.console.pages import datasets, endpoints, jobs, models, overview, visitors, writing
from hanlin.console.port import ConsolePort
from hanlin.console.sessions import Sessions
from hanlin.console.visits import Handler, Site, Visit, open_visit, templates
from hanlin.errors import HanlinError, Internal, InvalidInput, NotFound, PermissionDenied, Unauthenticated
from hanlin.gateway.responses import methods_of
from hanlin.gateway.status import http_status

STATIC = Path(__file__).parent / "static"
EVENTS = "text/event-stream"  # what a script asks for that reads an answer in parts


class NumberConvertor(IntegerConvertor):
    """A version's number. Starlette's own takes digits without end, and Python does not make a number of more than 4,300."""

    regex = "[0-9]{1,9}"


register_url_convertor("number", NumberConvertor())

# Path, method, handler. Pages in OPEN are for everyone; every other page wants a session.
PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("/", "GET", overview.show),
    ("/console/now", "GET", overview.now),
    ("/console/login", "GET", visitors.show_login),
    ("/console/login", "POST", visitors.login),
    ("/console/logout", "POST", visitors.logout),
    ("/console/preferences", "POST", visitors.prefer),
    ("/console/datasets", "GET", datasets.show_list),
    ("/console/datasets/{dataset}", "GET", datasets.show_dataset),
    ("/console/datasets/{dataset}/{version:number}", "GET", datasets.show_version),
    ("/console/models", "GET", models.show_list),
    ("/console/models/{model}", "GET", models.show_model),
    ("/console/models/{model}/{version:number}", "GET", models.show_version),
    ("/console/models/{model}/{version:number}/pictures/{picture}.svg", "GET", models.show_picture),
    ("/console/jobs", "GET", jobs.show_list),
    ("/console/jobs/{job}", "GET", jobs.show_job),
    ("/console/jobs/{job}/events", "GET", jobs.stream_events),
    ("/console/jobs/{job}/trials", "GET", jobs.show_trials),
    ("/console/jobs/{job}/files/{which}", "GET", jobs.fetch_file),
    ("/console/endpoints", "GET", endpoints.show_list),
    ("/console/endpoints/{endpoint}", "GET", endpoints.show),
    ("/console/endpoints/{endpoint}/classify", "POST", endpoints.classify),
    ("/console/endpoints/{endpoint}/write", "POST", writing.write),
    ("/console/endpoints/{endpoint}/settings", "POST", endpoints.configure),
)
OPEN: frozenset[Handler] = frozenset({visitors.show_login, visitors.login, visitors.prefer})


def create_application(port: ConsolePort, *, secret: bytes) -> Starlette:
    """The console over `port`. `secret` (32 bytes or more) signs sessions; all gateways of one home share it."""
    site = Site(port, Sessions(secret), templates())
    routes: list[Route | Mount] = [Route(path, _endpoint(site, handler), methods=[method]) for path, method, handler in PAGES]
    routes.append(Mount("/console/static", StaticFiles(directory=STATIC)))

    async def missing(request: Request, error: Exception) -> Response:
        return await _refuse(await open_visit(site, request), error)

    handlers = {HTTPException: missing, Exception: missing}
    application = Starlette(routes=routes, middleware=[Middleware(HeadersMiddleware)], exception_handlers=handlers)
    application.router.redirect_slashes = False
    return application


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = await open_visit(site, request)
        try:
            if handler not in OPEN:
                visit.who  # noqa: B018  raises Unauthenticated
            if request.method == "POST":
                await _accept_form(visit)
            return await handler(visit)
        except HanlinError as error:
            return await _refuse(visit, error)

    return answer


async def _accept_form(visit: Visit) -> None:
    check_origin(visit.request)
    visit.form = await read_form(visit.request)
    token = visit.request.headers.get("x-csrf-token") or visit.form.get("csrf", "")
    if not visit.site.sessions.is_form_token(visit.seed, token):
        raise PermissionDenied("console_foreign_form")


async def _refuse(visit: Visit, error: Exception) -> Response:
    """The page, fragment or JSON that says what was wrong, in the visitor's language."""
    request = visit.request
    wanted = request.headers.get("accept", "")
    is_page = request.url.path.startswith("/console") or "text/html" in wanted
    if not isinstance(error, HanlinError):
        error = _ours(error, request, is_page=is_page)
    status = http_status(error)
    if "hx-request" in request.headers:
        response: Response = visit.render("_problem.html.jinja", status=status, error=error)
        if isinstance(error, Unauthenticated):
            response.headers["HX-Redirect"] = "/console/login"
        return response
    if wanted == EVENTS or not is_page:
        return visit.refusal(error)
    if isinstance(error, Unauthenticated):
        return visitors.login_page(visit, next_path=request.url.path, status=status)
    page = visit.render("problem.html.jinja", status=status, error=error)
    if error.code == "method_not_allowed":
        page.headers["allow"] = str(error.params["allowed"])
    return page


def _ours(error: Exception, request: Request, *, is_page: bool) -> HanlinError:
    if isinstance(error, HTTPException) and error.status_code == 404:
        return NotFound("console_page_missing" if is_page else "address_missing")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return InvalidInput("method_not_allowed", allowed=methods_of(request))
    return Internal("internal")
