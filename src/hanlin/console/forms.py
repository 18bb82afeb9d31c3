"""Reading a posted form safely: only our own pages may post, only url-encoded, only so much. Knows no page."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from hanlin.errors import InvalidInput, PermissionDenied

MAX_FORM_BYTES = 4 * 2**20
_TYPE = "application/x-www-form-urlencoded"


def check_origin(request: Request) -> None:
    """Raises PermissionDenied (`console_foreign_form`) when another site, or no form of ours, sent this request."""
    headers = request.headers
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin")
    is_ours = site in {"same-origin", "none"} and (origin is None or urlsplit(origin).netloc == headers.get("host", ""))
    if not is_ours or headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise PermissionDenied("console_foreign_form")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a url-encoded form; the last of equal names counts.

    Raises:
        InvalidInput: `console_form_too_large` above `MAX_FORM_BYTES`; `console_form_invalid` when it is not UTF-8 or has too many fields.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise InvalidInput("console_form_too_large", limit=MAX_FORM_BYTES)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50))
    except ValueError as error:
        raise InvalidInput("console_form_invalid") from error


def local_path(text: str) -> str:
    """`text` when it is a path of this site, else `/`: nobody is sent elsewhere by a crafted link."""
    is_local = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable() and len(text) < 1000
    return text if is_local else "/"
