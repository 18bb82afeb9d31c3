"""Every error code has words in both languages, and every code in the catalogue is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hanlin import errors, messages

SOURCE = Path(__file__).parents[2] / "src" / "hanlin"
TEXTS = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
FAMILY = "|".join(errors.FAMILIES)
RAISED = {match.group(2): path for path, text in TEXTS.items() for match in re.finditer(rf"\b({FAMILY})\(\s*\"([a-z0-9_]+)\"", text)}
PLACEHOLDER = re.compile(r"{([a-z_]+)")
CODES = sorted(messages.catalogue())


SAID = {match.group(1): path for path, text in TEXTS.items() for match in re.finditer(r"(?:\bmessage|_tick|\bSaid)\(\s*\"([^\"]+)\"", text)}


def test_every_code_that_is_raised_or_told_has_words() -> None:
    assert {"training_on", "searching", "variants_loaded"} <= SAID.keys()
    missing = {code: str(path.relative_to(SOURCE)) for code, path in (RAISED | SAID).items() if code not in messages.catalogue()}
    assert missing == {}


@pytest.mark.parametrize("code", CODES)
def test_a_code_speaks_both_languages_with_the_same_placeholders(code: str) -> None:
    texts = messages.catalogue()[code]
    assert texts.keys() <= {"message", "message_zh", "next", "next_zh", "http"}
    for part in ("message", "next"):
        assert (part in texts) == (f"{part}_zh" in texts), f"{code}: {part} stands in one language only"
    assert re.search(r"[\u4e00-\u9fff]", str(texts["message_zh"])), f"{code}: message_zh holds no Chinese"
    for part in ("message", "next"):
        if part in texts:
            english, chinese = (set(PLACEHOLDER.findall(str(texts[key]))) for key in (part, f"{part}_zh"))
            assert english == chinese


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_the_catalogue_is_used(code: str) -> None:
    assert any(f'"{code}"' in text for text in TEXTS.values()), f"{code} is never raised"


def test_wire_form_rebuilds_the_same_class_and_words() -> None:
    error = errors.Overloaded("internal", retry_after_s=1.5)
    again = errors.from_wire(error.to_wire("zh"))
    assert type(again) is errors.Overloaded
    assert again.message == error.text("zh")
    assert again.retry_after_s == 1.5
    assert len(str(error.to_wire())) < 4096
