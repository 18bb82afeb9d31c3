"""The playground of an endpoint: type, and see what the model thinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import cast, get_args

from starlette.responses import RedirectResponse, Response

from hanlin.console import words
from hanlin.console.answers import strokes
from hanlin.console.views import EndpointSettings, EndpointView
from hanlin.console.views_play import Prediction
from hanlin.console.visits import Visit
from hanlin.errors import InvalidInput, NotFound
from hanlin.types import MAX_CACHE_TTL_S, MAX_IDLE_S, MAX_REPLICAS, Isolation, LongText, is_name

SHOWN_LABELS = 8
WRITES = "text-generation"  # the task whose answers are shown as they are written
SAVED = ("saved", "restarted")  # what the page says after a form, by whether the model is started anew
CHOICES: Mapping[str, tuple[str, ...]] = {"long_text": get_args(LongText), "isolation": get_args(Isolation)}
BOUNDS = {
    "cache_ttl_s": MAX_CACHE_TTL_S, "min_replicas": MAX_REPLICAS, "max_replicas": MAX_REPLICAS, "idle_s": int(MAX_IDLE_S),
}  # fmt: skip
_BODY = '{"inputs": "…"}'
_PAIR_BODY = '{"inputs": {"text": "…", "text_pair": "…"}}'
_BODIES = {
    "reranking": '{"inputs": {"query": "…", "texts": ["…"]}}', "question-answering": '{"inputs": {"question": "…", "context": "…"}}',
    "fill-mask": '{"inputs": "… [MASK] …"}',
}  # fmt: skip


async def show_list(visit: Visit) -> Response:
    """Endpoints are listed on the first page."""
    return RedirectResponse("/#endpoints", status_code=303)


async def show(visit: Visit) -> Response:
    """The endpoint, a place to type, and the call that does the same."""
    endpoint = await visit.ask(visit.site.port.get_endpoint, name_in(visit))
    base = str(visit.request.base_url).rstrip("/")
    body = _PAIR_BODY if endpoint.pairs else _BODIES.get(endpoint.task, _BODY)
    saved = visit.request.query_params.get("saved", "")
    return visit.render(
        "endpoint.html.jinja", endpoint=endpoint, base=base, address=f"{base}/models/{endpoint.name}", example_body=body, bounds=BOUNDS,
        is_writer=endpoint.task == WRITES, writers=await _writers(visit, endpoint), live_words=words.section(visit.language, "write_live"),
        choices=CHOICES, may_write=bool({"write", "admin"} & visit.who.scopes), saved=saved if saved in SAVED else "",
    )  # fmt: skip


async def _writers(visit: Visit, endpoint: EndpointView) -> list[EndpointView]:
    """What else writes, to be shown beside an endpoint that does."""
    if endpoint.task != WRITES:
        return []
    return [one for one in await visit.ask(visit.site.port.list_endpoints) if one.task == WRITES and one.name != endpoint.name]


async def configure(visit: Visit) -> Response:
    """Takes the settings form. Scripted or not, the visitor ends at the endpoint's page, which says what was done."""
    name = name_in(visit)
    is_restarted = await visit.ask(visit.site.port.configure_endpoint, name, read_settings(visit.form, visit.say))
    target = f"/console/endpoints/{name}?saved={SAVED[is_restarted]}"
    if "hx-request" in visit.request.headers:
        return Response(headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def read_settings(form: Mapping[str, str], say: Callable[[str], str]) -> EndpointSettings:
    """The settings of a form. Raises InvalidInput (`console_setting_invalid`) with the label of the first field that is no such."""
    for name, choices in CHOICES.items():
        if form.get(name, "") not in choices:
            raise InvalidInput("console_setting_invalid", name=say(f"settings.{name}"), allowed=" | ".join(choices))
    numbers = {name: _whole(form.get(name, ""), say(f"settings.{name}"), high) for name, high in BOUNDS.items()}
    if numbers["max_replicas"] < (low := max(1, numbers["min_replicas"])):
        raise InvalidInput("console_setting_invalid", name=say("settings.max_replicas"), allowed=f"{low}–{MAX_REPLICAS}")
    return EndpointSettings(isolation=cast("Isolation", form["isolation"]), long_text=cast("LongText", form["long_text"]), **numbers)


def _whole(text: str, label: str, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= high):
        raise InvalidInput("console_setting_invalid", name=label, allowed=f"0–{high}")
    return int(text)


async def classify(visit: Visit) -> Response:
    """What the model says of the typed text: bars, marked entities, or the strokes of a vector. A text of nothing gets an empty answer."""
    text, query, pair = visit.form.get("text", ""), visit.form.get("query"), visit.form.get("pair", "").strip()
    if not text.strip() or (query is not None and not query.strip()):
        return visit.render("_answer.html.jinja", answer=None, bars=[], strokes=[], total_ms=None)
    started = time.perf_counter()
    answer = await visit.site.port.classify(visit.who, name_in(visit), text, visit.language, query=query or "", pair=pair)
    total_ms = (time.perf_counter() - started) * 1000
    ranked = [(line or visit.say("play.no_answer"), score, not place) for place, (line, score) in enumerate(answer.scores)]
    bars = arrange(answer) if query is None else ranked
    return visit.render("_answer.html.jinja", answer=answer, bars=bars, strokes=strokes(answer.vector), total_ms=total_ms)


def arrange(answer: Prediction) -> list[tuple[str, float, bool]]:
    """(label, score, is best). Few labels keep their places while scores move; of many, the best come first."""
    best = answer.scores[0][0] if answer.scores else ""
    scores = list(answer.scores[:SHOWN_LABELS])
    if len(answer.scores) <= SHOWN_LABELS:
        scores.sort()
    return [(label, score, label == best) for label, score in scores]


def name_in(visit: Visit) -> str:
    """The endpoint in the address. Raises NotFound (`console_page_missing`) for what can be none."""
    name = str(visit.request.path_params["endpoint"])
    if not is_name(name):
        raise NotFound("console_page_missing")
    return name
