"""One visit of one page: who asks, in which language and light, and how an answer is drawn."""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Concatenate, ParamSpec, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hanlin.console import shapes, words
from hanlin.console.port import ConsolePort
from hanlin.console.sessions import SESSION_S, Sessions
from hanlin.errors import HanlinError, PermissionDenied, Unauthenticated
from hanlin.gateway.responses import error_response
from hanlin.types import KeyId, Principal

P = ParamSpec("P")
R = TypeVar("R")

SESSION_COOKIE = "hanlin_session"
VISITOR_COOKIE = "hanlin_visitor"
LANGUAGE_COOKIE = "hanlin_language"
THEME_COOKIE = "hanlin_theme"
THEMES = ("auto", "light", "dark")
YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Site:
    """What all visits share."""

    port: ConsolePort
    sessions: Sessions
    environment: Environment


@dataclass(slots=True)
class Visit:
    """The state of one request while its page is made. `seed` is what its form token is bound to."""

    site: Site
    request: Request
    language: str
    theme: str
    session: str = ""
    visitor: str = ""
    principal: Principal | None = None
    form: dict[str, str] = field(default_factory=dict)

    @property
    def who(self) -> Principal:
        """Whoever is signed in. Raises Unauthenticated (`console_signed_out`)."""
        if self.principal is None:
            raise Unauthenticated("console_signed_out")
        return self.principal

    @property
    def seed(self) -> str:
        """What form tokens are bound to: the session, or the visitor before sign-in."""
        return self.session or self.visitor

    async def ask(self, call: Callable[Concatenate[Principal, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer of a blocking call of the port, made off the event loop in the name of whoever is signed in."""
        return await run_in_threadpool(functools.partial(call, self.who, *args, **kwargs))

    def say(self, key: str, /, **values: object) -> str:
        """Words in the visitor's language."""
        return words.say(self.language, key, **values)

    def render(self, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """A page. Sets the visitor cookie where there is none, so that its forms can be told from foreign ones."""
        is_new = not self.visitor
        self.visitor = self.visitor or secrets.token_urlsafe(18)
        page = self.site.environment.get_template(template).render(
            t=self.say,
            name_of=functools.partial(words.say_name, self.language),
            language=self.language,
            theme=self.theme,
            csrf=self.site.sessions.form_token(self.seed),
            is_signed_in=self.principal is not None,
            path=self.request.url.path,
            **context,
        )
        response = HTMLResponse(page.encode("utf-8", "replace"), status_code=status)
        if is_new:
            self.set_cookie(response, VISITOR_COOKIE, self.visitor, YEAR_S)
        return response

    def refusal(self, error: HanlinError) -> Response:
        """What a script or a program is told of an error, in the form of the API."""
        request_id = str(self.request.scope.get("state", {}).get("request_id", ""))
        return error_response(error, request_id=request_id, language=self.language)

    def set_cookie(self, response: Response, name: str, value: str, max_age_s: int) -> None:
        """A cookie that scripts and other sites never see; `Secure` on https."""
        is_https = self.request.url.scheme == "https"
        response.set_cookie(name, value, max_age=max_age_s, path="/", httponly=True, samesite="strict", secure=is_https)

    def sign_in(self, response: Response, key_id: KeyId) -> None:
        """Remember this key (by id) in a session cookie."""
        self.set_cookie(response, SESSION_COOKIE, self.site.sessions.create(key_id), SESSION_S)

    def sign_out(self, response: Response) -> None:
        """Forget the session."""
        self.set_cookie(response, SESSION_COOKIE, "", 0)


async def open_visit(site: Site, request: Request) -> Visit:
    """The visit that a request begins; signed in when its cookie is ours and the key behind it still lives."""
    cookies = request.cookies
    theme = cookies.get(THEME_COOKIE, "auto")
    visit = Visit(
        site,
        request,
        words.choose_language(cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")),
        theme if theme in THEMES else "auto",
        visitor=cookies.get(VISITOR_COOKIE, "")[:100],
    )
    await renew(visit, cookies.get(SESSION_COOKIE, ""))
    return visit


async def renew(visit: Visit, token: str) -> None:
    """Ask anew whether the key behind `token` lives, and sign the visit in or out."""
    visit.principal, visit.session = None, ""
    key_id = visit.site.sessions.read(token)
    if key_id is None:
        return
    try:
        visit.principal = await run_in_threadpool(visit.site.port.resume, key_id)
        visit.session = token
    except (Unauthenticated, PermissionDenied):  # revoked, expired, or a team that is disabled
        return


@functools.cache
def templates() -> Environment:
    """The templates, compiled once: everything escaped, a missing name is an error, static files named by their content."""
    environment = Environment(
        loader=PackageLoader("hanlin.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shapes.FILTERS)
    environment.globals.update(asset=asset, duration=shapes.duration, heat=shapes.heat)
    return environment


@functools.cache
def asset(name: str) -> str:
    """The address of a static file, with a piece of its digest so that browsers may keep it for ever."""
    content = (resources.files("hanlin.console") / "static" / name).read_bytes()
    return f"/console/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


Handler = Callable[[Visit], Awaitable[Response]]
