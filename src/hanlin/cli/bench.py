"""`hanlin bench ENDPOINT`: load, the saturation curve, where the time goes, and what limits it."""

from __future__ import annotations

import asyncio
import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli.options import EndpointName, JsonFlag, add_command, connect
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import percent
from hanlin.cli.text_files import lines_of
from hanlin.cli.words import name_of, say
from hanlin.errors import InvalidInput
from hanlin.messages import terminal_language
from hanlin.types import shorten

if TYPE_CHECKING:
    from hanlin.bench.load import Limits, Load, Window
    from hanlin.bench.report import BenchReport
    from hanlin.bench.run import Plan
    from hanlin.bench.texts import Mix
    from hanlin.client import Hanlin

_MAX_LOADS = 20
_MAX_REASONS = 3
_PROBES = 6
_TEXTS = {"file": "bench.texts_file", "dataset": "bench.texts_dataset", "built-in": "bench.texts_built_in"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "bench", bench, "help.bench")


def bench(  # noqa: PLR0917  # Typer passes them by name
    endpoint: EndpointName,
    clients: Annotated[str, typer.Option("--clients", help=say("option.bench_clients"))] = "1,8,64",
    rates: Annotated[str | None, typer.Option("--rates", help=say("option.bench_rates"))] = None,
    seconds: Annotated[float, typer.Option("--seconds", help=say("option.bench_seconds"), min=0.2, max=600)] = 3.0,
    warm_up: Annotated[float, typer.Option("--warm-up", help=say("option.bench_warm_up"), min=0, max=60)] = 1.0,
    requests: Annotated[int, typer.Option("--requests", help=say("option.bench_requests"), min=1, max=10_000_000)] = 200_000,
    items: Annotated[int, typer.Option("--items", help=say("option.bench_items"), min=1, max=256)] = 1,
    file: Annotated[Path | None, typer.Option("--file", "-f", help=say("option.bench_file"))] = None,
    out: Annotated[Path | None, typer.Option("--out", help=say("option.bench_out"))] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.bench`."""
    from hanlin.bench.load import Limits
    from hanlin.bench.pictures import saturation_svg
    from hanlin.bench.run import Plan

    plan = Plan(
        tuple(map(int, _numbers(clients, "--clients", high=256))),
        tuple(_numbers(rates, "--rates", high=1e6)) if rates is not None else None,
    )
    limits = Limits(seconds, warm_up, requests)
    if out is not None and not out.is_file():
        out.touch()  # a place that cannot be written is told before a minute of measuring, not after it
        out.unlink()
    with connect() as hanlin:
        report = _measure(hanlin, endpoint, plan, limits, items=items, file=file)
    if out is not None:
        out.write_text(saturation_svg(report, terminal_language()), encoding="utf-8")
    if json:
        SCREEN.document(report.to_json())
    else:
        _show(report)
        if out is not None:
            SCREEN.note(say("bench.picture", path=out))


def _measure(hanlin: Hanlin, endpoint: str, plan: Plan, limits: Limits, *, items: int, file: Path | None) -> BenchReport:
    from hanlin.bench import texts
    from hanlin.bench.connection import Target
    from hanlin.bench.load import Load
    from hanlin.bench.report import BenchReport
    from hanlin.client.connection import find_key

    found = hanlin.describe(endpoint)
    if file is not None:
        mix = texts.of_file(list(lines_of(file)))
    else:
        mix = texts.of_endpoint(hanlin, found, terminal_language() if not found.languages else found.languages[0])
    is_ranking = texts.has_query(found)
    mix, model = _probed(hanlin, endpoint, mix, has_query=is_ranking)
    SCREEN.note(say(_TEXTS[mix.source], characters=mix.median_characters, seconds=round(plan.seconds(limits))))
    load = Load(Target.of(hanlin.url, endpoint, find_key()), mix.bodies(items, has_query=is_ranking), limits=limits)
    closed, opened = _run(load, plan)
    return BenchReport(endpoint, model, mix.source, mix.median_characters, items, closed, opened)


def _probed(hanlin: Hanlin, endpoint: str, mix: Mix, *, has_query: bool) -> tuple[Mix, str]:
    """The texts that the endpoint takes, and who answers; texts that are too long for it are left out, a file's never in silence."""
    from hanlin.bench.texts import Mix, inputs_of

    for _ in range(_PROBES):
        try:
            return mix, hanlin.ask(endpoint, inputs_of([max(mix.texts, key=len)], has_query=has_query)).model
        except InvalidInput as error:
            if error.code != "text_too_long" or mix.source == "file":
                raise
            longest = max(map(len, mix.texts)) * 2 // 3
            mix = Mix(tuple(text[:longest] for text in mix.texts), mix.source)
    return mix, hanlin.ask(endpoint, inputs_of([min(mix.texts, key=len)], has_query=has_query)).model


def _run(load: Load, plan: Plan) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    from hanlin.bench.run import run_plan

    console = SCREEN.console(is_error=True)
    status = console.status("") if sys.stderr.isatty() else None

    def on_load(kind: str, size: float, number: int, total: int) -> None:
        if status is not None:
            load = say(
                "bench.load_open" if kind != "closed" else "bench.load_one" if size == 1 else "bench.load_closed", size=f"{size:,.0f}"
            )
            bar = "█" * round(20 * (number - 1) / total)
            status.update(f"{bar:░<20} {number}/{total} · {load}")

    with status or nullcontext():
        return asyncio.run(run_plan(load, plan, on_load=on_load))


def _show(report: BenchReport) -> None:
    from hanlin.bench.load import reasons_of

    names = ("load", "good", "p50", "p90", "p99", "p999", "refused", "failed")
    columns = [say(f"bench_column.{name}") for name in names]
    top = max((window.latency.quantile_s(0.99) for window in (*report.closed, *report.open)), default=0.0)
    rows = [_row(window, top) for window in (*report.closed, *report.open)]
    SCREEN.show(grid([*columns, ""], rows, right=tuple(range(1, len(names)))))
    if reasons := reasons_of((*report.closed, *report.open)):
        told = ", ".join(f"{count} × {code or say('bench.no_answer')}" for code, count in reasons.most_common(_MAX_REASONS))
        SCREEN.line(say("bench.reasons", reasons=told))
    _show_parts(report)
    held = report.held
    SCREEN.line(say("bench.capacity", rps=_rate(report.capacity.goodput_rps), texts=_rate(report.capacity.goodput_rps * report.items)))
    SCREEN.line(say("bench.held", rps=_rate(held.offered_rps or held.goodput_rps)) if held else say("bench.none_held"))
    SCREEN.line(name_of("bench_limit", report.limit))
    if report.cached_share:
        SCREEN.note(say("bench.cached", share=percent(report.cached_share)))


def _row(window: Window, top_s: float) -> list[str]:
    clients = say("bench.one_client") if window.clients == 1 else say("bench.clients", clients=window.clients)
    name = clients if window.offered_rps is None else f"{_rate(window.offered_rps)}/s"
    times = [f"{window.latency.quantile_s(share) * 1000:,.2f}" for share in (0.5, 0.9, 0.99, 0.999)]
    bar = _bar(window.latency.quantile_s(0.99), top_s)
    return [name, _rate(window.goodput_rps), *times, str(window.refused), str(window.failed + window.unsent), bar]


def _rate(value: float) -> str:
    """Slow models are told apart by parts of one."""
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def _bar(value_s: float, top_s: float) -> str:
    """The p99 on a logarithmic scale from 0.1 ms on."""
    if value_s <= 1e-4 or top_s <= 1e-4:
        return ""
    return "▇" * max(1, round(24 * math.log(value_s / 1e-4) / math.log(max(top_s / 1e-4, 1.01))))


def _show_parts(report: BenchReport) -> None:
    from hanlin.bench.parts import NAMES

    loaded = report.held or report.capacity
    light, full = report.unloaded.parts.means_ms(), loaded.parts.means_ms()
    rows = [[name_of("bench_part", name), f"{light[name]:.3f}", f"{full[name]:.3f}"] for name in NAMES]
    SCREEN.show(grid([say("bench_column.part"), say("bench_column.light"), say("bench_column.full")], rows, right=(1, 2)))


def _numbers(text: str, option: str, *, high: float) -> list[float]:
    """Rising positive numbers out of `1,8,64`. Raises InvalidInput (`not_rising_numbers`)."""
    try:
        values = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        values = [0.0]
    is_good = all(0 < value <= high for value in values) and values == sorted(set(values)) and len(values) <= _MAX_LOADS
    if not is_good or (option == "--clients" and (not values or any(value != int(value) for value in values))):
        raise InvalidInput("not_rising_numbers", option=option, text=shorten(text), high=int(high))
    return values
