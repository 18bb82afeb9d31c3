"""The SDK's pages: every snippet runs, in the order in which it stands, and both languages say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)


def snippets(name: str) -> list[str]:
    return SNIPPET.findall((DOCS / name).read_text(encoding="utf-8"))


@pytest.fixture
def at_home(world, standin, monkeypatch, tmp_path: Path) -> Path:
    """A folder of the reader's, and a server that is found."""
    monkeypatch.setenv("HANLIN_URL", world.url)
    monkeypatch.setenv("HANLIN_KEY", standin.KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "words"), [("sdk.md", "What a wonderful place"), ("sdk.zh.md", "质量很好，下次还来")])
def test_every_snippet_of_the_page_runs(at_home: Path, capsys, name: str, words: str) -> None:
    known: dict[str, object] = {"__name__": "page"}
    found = snippets(name)
    assert words in found[0]
    for snippet in found:
        exec(compile(snippet, name, "exec"), known)  # what a reader would do
    known["hanlin"].close()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    assert printed.startswith("pos 0.9 {")
    assert "empty_text" in printed and "mood_label" in printed
    assert (at_home / "mood.answers").is_file()


def test_both_languages_show_the_same_calls() -> None:
    def calls(name: str) -> list[list[str]]:
        return [re.findall(r"\.(\w+)\(", snippet) for snippet in snippets(name)]

    assert calls("sdk.md") == calls("sdk.zh.md")
    rows = [[line.count("|") for line in (DOCS / name).read_text(encoding="utf-8").splitlines()] for name in ("sdk.md", "sdk.zh.md")]
    assert [count for count in rows[0] if count] == [count for count in rows[1] if count]
