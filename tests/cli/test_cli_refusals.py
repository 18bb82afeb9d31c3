"""How commands end when something is wrong: exit statuses, words in the caller's language, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hanlin.cli.words import table


def test_a_failed_job_gives_its_own_words(run, world) -> None:
    world.job_end = {
        "state": "failed",
        "error": {"code": "diverged", "family": "InvalidInput", "message": "the loss became NaN", "next": "Use a smaller rate."},
    }
    done = run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--json")
    assert done.status == 2
    assert done.json()["error"]["code"] == "diverged"
    assert "the loss became NaN" in done.err and "→ Use a smaller rate." in done.err


def test_data_cannot_steer_the_terminal(run, world) -> None:
    world.job_end = {"state": "failed", "error": {"code": "x", "family": "InvalidInput", "message": "\033]0;evil\007[bold]kept[/bold]"}}
    done = run("train", "--dataset", "d", "--model", "lstm", "--name", "n")
    assert "\033" not in done.err and "\007" not in done.err
    assert "[bold]kept[/bold]" in done.err


STATUSES = [
    (["predict", "nothing", "好"], 4),
    (["predict", "sentiment", ""], 2),
    (["predict", "sentiment", "好", "--truncate", "--window"], 2),
    (["train", "--dataset", "missing", "--model", "lstm", "--name", "n"], 4),
    (["dataset", "add", "n", "/nowhere/file.csv"], 2),
    (["model", "show", "Not A Name"], 2),
    (["train"], 2),
    (["no-such-command"], 2),
    (["compress", "m", "--target", "beauty"], 2),
    (["batch", "sentiment", "."], 2),
    (["batch", "sentiment", "/"], 2),
    (["train", "--dataset", "d", "--model", "lstm", "--name", "n", "--set", "novalue"], 2),
]


@pytest.mark.parametrize(("arguments", "status"), STATUSES, ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_exit_statuses(run, world, arguments: list[str], status: int) -> None:
    done = run(*arguments)
    assert done.status == status
    assert done.err.strip()
    assert done.out == ""


def test_a_batch_writes_over_neither_its_input_nor_its_own_results(run, world, tmp_path: Path) -> None:
    """Bug avoided: `--out` of the errors' name lost the results, `--overwrite` the input."""
    path, link = tmp_path / "in.txt", tmp_path / "link"
    path.write_text("good")
    link.symlink_to(path)
    for options in (
        ["--out", str(link)],
        ["--errors", str(path)],
        ["--out", str(tmp_path / "a"), "--errors", str(tmp_path / "b" / ".." / "a")],
    ):
        done = run("batch", "sentiment", str(path), "--overwrite", "--json", *options)
        assert (done.status, done.json()["error"]["code"]) == (2, "batch_files_same")
    assert path.read_text() == "good"


def test_wrong_key_is_status_3(run, world, monkeypatch) -> None:
    monkeypatch.setenv("HANLIN_KEY", "hl_wrong")
    done = run("model", "list", "--json")
    assert done.status == 3
    assert done.json()["error"]["family"] == "Unauthenticated"


@pytest.mark.parametrize(("speech", "words"), [("en", "hanlin up"), ("zh", "没有服务响应")])
def test_without_a_server_it_says_how_to_start_one(run, monkeypatch, speech: str, words: str) -> None:
    monkeypatch.setenv("HANLIN_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HANLIN_KEY", "hl_x")
    monkeypatch.setenv("HANLIN_LANG", speech)
    done = run("model", "list")
    assert done.status == 5
    assert words in done.err
    assert "hanlin up" in done.err


def test_the_server_is_asked_in_the_callers_language(run, world, monkeypatch) -> None:
    monkeypatch.setenv("HANLIN_LANG", "zh")
    assert "名称" in run("model", "list").out or "模型" in run("model", "list").out
    assert world.requests[-1][2]["accept-language"] == "zh"


def test_every_word_is_there_in_both_languages() -> None:
    package = Path(__file__).parents[2] / "src" / "hanlin"
    files = (*(package / "cli").glob("*.py"), package / "datasets" / "corpora" / "base.py")  # which has the natures of corpora
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for key, (english, chinese) in table().items():
        assert english and chinese, key
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", chinese)), key
        section, _, name = key.partition(".")
        is_used = bool(re.search(rf"[\"']{key}[\"']", source)) or (
            bool(re.search(rf"say\(f[\"']{section}\.", source)) and f'"{name}"' in source
        )
        is_looked_up = f'name_of("{section}", ' in source.replace("'", '"')  # by a name that the server chose
        assert is_used or is_looked_up or section == "kind", f"{key} is never said"
    for key in re.findall(r'(?:say|add_command)\((?:[^()"]*"[\w-]+", \w+, )?"(\w+\.\w+)"', source):
        assert key in table(), key


ENVIRON = {**os.environ, "HANLIN_LANG": "en"}


def test_help_loads_neither_rich_nor_httpx() -> None:
    heavy = "{'rich', 'httpx', 'pydantic', 'torch', 'numpy', 'sqlalchemy'}"
    told = f"print({heavy} & set(sys.modules), file=sys.stderr)"
    code = f"import sys\nfrom hanlin.cli import main\ntry: main(['--help'])\nexcept SystemExit: {told}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRON)
    assert done.stderr.strip() == "set()"


# Shells let what they start in the background ignore Ctrl-C, and children inherit that: these tests may run there.
WITH_CTRL_C = """
import signal, sys
from hanlin.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:])
"""


def test_ctrl_c_leaves_the_job_and_says_so(world, standin) -> None:
    world.hold_jobs = True
    arguments = [sys.executable, "-c", WITH_CTRL_C, "train", "--dataset", "d", "--model", "lstm", "--name", "n"]
    process = subprocess.Popen(
        arguments,
        env={**ENVIRON, "HANLIN_URL": world.url, "HANLIN_KEY": standin.KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not any(path.endswith("/events") for path in world.paths("GET")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "hanlin job wait job-1" in errors and "hanlin job cancel job-1" in errors
    assert world.jobs["job-1"]["state"] == "queued"


def test_files_of_texts_are_refused_for_what_they_are(run, tmp_path: Path) -> None:
    (tmp_path / "gbk.txt").write_bytes("好\n".encode() + "中文".encode("gbk"))
    wrong = run("predict", "mood", "--file", str(tmp_path / "gbk.txt"))
    assert (wrong.status, "line 2: these bytes are not utf-8" in wrong.err) == (2, True)
    folder = run("predict", "mood", "--file", str(tmp_path))
    assert (folder.status, "is a folder" in folder.err) == (2, True)


def test_what_the_system_refuses_is_told_without_a_traceback(run, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("hanlin.app.up", refuse)
    done = run("up", "--home", "/tmp")
    assert (done.status, "'/somewhere': No space left on device" in done.err) == (2, True)


def test_ctrl_c_while_the_program_is_loaded_is_quiet() -> None:
    code = "import sys\nfrom hanlin.__main__ import run\n"
    code += "class Finder:\n def find_spec(self, name, path=None, target=None): raise KeyboardInterrupt\n"
    code += "sys.meta_path.insert(0, Finder())\nrun()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=ENVIRON)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
