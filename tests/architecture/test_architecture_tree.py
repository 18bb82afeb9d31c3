"""The tree holds files of its own only."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = {".venv", "build", "dist", "node_modules"}  # by commands, where no archive has them


def links() -> list[str]:
    """Links that belong to the tree: those that git tracks, or all of an unpacked archive but in what commands made."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if line.startswith("120000")]
    found = [path for part in ROOT.iterdir() if part.name not in MADE for path in (part, *part.rglob("*"))]
    return [str(path) for path in found if path.is_symlink()]


def test_no_link_leads_out_of_the_tree() -> None:
    assert links() == []
