"""What a compression method is, the registry of methods, and `convert`, which publishes a variant's files all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hanlin.engines import split_variant, variant_files
from hanlin.errors import HanlinError, InvalidInput, NotFound
from hanlin.messages.said import Said
from hanlin.plugins import PluginRegistry

MAX_CALIBRATION_ROWS = 300


@dataclass(frozen=True, slots=True)
class Material:
    """What a method works from.

    Attributes:
        source: artifact folder of the trained model; read only.
        calibration: token ids of training rows, special tokens included, each at its own length.
        workdir: scratch shared by the methods of one search, so that the export happens once.
    """

    source: Path
    calibration: Sequence[Sequence[int]]
    workdir: Path


class Method(Protocol):
    """Makes the files of some variants."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants it makes; sharing files is allowed."""
        ...

    def make(self, variant: str, material: Material, target: Path) -> None:
        """Write the variant's files into the empty folder `target`, under the names that `Engine.files` ends in.

        Raises:
            HanlinError: with a reason that can be shown; anything else counts as a failure of this variant too.
        """
        ...


METHODS: PluginRegistry[Method] = PluginRegistry("compression method", package="hanlin.compression", group="hanlin.compression")


def convert(
    folder: Path, variant: str, *, calibration: Sequence[Sequence[int]], out: Path | None = None, workdir: Path | None = None
) -> Path:
    """Make `variant` of the artifact in `folder`.

    Args:
        calibration: token ids of training rows; at most 300 are used.
        out: folder that receives `variants/…`; None means `folder` itself. The trained files are never written.
        workdir: scratch to share between calls; None means a temporary one.

    Returns:
        `out`. A torch variant has no files, so nothing happens. Existing files are kept as they are.

    Raises:
        InvalidInput: `unknown_variant`, `calibration_empty`.
        NotFound: `no_method` when no installed method makes it.
    """
    out = out or folder
    files = [Path(name) for name in variant_files(variant)]
    if not files or all((out / name).is_file() for name in files):
        return out
    if "int8" in split_variant(variant)[1] and not any(len(row) for row in calibration):
        raise InvalidInput("calibration_empty", variant=variant)
    method = _method_of(variant)
    place = out / files[0].parent
    place.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(workdir) as scratch, tempfile.TemporaryDirectory(prefix=".making-", dir=place.parent) as aside:
        rows = [list(row) for row in calibration if len(row)][:MAX_CALIBRATION_ROWS]
        (Path(aside) / "new").mkdir()
        method.make(variant, Material(folder, rows, scratch), Path(aside) / "new")
        shutil.rmtree(place, ignore_errors=True)  # leftovers of an unfinished attempt
        (Path(aside) / "new").rename(place)
    return out


def reason_of(error: Exception) -> str:
    """Words for the report: our errors' own message, else the kind of error."""
    if isinstance(error, HanlinError):
        return error.message[:300]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def said_of(error: Exception) -> Said:
    """The same for what is stored: each reader has it in the language that he asks for."""
    if isinstance(error, HanlinError):
        return Said(error.code, error.params)
    return Said("variant_error", {"problem": reason_of(error)})


def _method_of(variant: str) -> Method:
    for name in METHODS.names():
        if variant in METHODS.get(name).variants:
            return METHODS.get(name)
    raise NotFound("no_method", variant=variant)


@contextmanager
def _scratch(workdir: Path | None) -> Iterator[Path]:
    if workdir is not None:
        workdir.mkdir(parents=True, exist_ok=True)
        yield workdir
        return
    with tempfile.TemporaryDirectory(prefix="hanlin-compression-") as folder:
        yield Path(folder)
