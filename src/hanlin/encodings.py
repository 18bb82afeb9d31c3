"""Which characters a file's bytes are: byte order marks, UTF-8, GB18030, UTF-16, UTF-32, or as declared.

The whole file is checked before a row is read, so that a wrong guess is an error with a line number and never mojibake.
Knows bytes only.
"""

from __future__ import annotations

import codecs
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hanlin.errors import InvalidInput
from hanlin.types import shorten

ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "gb18030", "gbk", "gb2312", "big5", "shift_jis",
    "euc-kr", "latin-1", "cp1252",
)  # fmt: skip
MARK = "\udcff"  # stands for bytes that do not fit: no decoder makes a lone surrogate
_MARKING = "hanlin-mark"
_CHUNK = 2**20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like that of UTF-16-LE, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_BOM = {"gbk": "gb18030", "gb2312": "gb18030", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_GB = frozenset({"gb18030", "gbk", "gb2312"})
_MULTIBYTE = _GB | {"big5", "shift_jis", "euc-kr"}
_HIGH = re.compile(rb"[\x80-\xff]")
_PAIR = re.compile(rb"[\x81-\xfe]([\x40-\x7e\x80-\xfe])")
_NOT_PLAIN = bytes(byte for byte in range(256) if not (32 <= byte < 127 or byte in b"\t\r\n"))
# A GB18030 line with this many bytes above ASCII passes for UTF-8 with probability below 1e-6 (each of its >= 9
# characters does with about 0.18), so such a line *is* UTF-8.
_SURE_BYTES = 18
_LINES_A_BROKEN = 10  # with more broken lines than one in so many, a file of ASCII and foreign bytes is in another encoding, not damaged
_BYTES_A_ZERO = 20  # with more zero bytes than one in this many, what is no Unicode is no text either: programs, pictures, packed files


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return MARK, error.end


codecs.register_error(_MARKING, _mark)


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec for Python's decoder, how many bytes of byte order mark to skip, and whether bytes that do not fit are marked."""

    codec: str
    bom_bytes: int = 0
    is_lenient: bool = False

    @property
    def errors(self) -> str:
        """The decoder's error handler: bytes that do not fit raise, or become `MARK`."""
        return _MARKING if self.is_lenient else "strict"


def detect(path: Path, *, name: str, declared: str = "", is_lenient: bool = False) -> Encoding:
    """The encoding of a whole file, checked to its last byte.

    Args:
        is_lenient: lines that do not fit are no fault of the file; where no encoding is declared, that of most lines is taken. Where a
            byte is missing from UTF-16 or UTF-32, all that follows is lost, so that is refused all the same.

    Raises:
        InvalidInput: `invalid_encoding` with the line where the declared or likely encoding fails, where encodings are
            mixed, or where bytes of UTF-8 stand in a file declared to be something else; `utf32_without_bom`;
            `unknown_format` for what is no text.
    """
    with path.open("rb") as stream:
        head = stream.read(65_536)
    bom = next(((mark, codec) for mark, codec in _BOMS if head.startswith(mark)), None)
    if bom is not None:
        encoding = Encoding(bom[1], len(bom[0]), is_lenient)
        if declared and not _is_same(declared, bom[1]):
            raise _wrong(name, 1, declared)
    elif declared:
        encoding = Encoding(_WITHOUT_BOM.get(declared, declared), 0, is_lenient)
    else:
        encoding = Encoding(_guess(path, head, name, is_lenient=is_lenient), 0, is_lenient)
    line = 0 if is_lenient else _first_failure(path, encoding)
    if line := line or _first_shifted(path, encoding):
        raise _wrong(name, line, declared or encoding.codec)
    if declared and bom is None:
        _refuse_utf8(path, name, declared, head)
    return encoding


def read_text(path: Path, *, name: str, declared: str = "") -> str:
    """A whole text file in memory. Raises like `detect`; InvalidInput (`unknown_encoding`) where `declared` is none of `ENCODINGS`."""
    if declared and declared not in ENCODINGS:
        raise InvalidInput("unknown_encoding", encoding=shorten(declared), choices=", ".join(ENCODINGS))
    found = detect(path, name=name, declared=declared)
    return path.read_bytes()[found.bom_bytes :].decode(found.codec)


def _is_same(declared: str, found: str) -> bool:
    return declared == found or (declared in {"utf-16", "utf-32"} and found.startswith(declared))


def _guess(path: Path, head: bytes, name: str, *, is_lenient: bool) -> str:
    if four_bytes := _utf32_without_bom(head):
        raise InvalidInput("utf32_without_bom", file=name[:200], encoding=four_bytes)
    wide = _utf16_without_bom(head)
    if wide and head.count(0) * 4 >= len(head):  # mostly ASCII in UTF-16: as bytes also valid UTF-8
        return wide
    failure = _first_failure(path, Encoding("utf-8"))
    if not failure:
        return "utf-8"  # a stray NUL is text
    if wide and _reads_as_utf16(head, wide):
        return wide
    if head.count(0) * _BYTES_A_ZERO > len(head):
        raise InvalidInput("unknown_format", file=name[:200])
    return _eight_bit(path, name, failure, is_lenient=is_lenient)


def _eight_bit(path: Path, name: str, failure: int, *, is_lenient: bool) -> str:
    """Not UTF-8: GB18030, unless lines that are surely UTF-8 stand beside (mixed) or pairs look like Latin text.

    Args:
        failure: the first line that is not UTF-8.
    """
    found = _Lines.count(path)
    is_utf8 = found.good > 0 and found.good >= found.broken  # of GB18030 that chance makes far fewer, be they as short as they may
    if is_utf8 and is_lenient:
        return "utf-8"
    if is_utf8 and not found.sure:
        raise _wrong(name, failure, "utf-8")
    if found.sure:
        raise _wrong(name, failure if is_utf8 else found.first_sure, "utf-8" if is_utf8 else "gb18030", is_mixed=True)
    if found.latin_pairs * 2 > found.pairs or not found.pairs:
        if is_lenient and found.broken * _LINES_A_BROKEN <= found.total:
            return "utf-8"
        raise _wrong(name, failure, "utf-8")
    return "gb18030"


@dataclass(slots=True)
class _Lines:
    """What the lines of a file are that is not all UTF-8.

    Args:
        good: not ASCII, but UTF-8.
        sure: of these, those that can be nothing else; `first_sure` is the first one's number.
        broken: not UTF-8.
        pairs: bytes in broken lines that GB18030 would take in twos; of these, `latin_pairs` end in ASCII.
    """

    total: int = 0
    good: int = 0
    sure: int = 0
    first_sure: int = 0
    broken: int = 0
    pairs: int = 0
    latin_pairs: int = 0

    @classmethod
    def count(cls, path: Path) -> Self:
        """The lines of a file."""
        found = cls()
        for line in _byte_lines(path):
            found.total += 1
            if not line.isascii():
                found.add(line)
        return found

    def add(self, line: bytes) -> None:
        """One line that is not ASCII."""
        if not _is_utf8(line):
            self.broken += 1
            trails = _PAIR.findall(line)
            self.pairs += len(trails)
            self.latin_pairs += sum(trail < b"\x80" for trail in trails)
            return
        self.good += 1
        if len(_HIGH.findall(line)) >= _SURE_BYTES:
            self.sure += 1
            self.first_sure = self.first_sure or self.total


def _utf16_without_bom(head: bytes) -> str:
    """UTF-16 shows as zero bytes beside ASCII: nearly all at one parity. Text without any ASCII line end is not found."""
    if b"\0" not in head:
        return ""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd >= 4 * max(even, 1) or (odd and not even):
        return "utf-16-le"
    return "utf-16-be" if even >= 4 * max(odd, 1) or (even and not odd) else ""


def _reads_as_utf16(head: bytes, codec: str) -> bool:
    """Not 8-bit text with a stray zero: its bytes would nearly all be ASCII, or make surrogates where none may stand."""
    if len(head.translate(None, _NOT_PLAIN)) * 10 >= 9 * len(head.replace(b"\0", b"")):
        return False
    try:
        codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _utf32_without_bom(head: bytes) -> str:
    """UTF-32 shows in every four bytes: one is zero and its neighbour at most 0x10, because characters end at U+10FFFF."""
    whole = head[: len(head) // 4 * 4]
    if len(whole) < 8:
        return ""
    for codec, high, middle in (("utf-32-le", 3, 2), ("utf-32-be", 0, 1)):
        if not any(whole[high::4]) and max(whole[middle::4]) <= 0x10 and whole.count(0) * 5 < len(whole) * 4:  # not a file of zeros
            return codec
    return ""


def _first_failure(path: Path, encoding: Encoding) -> int:
    """Number of the first line that does not decode, 0 when all do."""
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    lines = 0
    with path.open("rb") as stream:
        stream.seek(encoding.bom_bytes)
        while True:
            chunk = stream.read(_CHUNK)
            try:
                lines += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as error:
                return lines + error.object[: error.start].decode(encoding.codec, "replace").count("\n") + 1
            if not chunk:
                return 0


def _first_shifted(path: Path, encoding: Encoding) -> int:
    """Number of the first line of UTF-16 or UTF-32 whose end stands across two characters, 0 when all stand right.

    A byte is missing or too many before it. What follows may decode all the same, as other words in one endless line.
    """
    width = len(" ".encode(encoding.codec)) if encoding.codec.startswith(("utf-16", "utf-32")) else 1
    if width == 1 or path.stat().st_size <= encoding.bom_bytes:
        return 0
    end, line = "\n".encode(encoding.codec), 1
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(end, encoding.bom_bytes)
        while at >= 0:
            if (at - encoding.bom_bytes) % width:
                return line
            line += 1
            at = content.find(end, at + width)
    return 0


def _refuse_utf8(path: Path, name: str, declared: str, head: bytes) -> None:
    """A file that is UTF-8 decodes as GB18030, Big5, UTF-16 or Latin without complaint, into other words."""
    if declared == "utf-8":
        return
    if declared.startswith(("utf-16", "utf-32")):
        if b"\0" not in head and _is_utf8(head[: head.rfind(b"\n") + 1] or head):
            raise _wrong(name, 1, declared)
        return
    seen, first, is_all_utf8 = 0, 0, True
    for number, line in enumerate(_byte_lines(path), 1):
        if line.isascii():
            continue
        first = first or number
        high = len(_HIGH.findall(line))
        seen += high
        is_utf8 = _is_utf8(line)
        is_all_utf8 = is_all_utf8 and is_utf8
        if is_utf8 and high >= _SURE_BYTES:
            raise _wrong(name, number, declared)
    if is_all_utf8 and (seen >= _SURE_BYTES // 2 if declared in _MULTIBYTE else seen):
        raise _wrong(name, first, declared)


def _byte_lines(path: Path) -> Iterator[bytes]:
    """Lines in pieces of at most 1 MiB (a longer line counts as several; only garbage has such lines)."""
    with path.open("rb") as stream:
        while line := stream.readline(_CHUNK):
            yield line


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wrong(name: str, line: int, encoding: str, *, is_mixed: bool = False) -> InvalidInput:
    return InvalidInput("mixed_encoding" if is_mixed else "invalid_encoding", file=name[:200], line=line, encoding=encoding)
