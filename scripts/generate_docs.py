#!/usr/bin/env python3
"""Writes docs/cli.md, sdk-reference.md, settings.md, training-options.md and corpora.md from the code.

`--check` only compares and says what differs.

Nothing is told twice: commands come from the command line's own tree, the SDK from its signatures and docstrings,
settings from `hanlin.settings.Settings`, corpora from their registry and their measured figures.
"""

from __future__ import annotations

import os

os.environ["HANLIN_LANG"] = "en"  # before the command line is built: the pages are in English

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from pathlib import Path

import corpora_pages
import typer

from hanlin import client
from hanlin.cli.application import build
from hanlin.control.job_schemas import EXAMPLES
from hanlin.settings import CLIENT_VARIABLES, Settings
from hanlin.training.option_rules import CHOICES, NEEDS, REACHES, told_tasks

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = corpora_pages.NOTE
EXIT_STATUSES = [
    "0 done",
    "1 failed: the model, the job or the server is at fault",
    "2 wrong usage or input",
    "3 no key, a wrong key, or a key without the scope",
    "4 not found, or in conflict with what exists",
    "5 not available now: no server, busy, quota used up, out of time",
    "130 interrupted",
]
CLIENT_WORDS = {
    "HANLIN_URL": "where the server is; default: the local server's note (`<home>/run/server.json`) while something answers there; else "
    "`HANLIN_HOST` and `HANLIN_PORT`, where one is set; else the note all the same, then http://127.0.0.1:8000",
    "HANLIN_KEY": "the API key; default: the owner key in the home folder",
    "HANLIN_LANG": "`en` or `zh`; default: as `LC_ALL`, `LC_MESSAGES` or `LANG` say",
    "HANLIN_CONFIG": "the settings file; default: `hanlin.toml` in the home folder",
}


def cli_page() -> str:
    """All commands with their arguments and options."""
    root = typer.main.get_command(build())
    lines = [
        "# Command line",
        NOTE,
        "",
        "Every command but `up`, `demo`, `doctor` and `dataset sample` speaks to a running server (`HANLIN_URL`, `HANLIN_KEY`).",
    ]
    lines += ["`--json` prints exactly one JSON document on standard output; progress and notes go to standard error.", ""]
    lines += ["Exit status: " + " · ".join(EXIT_STATUSES) + ".", ""]
    for path, command in _commands(root, "hanlin"):
        lines += [*_command(path, command), ""]
    return "\n".join(lines)


def _commands(group: object, path: str) -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: object) -> list[str]:
    context = typer.Context(command)  # type: ignore[arg-type]
    params = [param for param in command.params if param.name != "help" and not getattr(param, "hidden", False)]  # type: ignore[attr-defined]
    title = " ".join([path, *(_argument(param) for param in params if param.param_type_name == "argument")])
    records = [(param, param.get_help_record(context) or ("", "")) for param in params]
    rows = [f"| `{_argument(param) if param.param_type_name == 'argument' else names}` | {words} |" for param, (names, words) in records]
    rows = [row.replace("|", "\\|").replace("\\| `", "| `", 1).replace("` \\| ", "` | ", 1)[:-2] + "|" for row in rows]
    return [f"## `{title}`", "", str(command.help), "", *(["| | |", "|---|---|", *rows] if rows else [])]  # type: ignore[attr-defined]


def _argument(param: object) -> str:
    name = str(param.metavar or param.name).upper().strip("…")  # type: ignore[attr-defined]
    name += "…" if param.nargs != 1 else ""  # type: ignore[attr-defined]
    return name if param.required else f"[{name}]"  # type: ignore[attr-defined]


def sdk_page() -> str:
    """The two clients, their parts and the values they return."""
    lines = ["# SDK, all of it", NOTE, "", "[SDK](sdk.md) tells it by example.", "", "```python", *_example(), "```", ""]
    lines += ["`AsyncHanlin` offers the same with `await` (`jobs.stream` is an async generator); longer examples: `examples/`.", ""]
    lines += [
        "Errors are the classes of `hanlin.errors`, with `code`, `message`, `next_step` and `retry_after_s` as the server sent them.",
        "",
    ]
    hanlin = client.Hanlin("http://localhost", "key")
    lines += ["## `Hanlin`", "", _doc(client.Hanlin), "", *_methods(client.Hanlin)]
    for name, part in vars(hanlin).items():
        if not name.startswith("_") and not isinstance(part, str):
            lines += [f"## `Hanlin.{name}`", "", _doc(type(part)), "", *_methods(type(part)), *(_jobs() if name == "jobs" else [])]
    lines += ["## Values", ""]
    for name in sorted(set(client.__all__) - {"Hanlin", "AsyncHanlin"}):
        value = getattr(client, name)
        fields = _fields(value)
        names = f" {', '.join(f'`{field}`' for field in fields)}." if fields else ""
        lines.append(f"- **{name}**: {' '.join((inspect.getdoc(value) or '').split())}{names}")
    return "\n".join([*lines, ""])


def _fields(value: type) -> Iterable[str]:
    """What a value of the SDK holds."""
    if value is client.Prediction:
        return ("label", "score", "by_label()")
    if is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return getattr(value, "model_fields", ())


def _jobs() -> list[str]:
    """One request of each kind of job."""
    lines = ["What `submit` takes, by `kind`; `/docs` of a server lists every field with default and bounds."]
    lines += ["`datasets.add` and `models.add` upload and submit in one call.", "", "```python"]
    lines.append('files = [file.model_dump() for file in hanlin.blobs.upload("reviews.csv")]')
    for kind, config in EXAMPLES.items():
        shown = config | {name: name for name in ("files", "file", "training_file") if name in config}
        said = json.dumps(shown).replace('"files": "files"', '"files": files')
        said = said.replace('"file": "file"', '"file": files[0]').replace('"training_file": "training_file"', '"training_file": files[0]')
        lines.append(f"hanlin.jobs.submit({json.dumps(kind)}, {said})")
    return [*lines, "```", ""]


def _example() -> list[str]:
    return inspect.cleandoc(client.__doc__ or "").split("\n\n", 1)[1].splitlines()


def _methods(owner: type) -> list[str]:
    lines = []
    own = {name: method for part in reversed(owner.__mro__[:-1]) for name, method in vars(part).items()}
    for name, method in own.items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        signature = re.sub(r"\bself(, )?", "", str(inspect.signature(method)))
        signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature).replace("transfer.", "")
        lines += [f"- `{name}{signature}`  ", f"  {_doc(method)}"]
    return [*lines, ""]


def _doc(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    first, _, rest = text.partition("\n\nArgs:\n")
    if not rest:
        return " ".join(text.split())
    arguments, _, raises = rest.partition("\n\nRaises:\n")
    whole = re.sub(r"\n {5,}", " ", arguments)  # a line that goes on stands deeper than its argument
    rows = [f"- `{name}`: {words}" for name, _, words in (line.strip().partition(": ") for line in whole.splitlines())]
    return "\n".join([first, "", *rows, *(["", "Raises " + " ".join(raises.split())] if raises else [])])


def settings_page() -> str:
    """Every setting with its default and its variable."""
    lines = ["# Settings", NOTE, ""]
    lines += ["Defaults, then the TOML file (`HANLIN_CONFIG`, else `hanlin.toml` in the home folder), then variables, then options."]
    lines += ["A bad or unknown value stops the start. Sizes are in bytes, times in seconds.", ""]
    lines += ["| setting | variable | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "`~/.hanlin`" if name == "home" else f"`{field.get_default()}`" if field.get_default() != "" else "empty"
        lines.append(f"| `{name}` | `HANLIN_{name.upper()}` | {default} | {field.description} |")
    lines += ["", "Variables that the client and the command line read:", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {CLIENT_WORDS[name]} |" for name in sorted(CLIENT_VARIABLES)]
    return "\n".join([*lines, ""])


def options_page() -> str:
    """Where each option of a training does something, in both languages."""
    lines = ["# Where the options of a training work", NOTE, ""]
    lines += [
        "中文：下表列出每个训练选项对哪些模型、哪些任务起作用；`base` 指微调注册表中的模型。未列出的选项处处有效，",
        "但 `processes`（[多个进程](several-processes.zh.md)）、`recompute` 以及写文本的基座的 `dropout` 还取决于网络本身；",
        "在不起作用之处设置会被拒绝（`option_without_effect`），与预设值相同或表示关闭的值除外。选项的含义见[训练选项](training.zh.md)。",
        "",
        "What the options mean: [training](training.md). One that is not in this table works everywhere, but for `processes`",
        "([several processes](several-processes.md)), `recompute` and the `dropout` of bases that write, which also depend on the network.",
        "One that is set where it would do nothing is refused (`option_without_effect`), unless its value says what holds there anyway.",
        "`base` is a model of the registry that is fine-tuned; `vectors` and `raw_text` are files of a run.",
        "",
    ]
    lines += ["| option | models | tasks |", "|---|---|---|"]
    for name, reach in REACHES.items():
        models = "all" if reach.models == CHOICES["model"] else ", ".join(f"`{model}`" for model in reach.models)
        lines.append(f"| `{name}` | {models} | {told_tasks(reach).replace('*', 'all')} |")
    lines += ["", "Some need another one beside them (`option_needs_another`)；有些选项需要同时设置另一个选项：", ""]
    lines += [f"- `{name}`: `{other}={' / '.join(str(value).lower() for value in values)}`" for name, (other, values) in NEEDS.items()]
    return "\n".join([*lines, ""])


PAGES = {
    "training-options.md": options_page, "cli.md": cli_page,
    "sdk-reference.md": sdk_page, "settings.md": settings_page, "corpora.md": corpora_pages.english_page,
    "corpora.zh.md": corpora_pages.chinese_page,
}  # fmt: skip


def main() -> int:
    """Write or compare all pages; the exit status."""
    stale = []
    for name, render in PAGES.items():
        path, text = DOCS / name, render()
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"docs/{', docs/'.join(stale)}: not as the code says; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
