"""One page a client in `docs/clients`: its snippet runs as it is shown, in the environment of its client."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.gateway.test_gateway_clients import MADE, environment

from hanlin.datasets.packages import node_command

pytestmark = pytest.mark.e2e
PAGES = Path(__file__).parents[2] / "docs" / "clients"
# the page, the environment of its client, and what its snippet prints here
SNIPPETS = {
    "cohere": ("cohere", r"\[\(\d, \d\.\d+\), \(\d, \d\.\d+\)\]\n"),
    "hugging-face": ("hub", r"(positive|negative)\n2\n"),
    "jina": ("", r'\{"id".*"relevance_score".*\}\{"object":"list".*\}'),
    "langchain": ("langchain", r"1\n"),
    "llama-index": ("openai", r"True\n"),
    "open-inference": ("open-inference", r"\(2, 2\) \(2, 2\)\n"),
    "openai": ("openai", r"2 4\n\['answers', .*'ranks', .*'vectors'\]\n"),
    "openai-node": ("node", r"2 4\n"),
    "text-embeddings-inference": ("", r'\[\[.*\]\]\[\{"index".*\}\]\[\[\{"id".*\}\]\]'),
}
# Those of chat models, whose endpoint `muse` the others do without.
TALKS = {
    "openai-chat": r"True\nTrue\n", "anthropic": r"True max_tokens\nTrue\n", "langchain-chat": r"True True\n",
    "hugging-face-chat": r"True\nTrue\nassistant\n",
}  # fmt: skip


def test_every_page_is_run_and_linked() -> None:
    names = {path.stem for path in PAGES.glob("*.md")}
    assert names == set(SNIPPETS) | set(TALKS) | {"fine-tuning"}, "that one needs a runner: tests/app/test_app_fine_tuning.py"
    for index in ("doors.md", "doors.zh.md"):
        text = (PAGES.parent / index).read_text(encoding="utf-8")
        assert {name for name in names if f"clients/{name}.md" in text} == names


def command_of(kind: str, family: str, snippet: str, scratch: Path) -> list[str]:
    """How the snippet is run: bash, or the Python or Node of its client's environment."""
    if kind == "sh":
        return ["bash", "-euc", snippet]
    if kind == "python":
        return [str(MADE / family / "bin" / "python"), "-I", "-c", snippet]
    file = MADE / family / f"{scratch.name}.mjs"  # where its imports are found
    file.write_text(snippet, encoding="utf-8")
    return [*node_command(), str(file)]


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_a_page_shows_runs(doors, name: str, tmp_path: Path) -> None:
    check(doors, name, *SNIPPETS[name], tmp_path)


@pytest.mark.parametrize("name", TALKS)
def test_what_a_page_of_talks_shows_runs(doors, name: str, tmp_path: Path) -> None:
    check(doors, name, "chat", TALKS[name], tmp_path)


def check(doors, name: str, family: str, expected: str, tmp_path: Path) -> None:
    """Runs the snippet of a page and looks at what it prints."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    found = re.search(r"```(python|js|sh)\n(.*?)```", text, re.DOTALL)
    assert found, "no snippet"
    snippet = found[2]
    for said, meant in (("http://127.0.0.1:8000", doors.url), ("hl_…", "hl_app")):
        assert said in snippet
        snippet = snippet.replace(said, meant)
    variables = environment(doors) | {"PATH": os.environ["PATH"]}
    command = command_of(found[1], family, snippet, tmp_path)
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(expected, done.stdout, re.DOTALL), done.stdout
