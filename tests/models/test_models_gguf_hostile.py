"""GGUF files that somebody made to do harm, and files that were damaged on their way: refused or read, never anything else."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import pytest
from tests.models.gguf_files import network, write

from hanlin.errors import InvalidInput
from hanlin.models import gguf_child
from hanlin.models.gguf_file import GgufFile


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("good") / "small.gguf", network("llama")).read_bytes()


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def tensor(sizes: tuple[int, ...], *, kind: int = 0, offset: int = 0, name: str = "t") -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def head(tensors: int, values: int, *parts: bytes, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    return struct.pack("<4sIQQ", magic, version, tensors, values) + b"".join(parts) + bytes(256)


FORMS = {
    "no file": b"", "another file": head(0, 0, magic=b"GGML"), "version 1": head(0, 0, version=1),
    "the other byte order": head(0, 0, version=3 << 24), "too many tensors": head(2**60, 0), "too many values": head(0, 2**63),
    "a value of no type": head(0, 1, text("a"), struct.pack("<I", 13)), "a value twice": head(0, 2, *[text("a") + bytes(5)] * 2),
    "an endless name": head(0, 1, struct.pack("<Q", 2**63)),
    "a name of no letters": head(0, 1, struct.pack("<Q", 2), b"\xff\xfe", bytes(5)),
    "an endless array": head(0, 1, text("a"), struct.pack("<IIQ", 9, 4, 2**50)),
    "an array of arrays": head(0, 1, text("a"), struct.pack("<IIQIQ", 9, 9, 1, 9, 1)),
    "an array that is cut off": head(0, 1, text("a"), struct.pack("<IIQ", 9, 10, 2**20)),
    "an endless text in an array": head(0, 1, text("a"), struct.pack("<IIQQ", 9, 8, 1, 2**40)),
    "no alignment": head(1, 1, text("general.alignment"), struct.pack("<II", 4, 0), tensor((8,))),
    "an odd alignment": head(1, 1, text("general.alignment"), struct.pack("<II", 4, 12), tensor((8,))),
    "an alignment in words": head(1, 1, text("general.alignment"), struct.pack("<I", 8), text("32"), tensor((8,))),
    "no sizes": head(1, 0, tensor(())), "five sizes": head(1, 0, tensor((1,) * 5)), "a size of nothing": head(1, 0, tensor((0, 8))),
    "sizes that overflow": head(1, 0, tensor((2**32, 2**32))), "a size that is negative": head(1, 0, tensor((2**63,))),
    "part of a block": head(1, 0, tensor((33,), kind=8)), "a kind that nobody knows": head(1, 0, tensor((32,), kind=99)),
    "a kind of whole numbers": head(1, 0, tensor((32,), kind=24)), "beyond the end": head(1, 0, tensor((8,), offset=2**62)),
    "an offset that overflows": head(1, 0, tensor((8,), offset=2**64 - 32)), "an odd offset": head(1, 0, tensor((8,), offset=4)),
    "a tensor twice": head(2, 0, tensor((8,)), tensor((8,), offset=32)),
    "one over another": head(2, 0, tensor((16,)), tensor((8,), offset=32, name="u")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_no_file_has_are_refused(tmp_path: Path, form: str) -> None:
    (tmp_path / "odd.gguf").write_bytes(FORMS[form])
    with pytest.raises(InvalidInput) as caught:
        GgufFile(tmp_path / "odd.gguf")
    assert caught.value.code == "gguf_refused"


def test_a_file_that_is_cut_off_or_damaged_is_refused_or_read(tmp_path: Path, good: bytes) -> None:
    """Whatever is wrong with its bytes, there is an answer or one of our errors."""
    chance, file = random.Random(0), tmp_path / "damaged.gguf"
    for cut in (0, 3, 23, 24, 300, 5000, len(good) // 2, len(good) - 100):
        file.write_bytes(good[:cut])
        with pytest.raises(InvalidInput):
            read(file)
    for _ in range(25):
        file.write_bytes(damaged(good, chance))
        try:
            read(file)
        except InvalidInput as error:
            assert error.code in ("gguf_refused", "unsupported_architecture", "invalid_tokenizer")


@pytest.mark.soak
def test_a_minute_of_damage(tmp_path: Path, good: bytes) -> None:
    chance, file, until = random.Random(1), tmp_path / "damaged.gguf", time.monotonic() + 60
    counts = {"read": 0, "refused": 0}
    while time.monotonic() < until:
        file.write_bytes(damaged(good, chance))
        try:
            read(file)
            counts["read"] += 1
        except InvalidInput:
            counts["refused"] += 1
    print(counts)
    assert min(counts.values()) > 10


def read(file: Path) -> None:
    for part in ("words", "weights"):
        pieces, _ = gguf_child.convert(file, {"part": part})
        assert sum(map(len, pieces)) > 0


def damaged(good: bytes, chance: random.Random) -> bytes:
    """Bits, numbers of 4 and 8 bytes, or whole parts of the head (its first 13,000 bytes are the largest part of it) are others."""
    raw = bytearray(good)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(4, 13_000)
        odd = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, chance.getrandbits(64)))
        width = chance.choice((1, 4, 8))
        raw[at : at + width] = (odd % 2 ** (8 * width)).to_bytes(width, "little")
    if chance.random() < 0.2:
        first, size = chance.randrange(24, 13_000), chance.randrange(1, 200)
        raw = raw[:first] + raw[first + size :] if chance.random() < 0.5 else raw[:first] + raw[first : first + size] + raw[first:]
    return bytes(raw)
