"""What is known of the machine."""

from __future__ import annotations

import pytest

from hanlin.observe import machine
from hanlin.observe.machine import Processor, has_bf16


@pytest.mark.parametrize(
    ("name", "flags", "has"),
    [
        ("x86_64", ("avx2",), False),
        ("AMD64", ("avx2", "avx_vnni"), False),
        ("x86_64", ("avx2", "avx512f"), True),
        ("x86_64", (), True),
        ("aarch64", ("asimd",), True),
    ],
)
def test_only_x86_without_avx512_is_known_to_have_no_bf16(
    monkeypatch: pytest.MonkeyPatch, name: str, flags: tuple[str, ...], has: bool
) -> None:
    monkeypatch.setattr(machine.platform, "machine", lambda: name)
    monkeypatch.setattr(machine, "processor", lambda: Processor("any", 2, flags))
    assert has_bf16() == has
