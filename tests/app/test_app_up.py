"""What `hanlin up` says before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.app import up
from hanlin.errors import InvalidInput
from hanlin.settings import load_settings


@pytest.mark.parametrize("home", ["/proc/home", "file/home"])
def test_a_home_that_takes_no_files_is_told(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput) as caught:
        up(load_settings({}, home=tmp_path / home, port=0))
    assert caught.value.code == "home_unusable"
    assert str(home) in caught.value.text("zh")
