"""The environments of other projects' clients, which the doors are tested with: one a family, pinned, below `build/clients`.

usage: python scripts/clients.py [NAME …]         make or renew what tests/gateway/clients/NAME/requirements.lock or package-lock.json says
       python scripts/clients.py vllm             the same of vLLM's CPU build, 3 GB, which the engine is tested with when soaked
       python scripts/clients.py --lock [NAME …]  renew the locks from requirements.in and package.json
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hanlin.datasets.packages import npm_command

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "clients"
WANTED = ROOT / "tests" / "gateway" / "clients"
ENGINES = ROOT / "tests" / "engines"
VENV = (sys.executable, "-m", "venv", "--without-pip")
NPM = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


def names() -> list[str]:
    """All families."""
    return sorted({path.parent.name for kind in ("requirements.lock", "package-lock.json") for path in WANTED.glob(f"*/{kind}")})


def is_javascript(name: str) -> bool:
    """Whether the family comes from npm."""
    return (WANTED / name / "package.json").is_file()


def folder_of(name: str) -> Path:
    """Where it is told what a family is."""
    return ENGINES / name if name == "vllm" else WANTED / name


def lock_of(name: str) -> Path:
    """The file that pins a family."""
    return folder_of(name) / ("package-lock.json" if is_javascript(name) else "requirements.lock")


def make(name: str) -> str:
    """Makes the environment, unless it is there already; what was done, for the screen."""
    folder = PLACE / name
    stamp, digest = folder / ".made-from", hashlib.sha256(lock_of(name).read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return f"{name}: there already"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if is_javascript(name):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(WANTED / name / file, folder)
        run([*npm_command(), "ci", *NPM], folder)
    else:
        run([*VENV, str(folder)], ROOT)
        run([*pip(folder), "install", "--no-compile", "--no-deps", "--requirement", str(lock_of(name))], ROOT)
    stamp.write_text(digest)
    return f"{name}: made"


def lock(name: str) -> str:
    """Renews a lock: what the registry resolves today, with no word of where it lies."""
    with tempfile.TemporaryDirectory() as scratch:
        if is_javascript(name):
            shutil.copy(WANTED / name / "package.json", scratch)
            run([*npm_command(), "install", "--package-lock-only", "--omit-lockfile-registry-resolved", *NPM], Path(scratch))
            shutil.copy(Path(scratch) / "package-lock.json", lock_of(name))
        else:
            run([*VENV, scratch], ROOT)
            run([*pip(Path(scratch)), "install", "--requirement", str(folder_of(name) / "requirements.in")], ROOT)
            lock_of(name).write_text(run([*pip(Path(scratch)), "freeze", "--all"], ROOT))
    return f"{name}: locked"


def pip(folder: Path) -> list[str]:
    """Our pip at work on an environment that has none of its own, as an argument list."""
    return [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet", "--disable-pip-version-check"]


def run(command: list[str], folder: Path) -> str:
    """What the command prints. Ends the script with it when the command fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def main() -> None:
    """Two families at a time."""
    chosen = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or names()
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(lock if "--lock" in sys.argv else make, chosen):
            print(said, flush=True)


if __name__ == "__main__":
    main()
