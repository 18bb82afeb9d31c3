"""Operating-system failures of disks, turned into our errors. Knows no store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from hanlin.errors import NotReady

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns an OSError inside the block into NotReady: `storage_full` (507) or `storage_unavailable` (503).

    A missing file is not a failure of the disk: FileNotFoundError passes through.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(error) from error


def disk_error(error: OSError) -> NotReady:
    """The error to show for a failed read or write; the path stays in the private details."""
    code = "storage_full" if error.errno in _FULL else "storage_unavailable"
    return NotReady(code, retry_after_s=10.0, details=str(error))
