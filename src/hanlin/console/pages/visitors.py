"""Signing in and out, language and light."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from hanlin.console.forms import local_path
from hanlin.console.visits import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, YEAR_S, Visit
from hanlin.console.words import LANGUAGES
from hanlin.errors import Unauthenticated


def login_page(visit: Visit, *, next_path: str = "/", status: int = 200, is_refused: bool = False) -> Response:
    """The sign-in page; it leads to `next_path` afterwards."""
    return visit.render("login.html.jinja", status=status, next_path=local_path(next_path), is_refused=is_refused)


async def show_login(visit: Visit) -> Response:
    """The sign-in page, or the overview for who is signed in already."""
    return RedirectResponse("/", 303) if visit.principal else login_page(visit)


async def login(visit: Visit) -> Response:
    """Try the pasted key. All wrong keys get the same answer."""
    next_path = local_path(visit.form.get("next", "/"))
    try:
        principal = await run_in_threadpool(visit.site.port.authenticate, visit.form.get("key", "").strip())
    except Unauthenticated:
        return login_page(visit, next_path=next_path, status=401, is_refused=True)
    response = RedirectResponse("/" if next_path == "/console/login" else next_path, 303)
    visit.sign_in(response, principal.key_id)
    return response


async def logout(visit: Visit) -> Response:
    """Forget the session."""
    response = RedirectResponse("/console/login", 303)
    visit.sign_out(response)
    return response


async def prefer(visit: Visit) -> Response:
    """Remember a language or a light and go back to where the visitor was."""
    response = RedirectResponse(local_path(visit.form.get("next", "/")), 303)
    if (language := visit.form.get("language")) in LANGUAGES:
        visit.set_cookie(response, LANGUAGE_COOKIE, language, YEAR_S)
    if (theme := visit.form.get("theme")) in THEMES:
        visit.set_cookie(response, THEME_COOKIE, theme, YEAR_S)
    return response
