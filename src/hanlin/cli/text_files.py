"""Text files that commands read, standard input among them."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hanlin.encodings import read_text
from hanlin.errors import InvalidInput
from hanlin.types import shorten

STDIN = Path("-")
_LINE_END = re.compile(r"\r\n|\r|\n")  # as in datasets; `splitlines` takes U+2028, form feeds and more for line ends


def text_of(path: Path, encoding: str = "") -> str:
    """A text file, `-` for standard input, in the encoding that is named or found out as for a dataset.

    Raises:
        InvalidInput: the file cannot be read; `invalid_encoding` and the like, with the line.
    """
    name = shorten(str(path), 200)
    try:
        with _as_file(path) as file:
            return read_text(file, name=name, declared=encoding)
    except FileNotFoundError:
        raise InvalidInput("file_missing", path=name) from None
    except IsADirectoryError:
        raise InvalidInput("file_not_one", path=name) from None
    except OSError as error:
        raise InvalidInput("file_unreadable", path=name, problem=error.strerror) from error


def lines_of(path: Path, encoding: str = "") -> Iterator[str]:
    """The non-empty lines of a text file. Raises as `text_of`."""
    return (line for line in _LINE_END.split(text_of(path, encoding)) if line.strip())


@contextmanager
def _as_file(path: Path) -> Iterator[Path]:
    """The file; standard input as a file that is gone afterwards."""
    if path != STDIN:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        copy.write_bytes(sys.stdin.buffer.read())
        yield copy
