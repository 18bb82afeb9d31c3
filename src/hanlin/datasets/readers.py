"""One door to all formats: finds out what the files are and yields rows of named fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from hanlin.datasets.columns import ColumnChoice, asked_headers, choose_columns, columns_of, listing
from hanlin.datasets.formats import FIELD_FORMATS, companion_of, txt
from hanlin.datasets.languages import lift_languages, lifted_structs
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.options import FORMATS, ReadOptions
from hanlin.datasets.read_csv import read_records
from hanlin.datasets.read_json import read_json, read_jsonl
from hanlin.datasets.read_parquet import read_parquet
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import MARK, Encoding, detect
from hanlin.errors import InvalidInput
from hanlin.tasks import Task
from hanlin.tasks.examples import MAX_TEXT_BYTES
from hanlin.types import shorten

_SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")


@dataclass
class Reading:
    """What was found out about the files while reading them."""

    task: Task
    options: ReadOptions
    meter: Meter
    encodings: set[str] = field(default_factory=set)
    choice: ColumnChoice | None = None

    def choose(self, header: Sequence[str], file: SourceFile) -> ColumnChoice:
        """The columns of a file, remembered for the report."""
        self.choice = choose_columns(header, self.task, self.options, file=file.name[:200])
        return self.choice

    def choose_keys(self, keys: Sequence[str], file: SourceFile) -> ColumnChoice:
        """The columns in JSON objects, also those that the first object lacks: under their own names."""
        choice = self.choose(keys, file)
        headers = choice.headers
        lacking = [column.name for column in columns_of(self.task) if column.name not in headers and column.name not in choice.names]
        places = dict(choice.places) | {name: len(choice.names) + number for number, name in enumerate(lacking)}
        return replace(choice, places=places, names=(*choice.names, *lacking))

    def row(self, line: int, fields: dict[str, object]) -> Row:
        """A row with its labels apart, where the options say what stands between them."""
        if self.options.separator and isinstance(labels := fields.get("label"), str):
            fields["label"] = [label.strip() for label in labels.split(self.options.separator) if label.strip()]
        return Row(line, fields)

    def encoding(self, file: SourceFile) -> Encoding:
        """The encoding of a file, remembered for the report."""
        is_lenient = self.options.bad_bytes == "skip"
        found = detect(file.path, name=file.name, declared=self.options.encoding, is_lenient=is_lenient)
        self.encodings.add(found.codec + (" with BOM" if found.bom_bytes else ""))
        return found


def find_format(files: Sequence[SourceFile], asked: str, of_task: Sequence[str] = ()) -> str:
    """The format of the files by option, suffix or content. Raises InvalidInput (`mixed_formats`, `unknown_format`, `no_files`).

    Args:
        of_task: formats of the task: `.txt` is raw text for tasks that learn from it, and a file a label for others.
    """
    if not files:
        raise InvalidInput("no_files")
    if asked:
        return asked
    suffixes = {PurePosixPath(file.name).suffix.lower() for file in files}
    if suffixes == {".txt"} and (txt.NAME in of_task or len(files) > 1):
        return txt.NAME if txt.NAME in of_task else "folder"
    if suffixes == {".json"} and (form := _form_of_json(files, of_task)):
        return form
    known = _SUFFIXES | {suffix: name for name in FIELD_FORMATS.names() for suffix in FIELD_FORMATS.get(name).suffixes}
    beside = {companion_of(known[suffix]) for suffix in suffixes if suffix in known}
    formats = {known.get(suffix) or _sniff(file) for file in files if (suffix := PurePosixPath(file.name).suffix.lower()) not in beside}
    if len(formats) > 1:
        raise InvalidInput("mixed_formats", formats=", ".join(sorted(formats)))
    return formats.pop()


def _form_of_json(files: Sequence[SourceFile], of_task: Sequence[str]) -> str:
    """The form whose `signs` all of the files have at their beginning; empty for plain lists of objects."""
    signs = {name: getattr(FIELD_FORMATS.get(name), "signs", None) for name in of_task}
    heads = [_head(file).replace(b"\0", b"") for file in files]
    return next((name for name, pattern in signs.items() if pattern is not None and all(map(pattern.search, heads))), "")


def _head(file: SourceFile) -> bytes:
    with file.path.open("rb") as stream:
        return stream.read(65_536)


def _sniff(file: SourceFile) -> str:
    head = _head(file)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(_BINARY):
        raise InvalidInput("unknown_format", file=file.name[:200])
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if plain[:1] in (b"[", b"{"):
        return "json" if plain[:1] == b"[" else "jsonl"
    return "tsv" if b"\t" in plain.split(b"\n", 1)[0] else "csv"


def read_rows(files: Sequence[SourceFile], kind: str, reading: Reading) -> Iterator[tuple[int, Row | BadRow]]:
    """Every row of every file with the file's position in `files`.

    Raises:
        InvalidInput: what makes a whole file unreadable: encoding, columns, syntax, format.
    """
    read = _READERS.get(kind) or _read_format(kind, reading)
    companion = companion_of(kind)
    pairs = {file.name: file.path for file in files if companion and file.name.lower().endswith(companion)}
    for index, file in enumerate(files):
        if file.name in pairs:
            continue
        own = replace(file, beside=pairs.get(str(PurePosixPath(file.name).with_suffix(companion)))) if pairs else file
        for row in read(own, reading):
            yield index, row
        reading.meter.finish(file.path.stat().st_size)


def _read_table(file: SourceFile, reading: Reading, *, is_tsv: bool) -> Iterator[Row | BadRow]:
    encoding = reading.encoding(file)
    records = read_records(file, encoding, reading.meter, is_tsv=is_tsv)
    header = next(records, None)
    if header is None:
        return
    if isinstance(header, BadRow) and header.problem == "bytes":
        raise InvalidInput("invalid_encoding", file=file.name[:200], line=header.line, encoding=encoding.codec)
    if isinstance(header, BadRow):
        raise InvalidInput("csv_unreadable", file=file.name[:200], line=header.line)
    choice = reading.choose(header[1], file)
    width = len(choice.names)
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        line, fields = record
        if len(fields) != width and (len(fields) < width or any(fields[width:])):
            yield BadRow(line, "columns")
        else:
            yield reading.row(line, choice.fields(dict(zip(choice.names, fields, strict=False))))


def _read_objects(file: SourceFile, reading: Reading, *, is_lines: bool) -> Iterator[Row | BadRow]:
    read = read_jsonl if is_lines else read_json
    choice: ColumnChoice | None = None
    for record in lift_languages(read(file, reading.encoding(file), reading.meter), reading.task.examples):
        if isinstance(record, BadRow):
            yield record
            continue
        line, value = record
        choice = choice or reading.choose_keys(list(value), file)  # the first object's keys stand for all
        yield reading.row(line, choice.fields(value))


def _read_parquet(file: SourceFile, reading: Reading) -> Iterator[Row | BadRow]:
    form = reading.task.examples
    for row in read_parquet(file, lambda names: reading.choose(names, file), reading.meter, lambda schema: lifted_structs(schema, form)):
        yield reading.row(row.line, dict(row.fields))


def _read_label_file(file: SourceFile, reading: Reading) -> Iterator[Row | BadRow]:
    """`label.txt` holds one text a line; `label/anything.txt` is one text."""
    path = PurePosixPath(file.name)
    encoding = reading.encoding(file)
    if len(path.parts) > 1:
        if file.path.stat().st_size > 2 * MAX_TEXT_BYTES:
            yield BadRow(1, "text_too_long")
        else:
            text = file.path.read_bytes()[encoding.bom_bytes :].decode(encoding.codec, encoding.errors)
            yield (
                BadRow(text[: text.index(MARK)].count("\n") + 1, "bytes")
                if MARK in text
                else Row(1, {"text": text, "label": path.parts[-2]})
            )
        return
    for line in read_lines(file.path, encoding, reading.meter):
        if line.problem:
            yield BadRow(line.number, line.problem)
        elif line.text.strip():
            yield Row(line.number, {"text": line.text.strip(), "label": path.stem})


def _read_format(kind: str, reading: Reading) -> Callable[[SourceFile, Reading], Iterator[Row | BadRow]]:
    form = FIELD_FORMATS.get(kind)
    if kind not in reading.task.examples.formats:
        choices = ", ".join((*FORMATS, *reading.task.examples.formats))
        raise InvalidInput("format_of_another_task", format=kind, task=reading.task.name, choices=choices)
    return lambda file, reading: (
        row if isinstance(row, BadRow) else _chosen(row, reading, file) for row in form.read(file, reading.encoding(file), reading.meter)
    )


def _chosen(row: Row, reading: Reading, file: SourceFile) -> Row:
    """The row with the columns that the options name. Raises InvalidInput (`column_not_found`, `unknown_column`)."""
    asked = asked_headers(columns_of(reading.task), reading.options)
    asked = {name: header if header in row.fields else header.casefold() for name, header in asked.items()}
    for name, header in asked.items():
        if header not in row.fields:
            columns = listing([*row.fields])
            raise InvalidInput("column_not_found", file=file.name[:200], column=shorten(header), kind=shorten(name), columns=columns)
    return Row(row.line, {**row.fields, **{name: row.fields[header] for name, header in asked.items()}}) if asked else row


_READERS: dict[str, Callable[[SourceFile, Reading], Iterator[Row | BadRow]]] = {
    "csv": lambda file, reading: _read_table(file, reading, is_tsv=False),
    "tsv": lambda file, reading: _read_table(file, reading, is_tsv=True),
    "jsonl": lambda file, reading: _read_objects(file, reading, is_lines=True),
    "json": lambda file, reading: _read_objects(file, reading, is_lines=False),
    "parquet": _read_parquet,
    "folder": _read_label_file,
}
