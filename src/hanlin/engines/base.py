"""The engine contract, the registry, and variant names (`<engine>-<precision>`). Imports no engine library."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Delta, Generated, GenerationSettings
from hanlin.networks.adapter import BASE_WEIGHTS, WEIGHTS_FILE
from hanlin.networks.head import Head
from hanlin.observe.machine import has_bf16
from hanlin.plugins import PluginRegistry
from hanlin.tasks.spec import FILE_NAME, ModelSpec
from hanlin.types import shorten

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine declares about itself; nobody probes.

    Attributes:
        precisions: the second halves of its variant names.
        max_batch_tokens: most tokens, padding included, of one step.
        is_measured_unasked: whether a compression that names no variants makes and measures this engine's.
        writes: whether it loads networks that write: their sessions are `WritingSession`s.
        writer_precisions: those that are measured unasked of networks that write alone.
        drafts: whether a smaller network may guess what its networks write, see `drafting`.
        apart: the library, and the extra, that want a Python environment of their own; empty: the engine lives in the server's.
    """

    precisions: tuple[str, ...]
    max_batch_tokens: int = 32_768
    is_measured_unasked: bool = True
    writes: bool = False
    writer_precisions: tuple[str, ...] = ()
    drafts: bool = False
    apart: str = ""


class Session(Protocol):
    """One loaded variant. At most `num_streams` threads may be in `run` at once.

    Attributes:
        num_streams: steps that run side by side, each slower than alone, together faster than one after the other.
        step_tokens: tokens of a step, padding included, beyond which a stream gains nothing; None: the more the better.
        has_tokens: whether it can give vectors of tokens; only embeddings have them, and not of every artifact.
    """

    num_streams: int
    step_tokens: int | None
    has_tokens: bool

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """One step over right-padded rows, `(batch, length) int64` each.

        Args:
            token_type_ids: 0 for a pair's first text and 1 for its second; given exactly when the artifact's head reads them.
            with_tokens: also `token_embeddings` (batch, length, size; whatever stands at padding means nothing), of which nothing is
                copied otherwise.

        Returns:
            The output that the artifact's `Head` names, float32, a fresh array the caller may keep: `logits` (batch, labels),
            `embeddings` (batch, size) or `token_logits` (batch, length, labels; whatever stands at padding means nothing).
            May hold NaN: the task judges values.

        Raises:
            EngineFailed: `engine_step_failed`; the whole batch is lost, the session may be used again.
            InvalidInput: `token_embeddings_not_served` when it has none.
        """
        ...

    def close(self) -> None:
        """Free the model. A closed session must not run."""
        ...


@runtime_checkable
class WritingSession(Session, Protocol):
    """One loaded variant of a network that writes. `run` raises EngineFailed: its answers are sequences of tokens."""

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """Write a target for each row, as it would be written alone. On the threads of `run`.

        Args:
            rows: ids, at least one each.
            settings: of each row; all with the same `num_beams`.
            is_wanted: asked on the same thread before every token whether a row, by its place, still is; one that is not ends there.

        Raises:
            EngineFailed: `engine_step_failed`; the whole batch is lost, the session may be used again.
        """
        ...


@runtime_checkable
class StreamingSession(WritingSession, Protocol):
    """A writing session that takes rows on while others are being written, and tells each token (continuous batching: Yu et al., Orca,
    OSDI 2022).

    All methods but `run` and `generate` are called on one thread, which the caller keeps for them; `run` and `generate` are not called
    while rows are open.

    Attributes:
        max_rows: most rows at once.
        room_tokens: most tokens of all open rows together, those that may still be written among them; None: no limit is known.
    """

    max_rows: int
    room_tokens: int | None

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """Take a row on; nothing is computed yet.

        Args:
            number: the caller's name for it, of no other open row.
            settings: one beam; nothing that only reads.

        Raises:
            InvalidInput: `constraint_refused` for a form that this engine cannot keep to; `setting_not_served` for a setting it does
                not know.
        """
        ...

    def drop(self, number: int) -> None:
        """Forget a row, whose place is free from the next turn on. Nothing for one that is not open."""
        ...

    def turn(self) -> list[Delta]:
        """Read what was admitted, or a piece of it, and write at most a few tokens of each row. Nothing open: no deltas.

        Raises:
            EngineFailed: `engine_step_failed`; all open rows are lost, the session may be used again.
        """
        ...


class Engine(Protocol):
    """One way to run a network's maths."""

    @property
    def name(self) -> str:
        """First half of its variant names."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Declared limits."""
        ...

    def is_batch_invariant(self, precision: str) -> bool:
        """Whether a row's numbers ignore its neighbours; if not, it runs at batch 1 only."""
        ...

    def files(self, precision: str) -> tuple[str, ...]:
        """Paths inside the artifact folder that this variant has beyond the trained model's own files."""
        ...

    def prepare(self) -> None:
        """Load the libraries that `load` will need, where that is worth a standing process' memory. Raises as `load` does."""
        ...

    def load(self, folder: Path, precision: str, *, threads: int) -> Session:
        """Load the variant from an artifact folder. Runs on a thread beside sessions that answer.

        Raises:
            EngineFailed: `engine_load_failed` with the reason; `precision_unsupported` on this processor.
            InvalidInput: `external_data_refused`, `missing_extra`.
        """
        ...


# The trained model itself, with which every other variant is compared. A version that came without torch weights names another one.
REFERENCE = "torch-fp32"

# What a variant without files of its own loads: weights, what stands beside some of them; or an adapter and its base.
TRAINED_FILES = ("model.safetensors", "wide.safetensors", "projection.safetensors", WEIGHTS_FILE, BASE_WEIGHTS)

ENGINES: PluginRegistry[Engine] = PluginRegistry("engine", package="hanlin.engines", group="hanlin.engines", suffix="_engine")


def reference_of(folder: Path) -> str:
    """The variant that is the trained model itself, as the artifact's `hanlin.json` says. Raises InvalidInput (`invalid_model_spec`)."""
    return (ModelSpec.load(folder).reference or REFERENCE) if (folder / FILE_NAME).is_file() else REFERENCE


def reference_in(lineage: Mapping[str, object]) -> str:
    """The same for a version whose folder is not at hand: its lineage repeats what `hanlin.json` says."""
    return str(lineage.get("reference") or REFERENCE)


def split_variant(variant: str) -> tuple[str, str]:
    """`openvino-int8` → (`openvino`, `int8`). Raises InvalidInput (`unknown_variant`)."""
    name, _, precision = variant.rpartition("-")
    if name not in ENGINES or precision not in ENGINES.get(name).capabilities.precisions:
        raise InvalidInput("unknown_variant", variant=shorten(variant), choices=", ".join(variant_names()))
    return name, precision


def variant_names(*, with_fake: bool = False) -> list[str]:
    """Every variant the installed engines declare, the reference first."""
    names = [f"{name}-{p}" for name in ENGINES.names() if with_fake or name != "fake" for p in ENGINES.get(name).capabilities.precisions]
    return sorted(names, key=lambda n: (n != REFERENCE, not n.startswith("torch"), n))


def measured_unasked(*, writes: bool = False) -> list[str]:
    """The variants that a compression makes and measures when none are named, for a network that `writes` or not, in the order of
    `variant_names`; without bf16 where the processor has none: it works there, at a tenth of the speed, or not at all.
    """
    return [name for name in variant_names() if _is_measured(*split_variant(name), writes=writes)]


def _is_measured(name: str, precision: str, *, writes: bool) -> bool:
    if precision == "bf16" and not has_bf16():
        return False
    declared = ENGINES.get(name).capabilities
    is_for = declared.writes if writes else precision not in declared.writer_precisions
    return is_for and declared.is_measured_unasked


def variant_files(variant: str) -> tuple[str, ...]:
    """Paths inside the artifact folder that belong to `variant` alone (variants may share them)."""
    name, precision = split_variant(variant)
    return ENGINES.get(name).files(precision)


def max_batch_rows(variant: str, *, is_alone: bool = False) -> int | None:
    """1 for a variant whose numbers depend on its neighbours, or a model whose numbers do (`ModelSpec.is_alone`); else None (no limit)."""
    name, precision = split_variant(variant)
    return None if ENGINES.get(name).is_batch_invariant(precision) and not is_alone else 1


def max_batch_tokens(variant: str) -> int:
    """Most tokens, padding included, that one step of the variant's engine takes."""
    return ENGINES.get(split_variant(variant)[0]).capabilities.max_batch_tokens


def load_variant(folder: Path, variant: str, *, threads: int) -> Session:
    """Load `variant` of the artifact in `folder`. Raises as `Engine.load` and `split_variant` do."""
    name, precision = split_variant(variant)
    check_writes(folder, variant)
    return ENGINES.get(name).load(folder, precision, threads=threads)


def check_writes(folder: Path, variant: str) -> None:
    """Raises EngineFailed (`engine_load_failed`) for a network that writes on an engine that loads none such."""
    if Head.load(folder).output == "sequences" and not ENGINES.get(split_variant(variant)[0]).capabilities.writes:
        raise load_failed(variant, "it does not load networks that write")


def import_extra(module: str, *, extra: str, feature: str) -> ModuleType:
    """The heavy module. Raises InvalidInput (`missing_extra`) with the install line when it is absent."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InvalidInput("missing_extra", feature=feature, extra=extra, details=str(error)) from error


def load_failed(variant: str, reason: str, *, details: str = "") -> EngineFailed:
    """The error of a variant that cannot be loaded; `reason` is shown, `details` only logged."""
    return EngineFailed("engine_load_failed", variant=variant, reason=reason[:300], details=details)


def step_failed(variant: str, error: Exception) -> EngineFailed:
    """The error of a step that raised inside the engine."""
    return EngineFailed("engine_step_failed", variant=variant, details=f"{type(error).__name__}: {error}")


def check_tokens(variant: str, *, has_tokens: bool) -> None:
    """Raises InvalidInput (`token_embeddings_not_served`) for a session without vectors of tokens."""
    if not has_tokens:
        raise InvalidInput("token_embeddings_not_served", variant=variant)


def writing(session: Session, variant: str) -> WritingSession:
    """The session itself. Raises InvalidInput (`generation_not_served`) for one that does not write."""
    if not isinstance(session, WritingSession):
        raise InvalidInput("generation_not_served", variant=variant)
    return session


def require_file(path: Path, variant: str) -> Path:
    """`path` itself. Raises EngineFailed when this artifact lacks the variant's file."""
    if not path.is_file():
        raise load_failed(variant, f"the artifact has no {path.name} for it")
    return path
