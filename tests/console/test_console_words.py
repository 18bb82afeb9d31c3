"""Both languages say the same things, and templates say nothing by themselves."""

from __future__ import annotations

import hashlib
import re
import string
import tomllib
from pathlib import Path

import pytest

from hanlin import console
from hanlin.console import words
from hanlin.tasks import TASKS

ROOM = Path(console.__file__).parent
TEMPLATES = sorted((ROOM / "templates").glob("*.jinja"))
VENDOR = ROOM / "static" / "vendor"


def test_both_languages_have_the_same_keys() -> None:
    assert words.load_words("en").keys() == words.load_words("zh").keys()


@pytest.mark.parametrize("key", sorted(words.load_words("en")))
def test_both_languages_name_the_same_fields(key: str) -> None:
    fields = [{name for _, name, _, _ in string.Formatter().parse(words.load_words(language)[key]) if name} for language in words.LANGUAGES]
    assert fields[0] == fields[1]


def test_chinese_is_chinese() -> None:
    same = {key for key, text in words.load_words("zh").items() if not re.search(r"[\u4e00-\u9fff]", text)}
    assert same == {"site.other_language", "site.other_language_short", "play.en_1", "play.en_2"}


def test_figures_of_every_task_have_words_while_a_job_runs() -> None:
    english, chinese = map(words.figure_names, words.LANGUAGES)
    assert english.keys() == chinese.keys()
    for task in map(TASKS.get, TASKS.names()):
        assert {f"{part}{name}" for part in ("", "validation_", "best_", "trial_") for name in task.figures} <= english.keys()
    assert not [text for text in (*english.values(), *chinese.values()) if "_" in text]
    assert (english["validation_f1"], english["chrf"], english["mrr"]) == ("Validation F1", "chrF", "Reciprocal rank (MRR)")
    assert (chinese["validation_f1"], chinese["best_execution_accuracy"], chinese["loss"]) == ("验证 F1", "最佳执行准确率", "训练损失")
    assert words.say_name("en", "watched", "macro_f1") == "macro F1"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_bare_words(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"{#.*?#}", "", text, flags=re.DOTALL)
    spoken = re.findall(r'(?:alt|title|placeholder|aria-label)="([^"{]+)"', text)
    text = re.sub(r"{%.*?%}|{{.*?}}|<!doctype html>", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    allowed = {"Hanlin", "翰林", "p50", "p95", "p99", "F1"}
    assert {word for word in re.findall(r"\w+", text) if not word.isdigit()} - allowed == set()
    assert [word for word in spoken if word != "hl_…"] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_key_of_a_template_exists(template: Path) -> None:
    keys = re.findall(r"\bt\('([a-z0-9_.]+)'|\bt\(\"([a-z0-9_.]+)\"", template.read_text(encoding="utf-8"))
    for first, second in keys:
        key = first or second
        assert key in words.load_words("en") or key.endswith("."), key


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, "", "en"), (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"), (None, "fr, en;q=0.5, zh;q=0.7", "zh"), (None, "en-GB, zh", "en"),
        ("en", "zh", "en"), ("xx", "zh-TW", "zh"), (None, "zh;q=0", "en"), (None, "zh;q=abc,en;q=0.1", "en"), (None, ";;,,q=", "en"),
    ],
)  # fmt: skip
def test_language_is_the_visitors(cookie: str | None, accept: str, language: str) -> None:
    assert words.choose_language(cookie, accept) == language


def test_vendored_files_are_what_npm_published() -> None:
    for name, record in tomllib.loads((VENDOR / "VERSIONS.toml").read_text(encoding="utf-8")).items():
        assert (VENDOR / name / "LICENSE").stat().st_size > 100
        for file, digest in record["sha256"].items():
            content = (VENDOR / name / file).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest
            assert len(content) < 1_000_000


def test_scripts_and_styles_of_ours_name_no_other_site() -> None:
    for path in (ROOM / "static").glob("*.*"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "@import" not in text


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_text_has_contrast_in_every_light(theme: str) -> None:
    blocks = re.findall(r"(?::root|:root\[[^\]]+\]) \{([^}]+)\}", (ROOM / "static" / "ink.css").read_text(encoding="utf-8"))
    assert len(blocks) == 3
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[int(theme)]))
    for ink in ("ink", "ink-soft", "seal", "jade", "ochre", "indigo"):
        for paper in ("paper", "sheet"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    assert contrast(colours["seal-ink"], colours["seal"]) >= 4.5
    assert contrast(colours["seal"], colours["seal-wash"]) >= 4.5
    assert contrast(colours["ink"], colours["seal-wash"]) >= 4.5


def test_both_dark_blocks_are_the_same() -> None:
    blocks = re.findall(r":root\[[^\]]+\] \{([^}]+)\}", (ROOM / "static" / "ink.css").read_text(encoding="utf-8"))
    assert blocks[0].split() == blocks[1].split()
