"""What each option of a training may be: ranges, choices, types; and where it does something. Knows no `TrainConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import MAX_RANK
from hanlin.networks.config import POOLINGS
from hanlin.tasks.base import TASKS
from hanlin.tasks.text import TextSettings
from hanlin.types import JsonValue, shorten

RECURRENT_MODELS = ("rnn", "lstm", "gru")
SCRATCH_MODELS = (*RECURRENT_MODELS, "transformer")
CAUSAL, PREFERENCE = "clm", "dpo"  # objectives of language models: what comes next; the better of two answers
MAX_PROMPT = 200  # characters
MAX_DIMS = 16
RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 1000), "batch_tokens": (16, 2**20), "batch_size": (1, 4096), "rate": (1e-8, 10), "warmup": (0, 1),
    "lora_rank": (1, MAX_RANK), "lora_alpha": (0.001, 1e4), "lora_dropout": (0, 0.9), "accumulation": (1, 1024),
    "weight_decay": (0, 1), "momentum": (0, 0.999), "clip": (0, 1e6), "label_smoothing": (0, 0.5), "patience": (0, 1000),
    "evaluations": (1, 100), "average": (0, 0.99999), "max_length": (4, 131_072), "train_length": (4, 131_072),
    "vocab_size": (3, 1_000_000), "min_count": (1, 1_000_000), "embedding_size": (2, 4096), "hidden_size": (2, 4096), "layers": (1, 48),
    "heads": (1, 64), "dropout": (0, 0.95), "embedding_dropout": (0, 0.95), "ngram_buckets": (16, 2**22), "ngram_dropout": (0, 0.95),
    "layer_decay": (0.1, 1), "head_rate": (0.01, 1000), "temperature": (0.001, 10),
    "margin": (0, 2), "negatives": (0, 100),
    "decoder_layers": (1, 48), "max_target_length": (2, 32_768), "mask_share": (0.01, 0.5), "beta": (0.001, 10),
    "seed": (0, 2**63 - 1), "threads": (0, 256),
    "processes": (1, 64),
}  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "model": (*SCRATCH_MODELS, "base"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "linear", "cosine", "onecycle"),
    "class_weights": ("none", "balanced"),
    "adapter": ("none", "lora", "head"),
    "curriculum": ("none", "length"),
    "precision": ("auto", "fp32", "bf16"),
    "tokenizer": ("character", "word", "bpe", "wordpiece", "byte-bpe"),
    "positions": ("sinusoidal", "learned", "rotary"),
    "tags": ("bio", "bioes"),
    "loss": ("auto", "contrastive", "triplet", "cosent", "mse", "bce", "listwise"),
    "pooling": ("", "mean", "cls", *POOLINGS),
    "objective": ("mlm", "mlm+nsp", CAUSAL, PREFERENCE),
}
OBJECTIVES: dict[str, tuple[str, ...]] = {"masks": ("mlm", "mlm+nsp"), "continuations": (CAUSAL, PREFERENCE)}  # by head
PREFERENCE_FIGURES = ("reward_accuracy", "margin")


def poolings(model: str, task: str) -> tuple[str, ...]:
    """How such a run may make one vector of a text's tokens: features of our own classifiers, or vectors that a search compares."""
    has_features = model in SCRATCH_MODELS and TASKS.get(task).head == "labels"
    return ("", *POOLINGS) if has_features else ("", "mean", "cls")


def watched(task: str, objective: str = "") -> tuple[str, ...]:
    """The figures of the validation examples that a run may watch. Raises InvalidInput (`unknown_plugin`)."""
    return (*(PREFERENCE_FIGURES if objective == PREFERENCE else TASKS.get(task).figures), "loss")


def objectives(task: str) -> tuple[str, ...]:
    """What networks may learn of the examples of a task; where there is no choice, a word that does nothing."""
    return OBJECTIVES.get(TASKS.get(task).head, ("mlm",))


def typed(name: str, value: JsonValue, default: object) -> object:
    """The value of an option, of the type of its default. Raises InvalidInput (`invalid_training_option`)."""
    if isinstance(default, tuple):
        kind = float if name == "matryoshka_weights" else int
        if isinstance(value, list | tuple):  # as `to_json` keeps it
            return tuple(typed(name, item, kind()) for item in value)
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
    elif isinstance(default, str):
        if isinstance(value, str):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(default, float):
            return float(value)
        if isinstance(value, int):
            return value
    raise wrong(
        name,
        value,
        {bool: "true or false", str: "a word", int: "a whole number", float: "a number", tuple: "a list of numbers"}[type(default)],
    )


def wrong(name: str, value: object, right: str) -> InvalidInput:
    """The error of an option that is not `right`."""
    return InvalidInput("invalid_training_option", name=shorten(name), value=shorten(str(value)), right=right)


CLASSIFYING, TAGGING = ("text-classification", "sentiment"), ("token-classification", "semantic-role-labelling")
READING = (*CLASSIFYING, *TAGGING, "semantic-parsing")  # with networks of our own of every kind
TWO_SIDED, RELATED = ("translation", "summarization"), ("embedding", "reranking")
WRITING = (*TWO_SIDED, "text-to-sql", "text-generation")
HEADED = (*READING, "question-answering", "reranking", "fill-mask")  # a base gets a head for them
BUILT_IN = (*HEADED, "embedding", *WRITING)  # what other tasks take, they say themselves
PROBLEMS = ("single-label", "multi-label", "regression")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an option does something.

    Attributes:
        problems: of those that the labels of a classification can be.
        without_crf: of taggers, only of those that have no CRF.
        base_tasks: with a base, where these are others.
        off: the value that says that it shall do nothing, which holds everywhere.
    """

    models: tuple[str, ...] = CHOICES["model"]
    tasks: tuple[str, ...] = BUILT_IN
    problems: tuple[str, ...] = PROBLEMS
    without_crf: bool = False
    base_tasks: tuple[str, ...] | None = None
    off: object = None


class Case(NamedTuple):
    """What an option is given for; `problem` is empty while the rows are not known."""

    model: str
    task: str
    has_crf: bool = True
    problem: str = ""


_OURS, _RECURRENT, _TRANSFORMER, _BASE = SCRATCH_MODELS, RECURRENT_MODELS, ("transformer",), ("base",)
REACHES: dict[str, Reach] = {
    "class_weights": Reach(tasks=CLASSIFYING, problems=PROBLEMS[:2], off="none"),
    "label_smoothing": Reach(tasks=(*READING, "fill-mask", *WRITING), problems=PROBLEMS[:1], without_crf=True, off=0.0),
    "wide": Reach(tasks=CLASSIFYING, problems=PROBLEMS[:1], off=False),
    "scale": Reach(tasks=("sentiment",), off=""),
    "tokenizer": Reach(_OURS),
    "vocab_size": Reach(_OURS),
    "min_count": Reach(_OURS),
    "text": Reach(_OURS, off=TextSettings()),
    "embedding_size": Reach(_OURS, READING),
    "hidden_size": Reach(_OURS),
    "layers": Reach(_OURS),
    "heads": Reach(_TRANSFORMER),
    "positions": Reach(_TRANSFORMER, (*READING, *WRITING)),
    "embedding_dropout": Reach(_OURS, (*READING, *WRITING), off=0.0),
    "ngrams": Reach(_RECURRENT, READING, off=False),
    "ngram_buckets": Reach(_RECURRENT, READING),
    "ngram_dropout": Reach(_RECURRENT, READING),
    "decoder_layers": Reach((*_TRANSFORMER, *_BASE), (*TWO_SIDED, "text-to-sql")),
    "max_target_length": Reach(tasks=TWO_SIDED),
    "layer_decay": Reach(_BASE, off=1.0),
    "head_rate": Reach(_BASE, (*HEADED, *TWO_SIDED, "text-to-sql"), off=1.0),
    "adapter": Reach(_BASE, off="none"),
    "lora_rank": Reach(_BASE),
    "lora_alpha": Reach(_BASE),
    "lora_dropout": Reach(_BASE),
    "lora_targets": Reach(_BASE),
    "curriculum": Reach(tasks=tuple(task for task in BUILT_IN if task != "fill-mask"), off="none"),
    "tags": Reach(tasks=TAGGING),
    "crf": Reach(tasks=TAGGING, off=False),
    "loss": Reach(tasks=RELATED, off="auto"),
    "negatives": Reach(tasks=RELATED, off=0),
    "temperature": Reach(tasks=("embedding",)),
    "margin": Reach(tasks=("embedding",)),
    "symmetric": Reach(tasks=("embedding",)),
    "matryoshka": Reach(tasks=("embedding",), off=()),
    "matryoshka_weights": Reach(tasks=("embedding",), off=()),
    "pooling": Reach(tasks=(*CLASSIFYING, "embedding"), base_tasks=("embedding",), off=""),
    "bidirectional": Reach(_RECURRENT, READING),
    "schema": Reach(tasks=("semantic-parsing",)),
    "packing": Reach(tasks=("text-generation",), off=False),
    "query_prompt": Reach(tasks=("embedding",), off=""),
    "passage_prompt": Reach(tasks=("embedding",), off=""),
    "objective": Reach(tasks=("fill-mask", "text-generation"), off="mlm"),
    "beta": Reach(_BASE, ("text-generation",)),
    "mask_share": Reach(tasks=("fill-mask",)),
    "vectors": Reach(_OURS, READING),  # files of a run, no fields of its options
    "raw_text": Reach(_OURS, READING),
}


# Of each option that another one switches on: that one, and its values that do.
NEEDS: dict[str, tuple[str, tuple[object, ...]]] = {
    "momentum": ("optimizer", ("sgd",)),
    "lora_rank": ("adapter", ("lora",)),
    "lora_alpha": ("adapter", ("lora",)),
    "lora_dropout": ("adapter", ("lora",)),
    "lora_targets": ("adapter", ("lora",)),
    "ngram_buckets": ("ngrams", (True,)),
    "ngram_dropout": ("ngrams", (True,)),
    "beta": ("objective", (PREFERENCE,)),
}


def check_needs(given: Mapping[str, object], usual: Mapping[str, object]) -> None:
    """Refuses an option whose switch is off, unless it says what holds anyway.

    Args:
        given: options.
        usual: what holds of each option, and of each switch, where they are not given.

    Raises:
        InvalidInput: `option_needs_another`.
    """
    for name, (switch, values) in NEEDS.items():
        found = given.get(switch, usual[switch])
        if name in given and found not in values and given[name] != usual[name]:
            raise InvalidInput(
                "option_needs_another", name=name, other=switch, right=" / ".join(_told(value) for value in values), found=_told(found)
            )


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def applies(name: str, case: Case) -> bool:
    """Whether an option does something for this model and task, and problem where that is known."""
    reach = REACHES.get(name)
    if reach is None or case.task not in BUILT_IN:
        return True
    if case.problem and case.task in CLASSIFYING and case.problem not in reach.problems:
        return False
    if reach.without_crf and case.has_crf and case.task in TAGGING:
        return False
    tasks = reach.tasks if reach.base_tasks is None or case.model != "base" else reach.base_tasks
    return case.model in reach.models and case.task in tasks


def check_effects(given: Mapping[str, object], usual: Mapping[str, object], case: Case) -> None:
    """Refuses what does nothing there, unless it says what holds anyway.

    Args:
        given: options; usual: what holds where they are not given.

    Raises:
        InvalidInput: `option_without_effect`.
    """
    for name, value in given.items():
        if applies(name, case) or value in (usual.get(name), REACHES[name].off):
            continue
        reach = REACHES[name]
        tasks, place = told_tasks(reach), f"{case.model} · {case.task}" + (f" ({case.problem})" if case.problem else "")
        raise InvalidInput("option_without_effect", name=shorten(name), place=place, models=", ".join(reach.models), tasks=tasks)


def told_tasks(reach: Reach) -> str:
    """The tasks of a reach, with what must hold of them besides; a star for all."""
    if reach == Reach(reach.models, off=reach.off):
        return "*"
    found = []
    for task in reach.tasks:
        notes = ", ".join(reach.problems) if task in CLASSIFYING and reach.problems != PROBLEMS else ""
        notes = "not base" if reach.base_tasks is not None and task not in reach.base_tasks else notes
        notes = "crf=false" if reach.without_crf and task in TAGGING else notes
        found.append(f"{task} ({notes})" if notes else task)
    return ", ".join(found)
