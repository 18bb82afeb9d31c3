"""Which head an imported network gets: its own, if the task can use it, or one that needs no weights, or none (a base)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_NEW_TOKENS, GenerationSettings
from hanlin.models import weights_file, writers
from hanlin.models.sentence_folder import SentenceParts, read_dense, read_parts
from hanlin.models.weights_file import Tensor
from hanlin.networks.head import CLASSIFIER, FILLER, KEY, WRITER, Head
from hanlin.networks.projection import PROJECTION_FILE, Projection, read_projection
from hanlin.tasks.base import HeadKind
from hanlin.tasks.labels import labels_from_config
from hanlin.tasks.spec import PairForm, Problem
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import JsonObject, shorten

HEAD = ("classifier.", "pre_classifier.", "score.")
MASKED_HEAD = ("cls.predictions.", "lm_head.", "predictions.", "vocab_transform.", "vocab_projector.", "generator_predictions.")
NO_LABELS = ("LABEL_0", "LABEL_1")  # what a base without a head carries until it is fine-tuned
PAIR_LABEL = "LABEL_0"
PAIR_LABELS = frozenset({"entailment", "not_entailment", "contradiction", "duplicate", "not_duplicate", "equivalent", "not_equivalent"})
# Words of transformers for what labels mean.
PROBLEM_TYPES: dict[Problem, str] = {
    "single-label": "single_label_classification", "multi-label": "multi_label_classification", "regression": "regression",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heading:
    """A head and what belongs to it.

    Attributes:
        problem, pairs: what its labels mean, and whether it reads two texts, as `ModelSpec` has them.
        is_base: it has no head of its own yet.
        is_assumed: how its vectors are made is our assumption.
        projection: the dense layers behind pooling.
        max_length: the folder's own limit for texts, where a head comes with one.
        generation: how it writes, where it does.
    """

    head: Head
    labels: tuple[str, ...] = ()
    vectors: VectorSettings | None = None
    problem: Problem = "single-label"
    pairs: PairForm = "none"
    is_base: bool = False
    is_assumed: bool = False
    max_length: int | None = None
    generation: GenerationSettings | None = None
    projection: Projection | None = None


def choose(
    kind: HeadKind, source: Path, config: JsonObject, tensors: Mapping[str, Tensor], given: Sequence[str] | None
) -> Heading:  # fmt: skip
    """The head that a network gets for a task.

    Args:
        given: names for the outputs, when config.json has none worth keeping.

    Raises:
        InvalidInput: `invalid_labels`, `not_a_reranker`, `unsupported_pooling` and others naming what does not fit.
    """
    if kind in ("targets", "continuations"):
        is_seq2seq = kind == "targets"
        settings = writers.settings_of(writers.told(source, config), is_seq2seq=is_seq2seq, positions=positions_of(config))
        return Heading(WRITER, generation=settings)
    if kind == "masks":
        if not any(name.startswith(MASKED_HEAD) for name in tensors):
            raise InvalidInput("no_masked_head")
        return Heading(FILLER)
    has_head = any(name.startswith(HEAD) for name in tensors)
    if kind == "vectors" or (kind == "pairs" and not has_head):
        return _vectors(source, config)
    return _labelled(kind, config, tensors, given) if has_head else Heading(CLASSIFIER, NO_LABELS, is_base=True)


def _labelled(kind: HeadKind, config: JsonObject, tensors: Mapping[str, Tensor], given: Sequence[str] | None) -> Heading:
    labels = _labels(config, tensors, given)
    if kind == "labels":
        pairs = _pair_form(config, labels)
        return Heading(
            Head("logits", has_types=True) if pairs == "typed" else CLASSIFIER, labels, problem=_problem(config, labels), pairs=pairs
        )
    if kind in ("tokens", "roles"):
        return Heading(Head("token_logits", has_types=kind == "roles"), labels)
    if len(labels) != 1:
        raise InvalidInput("not_a_reranker", count=len(labels))
    types = config.get("type_vocab_size")
    return Heading(Head("logits", has_types=isinstance(types, int) and types > 1), labels)


def _problem(config: JsonObject, labels: Sequence[str]) -> Problem:
    """What transformers' pipeline makes of the head: a single output without a word of its meaning goes through a sigmoid there."""
    stated = config.get("problem_type")
    if stated is None:
        return "multi-label" if len(labels) == 1 else "single-label"
    for problem, word in PROBLEM_TYPES.items():
        if word == stated and (problem != "regression" or len(labels) == 1):
            return problem
    raise InvalidInput("invalid_labels", problem=f"problem_type {shorten(str(stated))} with {len(labels)} labels")


def _pair_form(config: JsonObject, labels: Sequence[str]) -> PairForm:
    """A head for entailment, or of one output that is no label, judges two texts; of others nothing tells."""
    names = {label.casefold() for label in labels}
    if not names & PAIR_LABELS and not (len(labels) == 1 and config.get("problem_type") == "regression"):
        return "none"
    kinds = config.get("type_vocab_size")
    return "typed" if isinstance(kinds, int) and kinds > 1 else "joined"


def positions_of(config: JsonObject) -> int:
    """Most tokens that a network that writes can count, on either side; those that know distances only count as far as we let them."""
    stated = config.get("max_position_embeddings", config.get("n_positions"))
    return stated if isinstance(stated, int) and config.get("model_type") not in ("t5", "mt5") else MAX_NEW_TOKENS


def _vectors(source: Path, config: JsonObject) -> Heading:
    size = config.get("hidden_size", config.get("dim"))
    if not isinstance(size, int):
        raise InvalidInput("weights_do_not_fit", names="hidden_size (config.json)")
    # In a folder that we exported, hanlin.json says the rest.
    parts = SentenceParts(Head.of(config), False) if KEY in config else read_parts(source)
    projection = _projection(source, parts, size)
    vectors = VectorSettings(projection.size if projection else size, parts.head.is_normalized, parts.prompts, parts.default_prompt)
    return Heading(
        parts.head, (), vectors, is_assumed=parts.is_assumed, max_length=parts.max_length, projection=projection
    )  # fmt: skip


def _projection(source: Path, parts: SentenceParts, size: int) -> Projection | None:
    """The dense layers of a folder, which take vectors of `size`."""
    if not parts.head.dense:
        if (source / PROJECTION_FILE).is_file():
            raise InvalidInput("unexpected_file", file=PROJECTION_FILE)
        return None
    if not parts.dense:
        weights_file.read_header(source / PROJECTION_FILE) if (source / PROJECTION_FILE).is_file() else _missing()
    found = read_dense(parts) if parts.dense else read_projection(source, parts.head.dense)
    if found.input_size != size:
        raise InvalidInput("weights_do_not_fit", names=f"{found.input_size} ≠ {size} (Dense)")
    return found


def _missing() -> None:
    raise InvalidInput("missing_file", file=PROJECTION_FILE)


def _labels(config: JsonObject, tensors: Mapping[str, Tensor], given: Sequence[str] | None) -> tuple[str, ...]:
    heads = [tensor.shape[0] for name, tensor in tensors.items() if name.startswith(("classifier.", "score.")) and name.endswith("weight")]
    width = heads[-1] if heads else None
    if given is not None:
        config = config | {"id2label": {str(number): label for number, label in enumerate(given)}, "label2id": None}
    elif width == 1 and not config.get("id2label"):
        config = config | {"id2label": {"0": PAIR_LABEL}, "label2id": None}
    return labels_from_config(config, num_outputs=width)
