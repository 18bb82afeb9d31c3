"""How the files of a dataset are read and split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.splits import shares_of
from hanlin.encodings import ENCODINGS
from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, shorten


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read and split; empty strings mean "find out".

    Args:
        format: one of `FORMATS`.
        encoding: one of `ENCODINGS`.
        text: header of the text column.
        label: header of the label column.
        columns: headers of any of the task's columns, such as `source=en, target=zh`.
        separator: what stands between the labels of a text that may have several, such as `|`; empty: a field holds one label.
        split: percents of train/validation/test, such as `80/10/10`, or of train/test, such as `80/20` (validation is a tenth of train).
        bad_bytes: `refuse` a file with bytes that are not of its encoding, or `skip` the rows that hold them.
        leaks: `report` counts near-twins that stand in two splits; `move` splits by folded text, so that there are none.
    """

    format: str = ""
    encoding: str = ""
    text: str = ""
    label: str = ""
    columns: str = ""
    separator: str = ""
    split: str = "80/10/10"
    leaks: str = "report"
    bad_bytes: str = "refuse"

    def __post_init__(self) -> None:
        shares_of(self.split)  # refuses what is none
        self.headers()
        for name in ("format", *CHOICES):
            value, choices = getattr(self, name), choices_of(name)
            if value not in choices:
                raise InvalidInput("invalid_dataset_option", name=name, value=shorten(value), choices=", ".join(filter(None, choices)))

    def headers(self) -> dict[str, str]:
        """Header by column name, as `columns` says. Raises InvalidInput (`invalid_dataset_option`)."""
        found: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in self.columns.split(","))):
            name, mark, header = (piece.strip() for piece in part.partition("="))
            if not mark or not name or not header:
                raise InvalidInput("invalid_dataset_option", name="columns", value=shorten(part), choices="column=header, column=header")
            found[name] = header
        return found

    @classmethod
    def from_json(cls, value: JsonObject) -> ReadOptions:
        """Options of a job. Raises InvalidInput (`unknown_dataset_option`, `invalid_dataset_option`, `invalid_dataset_split`)."""
        for name, item in value.items():
            if name not in cls.__dataclass_fields__:
                raise InvalidInput("unknown_dataset_option", name=shorten(name), choices=", ".join(cls.__dataclass_fields__))
            if item is not None and not isinstance(item, str):
                raise InvalidInput("invalid_dataset_option", name=name, value="not a string", choices="a string")
            if isinstance(item, str) and len(item) > 1000:
                raise InvalidInput("invalid_dataset_option", name=name, value=shorten(item), choices="at most 1000 characters")
        return cls(**cast("dict[str, str]", {name: item for name, item in value.items() if item is not None}))

    @classmethod
    def describe(cls) -> dict[str, JsonObject]:
        """The options as JSON schemas by name."""
        found: dict[str, JsonObject] = {}
        for name, field in cls.__dataclass_fields__.items():
            choices: JsonObject = {"enum": [*choices_of(name)]} if choices_of(name) else {"maxLength": 1000}
            found[name] = {"type": "string", "default": str(field.default), **choices, "description": _WORDS[name]}
        return found


_WORDS = {
    "format": "form of the files; empty finds it out", "encoding": "encoding of the files; empty finds it out",
    "text": "header of the text column; empty finds it out", "label": "header of the label column; empty finds it out",
    "columns": "headers of the task's columns, such as `source=en, target=zh`; `label=toxic+insult` makes one of several 0/1 columns",
    "separator": "what stands between the labels of a text that may have several, such as `|`; empty: a field holds one label",
    "split": "percents of train/validation/test that make 100; of two, such as 80/20, the second is test and validation a tenth of train",
    "leaks": "report counts near-twins that stand in two splits; move splits by folded text, so that there are none",
    "bad_bytes": "refuse a file with bytes that are not of its encoding, or skip the rows that hold them",
}  # fmt: skip


FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "folder")  # of every task; `hanlin.datasets.formats` has those of some


CHOICES: dict[str, tuple[str, ...]] = {"encoding": ("", *ENCODINGS), "leaks": ("report", "move"), "bad_bytes": ("refuse", "skip")}


def choices_of(name: str) -> tuple[str, ...]:
    """What an option may be; nothing where it may be any string."""
    if name != "format":
        return CHOICES.get(name, ())
    return ("", *FORMATS, *FIELD_FORMATS.names())
