"""What a bench says: capacity, what was held, the limit; its picture in both languages; the texts it sends."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from hanlin.bench.connection import Reply
from hanlin.bench.load import Window
from hanlin.bench.pictures import saturation_svg
from hanlin.bench.report import BenchReport, limit_of
from hanlin.bench.texts import has_query, of_file, of_lengths
from hanlin.client import Endpoint
from hanlin.errors import InvalidInput


def window(
    rate: float | None, good: int, ms: float, *, clients: int = 1, timing: str = "engine;dur=2, total;dur=3", **more: object
) -> Window:
    found = Window(rate, clients, seconds=1.0)
    for _ in range(good):
        head = f"HTTP/1.1 200 OK\r\nserver-timing: {timing}".encode()
        found.count(Reply(200, head, ms / 1000), meant_s=0.0, sent_s=0.0)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def report(*opened: Window) -> BenchReport:
    closed = (window(None, 100, 4.0), window(None, 400, 9.0, clients=8))
    return BenchReport("mood", "mood:1 torch-fp32", "built-in", 40, 2, closed, opened)


def test_what_is_held_is_the_highest_rate_answered_in_time() -> None:
    found = report(window(100, 100, 4), window(300, 298, 12), window(350, 349, 90), window(480, 410, 800))
    assert found.held is not None and found.held.offered_rps == 300, "350 were answered, but late; 480 not wholly"
    assert found.capacity.goodput_rps == 410
    assert found.to_json()["held_rps"] == 300 and found.to_json()["capacity_texts_s"] == 820
    assert report(window(500, 100, 4)).held is None


@pytest.mark.parametrize(
    ("expected", "timing", "more"),
    [
        ("engine", "queue;dur=5, engine;dur=2, total;dur=8", {}),
        ("encode", "encode;dur=5, engine;dur=2, total;dur=8", {}),
        ("gateway", "parse;dur=1, engine;dur=2, total;dur=9", {}),
        ("network", "engine;dur=1, total;dur=2", {}),
        ("generator", "engine;dur=9, total;dur=9", {"cpu_share": 0.97}),
        ("refusals", "engine;dur=9, total;dur=9", {"refused": 50}),
        ("failures", "engine;dur=9, total;dur=9", {"failed": 50}),
    ],
)
def test_the_limit_is_named(expected: str, timing: str, more: dict[str, object]) -> None:
    assert limit_of(window(None, 100, 10.0, timing=timing, **more)) == expected


def test_answers_that_were_kept_are_told() -> None:
    assert report(window(100, 100, 4, cached=100), window(300, 200, 4, cached=100)).cached_share == 200 / 800
    assert report(window(100, 100, 4)).to_json()["cached_share"] == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_picture_is_whole_in_both_languages(language: str) -> None:
    found = saturation_svg(report(window(100, 100, 4), window(300, 298, 12), window(480, 410, 800)), language)
    root = ElementTree.fromstring(found)
    words = "".join(root.itertext())
    assert bool(re.search(r"[\u4e00-\u9fff]", re.sub(r"(?s)svg\{.*", "", words))) == (language == "zh")
    assert "prefers-color-scheme:dark" in found and "<script" not in found and "nan" not in words
    assert len(root.findall(".//{*}circle")) == 9


def test_a_picture_of_little_is_still_one() -> None:
    ElementTree.fromstring(saturation_svg(report(), "en"))


def test_texts_have_the_lengths_asked_for() -> None:
    mix = of_lengths({"p5": 10, "p50": 30, "p95": 90, "p99": 120, "max": 150}, "zh", source="dataset")
    lengths = sorted(map(len, mix.texts))
    assert lengths[len(lengths) // 2] == pytest.approx(30, abs=2)
    assert lengths[int(0.95 * len(lengths))] == pytest.approx(90, abs=4)
    assert lengths[-1] <= 150 and all(text.strip() for text in mix.texts)
    assert mix == of_lengths({"p5": 10, "p50": 30, "p95": 90, "p99": 120, "max": 150}, "zh", source="dataset"), "the same every time"


def test_bodies_hold_so_many_texts() -> None:
    mix = of_file(["a", "b", "c"])
    assert mix.bodies(1) == [b'{"inputs": "a"}', b'{"inputs": "b"}', b'{"inputs": "c"}']
    assert mix.bodies(4)[0] == b'{"inputs": ["a", "b", "c", "a"]}'
    assert mix.bodies(2, has_query=True)[0] == b'{"inputs": {"query": "a", "texts": ["a", "b"]}}'
    with pytest.raises(InvalidInput):
        of_file([])


def test_a_ranking_endpoint_is_known_by_its_example() -> None:
    ranking = {"request": {"inputs": {"query": "a", "texts": ["b"]}}}
    assert has_query(Endpoint(endpoint="e", example=ranking))
    assert not any(has_query(Endpoint(endpoint="e", example=example)) for example in ({"request": {"inputs": "a"}}, {}, None, []))
