"""`ModelSpec`: what a version's folder says about itself beside weights and tokenizer (`hanlin.json`)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.tasks.chat_form import Form, form_from_json
from hanlin.tasks.label_chain import LabelChain
from hanlin.tasks.labels import check_labels
from hanlin.tasks.meanings import MeaningSchema
from hanlin.tasks.predicates import PredicateFinder
from hanlin.tasks.prompt_form import PromptForm
from hanlin.tasks.senses import PredicateSenses
from hanlin.tasks.sql.settings import SqlSettings
from hanlin.tasks.text import PLAIN_TEXT, TextSettings
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import JsonObject, JsonValue, is_name, shorten

FILE_NAME = "hanlin.json"
DRAFT_FOLDER = "draft"  # beside it, where a smaller model guesses for this one: the folder of that one
FORMAT = 1
MAX_LENGTH = 131_072
MAX_LANGUAGES = 200
_MAX_FILE_BYTES = 16 * 2**20
_FIELDS = {
    "format",
    "task",
    "labels",
    "max_length",
    "pad_id",
    "text",
    "languages",
    "vectors",
    "generation",
    "reference",
    "is_alone",
    "cuts",
    "problem",
    "thresholds",
    "calibration",
    "pairs",
    "scale",
    "chain",
    "finder",
    "senses",
    "meanings",
    "queries",
    "chat",
    "mask_id",
    "prompt",
}
_VARIANT = re.compile(r"[a-z0-9]{1,32}-[a-z0-9]{1,16}")

# What a head of labels says of a text: one of them, those that apply, or a number. Hugging Face's `problem_type`.
Problem = Literal["single-label", "multi-label", "regression"]
# How a model reads two texts: not at all, one behind the other, or with token types that tell them apart.
PairForm = Literal["none", "joined", "typed"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What serving must know of a version beside its weights.

    Args:
        task: name of the task.
        labels: in the order of the head's outputs; none for a head that gives vectors, or writes.
        max_length: tokens a text may have, special tokens included.
        pad_id: token id that fills short rows.
        text: cleaning and segmentation.
        languages: BCP 47 codes such as `zh`; empty when unknown.
        vectors: of a model whose answers are embeddings, or come from them.
        generation: of a model that writes: how, where a call says nothing.
        reference: the variant that is the trained model itself, of a version without torch weights; empty for the rest.
        cuts: the end at which a long text is cut, where a caller asks for that.
        is_alone: whether a row must not share a step with others, because padding would change its answer.
        problem: what the labels mean.
        thresholds: what scores must reach, tuned on validation rows: one a label where several may apply, else as the task says.
        calibration: of a model that may find no answer: slope and offset that make its log odds of none a chance.
        pairs: how the model reads a text beside another.
        scale: the number that each label stands for, where labels have an order.
        chain: of a tagger in which neighbouring labels care for each other.
        finder: of a model that labels the roles around predicates.
        senses: of such a one that also tells which sense a predicate has.
        meanings: of a model that parses: the intents and slots it may answer with.
        queries: of a model that writes queries: the tables they may ask.
        chat: of a model that goes on with talks: the form in which it reads them, or its own template.
        mask_id: of a model that says what is hidden: the token that hides.
        prompt: of a model that goes on with texts and does another task by being asked for it.

    Raises:
        InvalidInput: `invalid_model_spec`, `invalid_labels`, `invalid_label`.
    """

    task: str
    labels: tuple[str, ...]
    max_length: int
    pad_id: int
    text: TextSettings = PLAIN_TEXT
    languages: tuple[str, ...] = ()
    vectors: VectorSettings | None = None
    generation: GenerationSettings | None = None
    reference: str = ""
    is_alone: bool = False
    cuts: Literal["end", "start"] = "end"
    problem: Problem = "single-label"
    thresholds: tuple[float, ...] = ()
    pairs: PairForm = "none"
    scale: tuple[float, ...] = ()
    chain: LabelChain | None = None
    finder: PredicateFinder | None = None
    senses: PredicateSenses | None = None
    meanings: MeaningSchema | None = None
    queries: SqlSettings | None = None
    chat: Form | None = None
    mask_id: int | None = None
    prompt: PromptForm | None = None
    calibration: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.vectors is None and self.generation is None and self.mask_id is None) or self.labels:
            check_labels(self.labels)
        if not is_name(self.task):
            raise _invalid("task", "not the name of a task")
        if not 1 <= self.max_length <= MAX_LENGTH:
            raise _invalid("max_length", f"not between 1 and {MAX_LENGTH:,}")
        for name, token in (("pad_id", self.pad_id), ("mask_id", self.mask_id or 0)):
            if not 0 <= token < 2**31:
                raise _invalid(name, "not a token id")
        if len(self.languages) > MAX_LANGUAGES or not all(0 < len(code) <= 35 and code.isascii() for code in self.languages):
            raise _invalid("languages", "not a short list of language codes")
        if self.reference and not _VARIANT.fullmatch(self.reference):
            raise _invalid("reference", "not the name of a variant")
        closed = {"cuts": ("end", "start"), "problem": get_args(Problem), "pairs": get_args(PairForm)}
        for name, choices in closed.items():
            if getattr(self, name) not in choices:
                raise _invalid(name, f"not one of {', '.join(choices)}")
        self._check_counts()

    def _check_counts(self) -> None:
        if self.problem == "regression" and len(self.labels) != 1:
            raise _invalid("problem", f"regression has 1 label, not {len(self.labels)}")
        if self.task == "question-answering" and self.labels and len(self.labels) != 2:
            raise _invalid("labels", f"an answer has a start and an end, not {len(self.labels)} labels")
        if self.problem == "multi-label" and self.thresholds and len(self.thresholds) != len(self.labels):
            raise _invalid("thresholds", f"{len(self.thresholds)} for {len(self.labels)} labels")
        if len(self.calibration) not in {0, 2}:
            raise _invalid("calibration", f"a slope and an offset, not {len(self.calibration)} numbers")
        if self.scale and len(self.scale) != len(self.labels):
            raise _invalid("scale", f"{len(self.scale)} for {len(self.labels)} labels")

    @property
    def greedy(self) -> ModelSpec:
        """Of a model that writes: where a call says nothing, the likeliest token at each place."""
        assert self.generation is not None, "specs of models that write have it"
        return replace(self, generation=replace(self.generation, num_beams=1, temperature=0.0))

    @property
    def has_types(self) -> bool:
        """Whether rows come with token types."""
        return self.pairs == "typed"

    def to_json(self) -> JsonObject:
        """The stored form."""
        stored: JsonObject = {
            "format": FORMAT,
            "task": self.task,
            "labels": list(self.labels),
            "max_length": self.max_length,
            "pad_id": self.pad_id,
            "text": self.text.to_json(),
            "languages": list(self.languages),
        }
        stored |= {"vectors": self.vectors.to_json()} if self.vectors else {}
        stored |= {"generation": self.generation.to_json()} if self.generation is not None else {}
        stored |= {"reference": self.reference} if self.reference else {}
        stored |= {"cuts": self.cuts} if self.cuts != "end" else {}
        stored |= {"is_alone": True} if self.is_alone else {}
        stored |= {"chain": self.chain.to_json()} if self.chain else {}
        stored |= {"finder": self.finder.to_json()} if self.finder else {}
        stored |= {"senses": self.senses.to_json()} if self.senses else {}
        stored |= {"mask_id": self.mask_id} if self.mask_id is not None else {}
        stored |= {"meanings": self.meanings.to_json()} if self.meanings else {}
        stored |= {"queries": self.queries.to_json()} if self.queries else {}
        stored |= {"chat": self.chat.to_json()} if self.chat else {}
        stored |= {"prompt": self.prompt.to_json()} if self.prompt else {}
        # What is as it ever was is left out: equal specs stay equal bytes.
        more: JsonObject = {"thresholds": list(self.thresholds), "scale": list(self.scale), "calibration": list(self.calibration)}
        more |= {"problem": self.problem if self.problem != "single-label" else "", "pairs": self.pairs if self.pairs != "none" else ""}
        return stored | {name: value for name, value in more.items() if value}

    @classmethod
    def from_json(cls, value: JsonValue) -> ModelSpec:
        """The spec that `to_json` wrote. Raises InvalidInput naming the field."""
        if not isinstance(value, dict):
            raise _invalid(FILE_NAME, "not a JSON object")
        if unknown := set(value) - _FIELDS:
            raise _invalid(shorten(min(unknown)), "unknown field")
        if value.get("format") != FORMAT or isinstance(value.get("format"), bool):
            raise _invalid("format", f"not {FORMAT}")
        task = value.get("task")
        if not isinstance(task, str):
            raise _invalid("task", "not a string")
        labels = _strings(value, "labels")
        return cls(
            task=task,
            labels=labels,
            max_length=_integer(value, "max_length"),
            pad_id=_integer(value, "pad_id"),
            text=TextSettings.from_json(value.get("text", {})),
            languages=_strings(value, "languages") if "languages" in value else (),
            vectors=VectorSettings.from_json(value["vectors"]) if "vectors" in value else None,
            reference=_string(value, "reference"),
            is_alone=_flag(value, "is_alone"),
            cuts=cast("Literal['end', 'start']", _string(value, "cuts") or "end"),
            generation=GenerationSettings.from_json(value["generation"]) if "generation" in value else None,
            problem=cast("Problem", value.get("problem", "single-label")),
            thresholds=_numbers(value, "thresholds"),
            calibration=_numbers(value, "calibration"),
            pairs=cast("PairForm", value.get("pairs", "none")),
            scale=_numbers(value, "scale"),
            chain=LabelChain.from_json(value["chain"], num_labels=len(labels)) if "chain" in value else None,
            finder=PredicateFinder.from_json(value["finder"]) if "finder" in value else None,
            senses=PredicateSenses.from_json(value["senses"]) if "senses" in value else None,
            mask_id=_integer(value, "mask_id") if "mask_id" in value else None,
            meanings=MeaningSchema.from_json(value["meanings"]) if "meanings" in value else None,
            queries=SqlSettings.from_json(value["queries"]) if "queries" in value else None,
            chat=form_from_json(value["chat"]) if "chat" in value else None,
            prompt=PromptForm.from_json(value["prompt"], task=task) if "prompt" in value else None,
        )

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        """The spec of an artifact folder. Raises InvalidInput (`invalid_model_spec`) when the file is missing or broken."""
        path = folder / FILE_NAME
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                raise _invalid(FILE_NAME, "too large")
            value = json.loads(path.read_bytes().decode("utf-8"))
        except FileNotFoundError as error:
            raise _invalid(FILE_NAME, "the file is missing") from error
        except (ValueError, RecursionError) as error:
            raise _invalid(FILE_NAME, "not JSON in UTF-8") from error
        return cls.from_json(value)

    def save(self, folder: Path) -> None:
        """Write `hanlin.json` into `folder`, byte for byte the same for equal specs."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        (folder / FILE_NAME).write_bytes(text.encode("utf-8"))


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("invalid_model_spec", field=field, problem=problem)


def _integer(value: JsonObject, name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise _invalid(name, "not an integer")
    return found


def _string(value: JsonObject, name: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str):
        raise _invalid(name, "not a string")
    return found


def _flag(value: JsonObject, name: str) -> bool:
    found = value.get(name, False)
    if not isinstance(found, bool):
        raise _invalid(name, "not true or false")
    return found


def _numbers(value: JsonObject, name: str) -> tuple[float, ...]:
    found = value.get(name, [])
    is_right = isinstance(found, list) and all(isinstance(item, int | float) and not isinstance(item, bool) for item in found)
    if not is_right or not all(math.isfinite(item) for item in cast("list[float]", found)):
        raise _invalid(name, "not a list of numbers")
    return tuple(float(item) for item in cast("list[float]", found))


def _strings(value: JsonObject, name: str) -> tuple[str, ...]:
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise _invalid(name, "not a list of strings")
    return tuple(cast("list[str]", found))
