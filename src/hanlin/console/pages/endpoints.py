"""The playground of an endpoint: type, and see what the model thinks."""

from __future__ import annotations

import time

from starlette.responses import Response

from hanlin.console.port import Prediction
from hanlin.console.visits import Visit
from hanlin.errors import NotFound
from hanlin.types import is_name

SHOWN_LABELS = 8


async def show(visit: Visit) -> Response:
    """The endpoint, a place to type, and the call that does the same."""
    endpoint = await visit.ask(visit.site.port.get_endpoint, _name(visit))
    base = str(visit.request.base_url).rstrip("/")
    return visit.render("endpoint.html.jinja", endpoint=endpoint, address=f"{base}/models/{endpoint.name}")


async def classify(visit: Visit) -> Response:
    """The scores of the typed text, drawn as bars. A text of nothing gets an empty answer, not an error."""
    text = visit.form.get("text", "")
    if not text.strip():
        return visit.render("_answer.html.jinja", answer=None, bars=[], total_ms=None)
    started = time.perf_counter()
    answer = await visit.site.port.classify(visit.who, _name(visit), text, visit.language)
    total_ms = (time.perf_counter() - started) * 1000
    return visit.render("_answer.html.jinja", answer=answer, bars=arrange(answer), total_ms=total_ms)


def arrange(answer: Prediction) -> list[tuple[str, float, bool]]:
    """(label, score, is best). Few labels keep their places while scores move; of many, the best come first."""
    best = answer.scores[0][0] if answer.scores else ""
    scores = list(answer.scores[:SHOWN_LABELS])
    if len(answer.scores) <= SHOWN_LABELS:
        scores.sort()
    return [(label, score, label == best) for label, score in scores]


def _name(visit: Visit) -> str:
    name = str(visit.request.path_params["endpoint"])
    if not is_name(name):
        raise NotFound("console_page_missing")
    return name
