"""Tables of the story are whole on narrow terminals, too: columns that can be spared are left out, nothing is cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hanlin.demo.narrator import Narrator

COLUMNS = ("variant", "validation", "test", "p50 ms", "p99 ms", "rows/s", "memory MB", "size MB", "status")
ROWS = (
    ("torch-fp32", "95.98%", "92.50%", "6.56", "15.94", "330", "658", "90.9", "ok"),
    ("onnxruntime-int8", "94.64%", "92.83%", "2.02", "3.43", "1,444", "62", "23.0", "over the accuracy budget"),
)


@pytest.mark.parametrize(("width", "left_out"), [(120, set()), (100, {"size MB"}), (80, {"size MB", "memory MB", "p99 ms"})])
def test_what_does_not_fit_is_left_out_and_nothing_is_cut(width: int, left_out: set[str]) -> None:
    narrator = Narrator("en", steps=1)
    narrator.console = Console(file=io.StringIO(), width=width, soft_wrap=True)
    narrator.table("Variants", COLUMNS, ROWS, strong=0, spare=(7, 6, 4, 2))
    printed = narrator.console.file.getvalue()
    assert {name for name in COLUMNS if name not in printed} == left_out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= width
    kept = [place for place, name in enumerate(COLUMNS) if name not in left_out]
    assert all(row[place] in printed for row in ROWS for place in kept)


def test_a_terminal_too_narrow_for_what_must_stay_has_that_all_the_same() -> None:
    narrator = Narrator("en", steps=1)
    narrator.console = Console(file=io.StringIO(), width=30, soft_wrap=True)
    narrator.table("Variants", COLUMNS, ROWS, spare=(7, 6, 4, 2))
    assert "memory MB" not in narrator.console.file.getvalue()
