"""The playground of an endpoint: type, and see what the model thinks."""

from __future__ import annotations

import time

from starlette.responses import Response

from hanlin.console.answers import strokes
from hanlin.console.views import Prediction
from hanlin.console.visits import Visit
from hanlin.errors import NotFound
from hanlin.types import is_name

SHOWN_LABELS = 8
_BODY, _RANKING_BODY = '{"inputs": "…"}', '{"inputs": {"query": "…", "texts": ["…"]}}'


async def show(visit: Visit) -> Response:
    """The endpoint, a place to type, and the call that does the same."""
    endpoint = await visit.ask(visit.site.port.get_endpoint, _name(visit))
    base = str(visit.request.base_url).rstrip("/")
    body = _RANKING_BODY if endpoint.task == "reranking" else _BODY
    return visit.render("endpoint.html.jinja", endpoint=endpoint, address=f"{base}/models/{endpoint.name}", example_body=body)


async def classify(visit: Visit) -> Response:
    """What the model says of the typed text: bars, marked entities, or the strokes of a vector. A text of nothing gets an empty answer."""
    text, query = visit.form.get("text", ""), visit.form.get("query")
    if not text.strip() or (query is not None and not query.strip()):
        return visit.render("_answer.html.jinja", answer=None, bars=[], strokes=[], total_ms=None)
    started = time.perf_counter()
    answer = await visit.site.port.classify(visit.who, _name(visit), text, visit.language, query=query or "")
    total_ms = (time.perf_counter() - started) * 1000
    bars = arrange(answer) if query is None else [(line, score, not place) for place, (line, score) in enumerate(answer.scores)]
    return visit.render("_answer.html.jinja", answer=answer, bars=bars, strokes=strokes(answer.vector), total_ms=total_ms)


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
