"""Semantic role labelling: the tags of a row around one predicate, which token types tell apart; the finder that proposes predicates,
and their senses.

Each text gives a row for each of its predicates, and one for each proposal that is none, whose tags are all outside: so the network learns
to refuse.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import cast

from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.frames import VERB, Frame, read_frames
from hanlin.tasks.predicates import learn_finder
from hanlin.tasks.semantic_role_labelling import add_row, proposals
from hanlin.tasks.senses import learn_senses
from hanlin.tasks.span_metrics import NOT_JUDGED
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tags import TagScheme, expand, is_unfinished, paint
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import Evaluation
from hanlin.training.examples import check_rows
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.lessons.token_classification import TaggedRows, TaggingCourse, tagging_course
from hanlin.training.ports import Rows
from hanlin.training.scratch import lay_out_tokenizer, write_spec


@LESSONS.register("semantic-role-labelling")
class SemanticRoleLabellingLesson:
    """Roles around predicates."""

    def prepare(self, setting: Setting) -> TaggingCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        check_rows(data)
        labels = expand((*data.labels, VERB), cast("TagScheme", config.tags))
        lay_out_tokenizer(setting)
        spec = write_spec(config, replace(data, labels=labels), out, base=setting.base)
        frames = [read_frames(annotation) for annotation in data.train.labels]
        finder = learn_finder(data.train.texts, ([frame.predicate for frame in found] for found in frames))
        seen = (
            (text[slice(*frame.predicate)], frame.sense) for text, found in zip(data.train.texts, frames, strict=True) for frame in found
        )
        spec = replace(spec, finder=finder, senses=learn_senses(seen))
        spec.save(out)
        encoder = TextEncoder.load(setting.out)
        encoder.max_length = min(spec.max_length, config.train_length)
        train = _rows(data.train, spec, encoder, config)
        encoder.max_length = spec.max_length
        return tagging_course(setting, spec, train, _rows(data.validation, spec, encoder, config))

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: a table says it all."""
        return {}


def _rows(rows: Rows, spec: ModelSpec, encoder: TextEncoder, config: TrainConfig) -> TaggedRows:
    """The rows of every text, cut to the encoder's length; a predicate behind the cut has none."""
    told = Encoded([], types=[], marks=[], texts=[])
    frames: list[Frame | None] = []
    for number, (text, annotation) in enumerate(zip(rows.texts, rows.labels, strict=True)):
        encoded = encoder.encode_marked([text], "truncate")
        assert encoded.marks is not None
        (row,), (marks,) = encoded.rows, encoded.marks
        known = {frame.predicate: frame for frame in read_frames(annotation)}
        for place in sorted({*proposals(marks, spec), *known}):
            before = len(told.rows)
            add_row(told, number, row, marks, place)
            if any(cast("list[list[int]]", told.types)[before]):
                frames.append(known.get(place))
            else:
                _drop_last(told)
    return _tagged(told, frames, spec, cast("TagScheme", config.tags))


def _drop_last(told: Encoded) -> None:
    for part in (told.rows, told.types, told.marks, told.texts):
        assert part is not None
        part.pop()


def _tagged(told: Encoded, frames: list[Frame | None], spec: ModelSpec, scheme: TagScheme) -> TaggedRows:
    places = {label: place for place, label in enumerate(spec.labels)}
    found = TaggedRows([], [], [])
    assert told.marks is not None
    assert told.types is not None
    assert found.types is not None
    for row, types, marks, frame in zip(told.rows, told.types, told.marks, frames, strict=True):
        parts = [] if frame is None else [*frame.arguments, (*frame.predicate, VERB)]
        tags = paint(marks.spans, sorted(parts), scheme)
        last = max((at for at, span in enumerate(marks.spans) if span is not None), default=0)
        is_cut = is_unfinished(tags[last], scheme)  # the row ends inside a run: its last token is not judged
        found.rows.append(array("i", row))
        found.types.append(array("i", types))
        gold = (
            NOT_JUDGED if span is None or (is_cut and at == last) else places[tag]
            for at, (tag, span) in enumerate(zip(tags, marks.spans, strict=True))
        )  # fmt: skip
        found.gold.append(array("i", gold))
    return found
