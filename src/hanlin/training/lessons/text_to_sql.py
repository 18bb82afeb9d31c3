"""Text to SQL: the words of a query, from the question and the words before them. See `hanlin.tasks.sql.words`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import END
from hanlin.networks.config import read_config
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.encoder_form import ENCODER_TYPES
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.spelling import Spelling
from hanlin.tasks.sql.examples import read_annotation
from hanlin.tasks.sql.mentions import Question
from hanlin.tasks.sql.query import Query
from hanlin.tasks.sql.settings import SqlSettings
from hanlin.tasks.sql.words import pointer, spoken
from hanlin.tasks.text import TextSettings
from hanlin.tasks.text_to_sql import default_settings, source_row
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.config import TrainConfig, preset
from hanlin.training.decoders import brings_no_decoder, frame_ids
from hanlin.training.evaluation import Evaluation
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.lessons.writing import WritingCourse, lay_out_tokenizer, network
from hanlin.training.ports import Rows
from hanlin.training.queries import learn_settings, speller, values_of
from hanlin.training.written import WrittenRows, marks_of
from hanlin.types import shorten

UNMARKED = 8  # one row of so many has no values marked: the network also learns to spell them


@LESSONS.register("text-to-sql")
class TextToSqlLesson:
    """Questions over one schema and the queries that answer them."""

    def prepare(self, setting: Setting) -> WritingCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        if not data.train.texts or not data.validation.texts:
            raise InvalidInput(
                "nothing_to_learn", problem="a split has no rows", train=len(data.train.texts), validation=len(data.validation.texts)
            )
        if setting.base is not None:
            _check_base(setting.base, config.task)
        train, validation = (list(map(read_annotation, part.labels)) for part in (data.train, data.validation))
        if len({schema for schema, _ in (*train, *validation)}) > 1:
            raise InvalidInput("many_schemas")
        schema, queries = train[0][0], [query for _, query in train]
        lay_out_tokenizer(setting, (value for query in queries for value in values_of(query)), text=_text(config))
        tokenizer = load_tokenizer(out / "tokenizer.json")
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        end = vocabulary[END] if setting.base is None else frame_ids(out)[1]
        settings = learn_settings(schema, data.train.texts, queries, first=max(vocabulary.values()) + 1, end=end)
        module = network(setting, more=len(settings.lexicon.words))
        marks = marks_of(module)
        replace_dropout(module)
        known = None if setting.base is None else ModelSpec.load(setting.base)
        longest = config.max_length if known is None else min(config.max_length, known.max_length)
        ModelSpec(
            config.task, (), longest, marks.pad, text=_text(config), languages=() if known is None else known.languages,
            generation=default_settings(marks.end), queries=settings,
        ).save(out)  # fmt: skip
        encoder = TextEncoder.load(out)
        encoder.max_length = min(longest, config.train_length)
        parts = (
            _rows(rows, [query for _, query in pairs], encoder, tokenizer, settings)
            for rows, pairs in ((data.train, train), (data.validation, validation))
        )
        return WritingCourse(config, module, marks, next(parts), next(parts), data.validation, out, setting.base is not None)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: none."""
        return {}


def _text(config: TrainConfig) -> TextSettings:
    """As from nothing, on a base too: what a question says is compared with values letter by letter, and a base may fold capitals."""
    return config.text if config.is_scratch else preset("transformer", config.task).text


def _check_base(base: Path, task: str) -> None:
    """Whether a base is an encoder whose tokens spell every value. Raises InvalidInput."""
    if not brings_no_decoder(base):
        kind = str(read_config(base).get("model_type"))
        raise InvalidInput("network_for_another_task", model=shorten(kind), task=task, choices=", ".join(("transformer", *ENCODER_TYPES)))
    if not Spelling.of(load_tokenizer(base / "tokenizer.json").get_vocab(with_added_tokens=False)).is_whole:
        raise InvalidInput("base_not_byte_level", task=task)


def _rows(rows: Rows, queries: Sequence[Query], encoder: TextEncoder, tokenizer: Tokenizer, settings: SqlSettings) -> WrittenRows:
    """Questions, and the words of their queries with the token that ends them."""
    ids, spell = settings.lexicon.ids(), speller(tokenizer)
    known = settings.values()
    sources: list[array[int]] = []
    targets: list[array[int]] = []
    for number, (row, query) in enumerate(zip(encoder.encode(rows.texts, truncate=True), queries, strict=True)):
        shown = {} if number % UNMARKED == 0 else known  # as a question whose values nobody has seen
        question = Question.of(settings.schema, encoder.text_of(row, 0, skip_special_tokens=True), shown)
        point = pointer([one.value for one in question.mentions], question.numbers)
        sources.append(array("i", source_row(question, encoder, ids)))
        targets.append(array("i", [*spoken(query, point, spell, ids), settings.end]))
    return WrittenRows(sources, targets)
