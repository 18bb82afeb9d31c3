"""docs/corpora.md and docs/corpora.zh.md: an introduction, the registered corpora, the figures of bench/corpora.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hanlin.datasets.corpora import CORPORA, Corpus

FIGURES = Path(__file__).resolve().parents[1] / "bench" / "corpora.json"
NOTE = "<!-- Written by scripts/generate_docs.py; `make docs` renews it. -->"
NATURES = {"gold": ("gold", "金"), "silver": ("**silver**", "**银**"), "synthetic": ("**synthetic**", "**合成**")}
HEADS = (
    ("| corpus | languages | rows | test | answers | licence | baseline |", "| 语料 | 语言 | 行数 | 测试 | 答案 | 许可 | 基线 |"),
    ("## The corpora", "## 各语料"),
    ("## What the baselines do", "## 基线的做法"),
    ("## The rules of `brown-roles`", "## `brown-roles` 的规则"),
)


def english_page() -> str:
    """docs/corpora.md."""
    return _page(0, "# Corpora", "[中文](corpora.zh.md)", "corpora_intro.md")


def chinese_page() -> str:
    """docs/corpora.zh.md."""
    return _page(1, "# 语料", "[English](corpora.md)", "corpora_intro.zh.md")


def _page(language: int, title: str, other: str, intro: str) -> str:
    measured: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    text = Path(__file__).with_name(intro).read_text(encoding="utf-8")
    known = [CORPORA.get(name) for name in CORPORA.names()]
    lines = [title, NOTE, "", other, "", text, HEADS[0][language], "|---|---|--:|--:|---|---|---|"]
    for task in sorted({corpus.task for corpus in known}):
        lines.append(f"| **`{task}`** | | | | | | |")
        lines += [_row(corpus, measured.get(corpus.name), language) for corpus in known if corpus.task == task]
    lines += ["", HEADS[1][language], "", *(_entry(corpus, language) for corpus in known)]
    lines += ["", HEADS[2][language], "", *_baselines(known, measured)]
    if rules := _rules(language):
        lines += ["", HEADS[3][language], "", rules]
    return "\n".join([*lines, ""])


def _row(corpus: Corpus, found: dict[str, Any] | None, language: int) -> str:
    figures = ", ".join(f"{name} {value:g}" for name, value in found["figures"].items()) if found else ""
    rows, test = (f"{found['rows']:,}", f"{found['test']:,}") if found else ("", "")
    nature = NATURES[corpus.nature][language]
    return f"| `{corpus.name}` | {' '.join(corpus.languages)} | {rows} | {test} | {nature} | {corpus.licence} | {figures} |"


def _entry(corpus: Corpus, language: int) -> str:
    said = (corpus.about, corpus.about_zh)[language]
    columns, formats = (", ".join(f"`{name}`" for name in names) for names in (corpus.columns, corpus.formats))
    return f"- **`{corpus.name}`**: {said} {columns} · {formats} · {corpus.source}"


def _baselines(known: list[Corpus], measured: dict[str, Any]) -> list[str]:
    """Each baseline with the tasks that it stands for, in English on both pages: the words are the code's own."""
    tasks: dict[str, list[str]] = {}
    for corpus in known:
        if said := measured.get(corpus.name, {}).get("baseline"):
            tasks.setdefault(said, []).append(f"`{corpus.name}`")
    return [f"- {', '.join(names)}: {said}" for said, names in sorted(tasks.items(), key=lambda item: item[1])]


def _rules(language: int) -> str:
    from hanlin.datasets.corpora import roles

    said = (roles.__doc__ or "").split("\n\n", 1)[1].strip()
    return said if language == 0 else f"规则以代码的原文给出：\n\n{said}"
