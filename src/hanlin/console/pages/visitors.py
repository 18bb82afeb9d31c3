"""Signing in and out, language and light."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from hanlin.console.forms import local_path
from hanlin.console.visits import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, YEAR_S, Visit
from hanlin.console.words import LANGUAGES
from hanlin.errors import PermissionDenied, Unauthenticated


def login_page(visit: Visit, *, next_path: str = "/", status: int = 200, refused: str = "") -> Response:
    """The sign-in page; it leads to `next_path` afterwards. `refused` names why the last key was."""
    return visit.render("login.html.jinja", status=status, next_path=local_path(next_path), refused=refused)


async def show_login(visit: Visit) -> Response:
    """The sign-in page, or the overview for who is signed in already."""
    return RedirectResponse("/", 303) if visit.principal else login_page(visit)


async def login(visit: Visit) -> Response:
    """Try the pasted key. All wrong keys get the same answer; a good one that may not read would find every page closed."""
    next_path = local_path(visit.form.get("next", "/"))
    try:
        principal = await run_in_threadpool(visit.site.port.authenticate, visit.form.get("key", "").strip())
    except Unauthenticated:
        return login_page(visit, next_path=next_path, status=401, refused="login.refused")
    try:
        principal.require("read")
    except PermissionDenied:
        return login_page(visit, next_path=next_path, status=403, refused="login.without_read")
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
