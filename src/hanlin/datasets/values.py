"""What readers are given and what they yield. Knows no format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hanlin.messages.problems import in_chinese

# Called now and then with (bytes read, bytes in all); raising out of it (such as Cancelled) stops the work.
ReadProgress = Callable[[int, int], None]

MAX_ROW_CHARACTERS = 4 * 2**20  # one record of a file, other columns and quotes included


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One uploaded file.

    Args:
        name: path the user gave it, `/` between parts; shown in reports, never opened.
        path: where its bytes are.
        beside: the bytes of the file that belongs to it, in forms that come in pairs of files.
    """

    name: str
    path: Path
    beside: Path | None = None


class Row(NamedTuple):
    """The fields of one row by the task's column names; columns that the file lacks are not there. `line` counts from 1."""

    line: int
    fields: Mapping[str, object]


class BadRow(NamedTuple):
    """A row that cannot be used; `problem` is a key of `PROBLEMS`."""

    line: int
    problem: str


# English and Chinese words of what may be wrong with a row.
PROBLEMS: dict[str, tuple[str, str]] = {
    code: (english, in_chinese(english))
    for code, english in {
        "columns": "another number of columns than the header",
        "quotes": "a quotation mark is opened and not closed, or stands inside a field",
        "row_too_long": "the row is longer than 4 million characters",
        "bytes": "it has bytes that are not of the file's encoding",
        "json": "not a JSON object",
        "json_twice": "an object has the same key twice",
        "text_missing": "the text is missing",
        "text_type": "the text is not a string",
        "text_empty": "the text is empty: only space, control characters or lone marks",
        "text_too_long": "the text is larger than 1 MiB",
        "text_unicode": "the text has a lone surrogate",
        "second_text_type": "the second text (text_pair, aspect) is not a string",
        "second_text_empty": "the second text (text_pair, aspect) is empty: only space, control characters or lone marks",
        "second_text_too_long": "the second text (text_pair, aspect) is larger than 1 MiB",
        "second_text_unicode": "the second text (text_pair, aspect) has a lone surrogate",
        "label_missing": "the label is missing",
        "label": "the label is not 1 to 200 characters without control characters",
        "score": "the score is not a plain number such as -3.5, or it is too large",
        "flag": "a column of a label holds neither 0 nor 1",
        "tokens_type": "the tokens are not a list of strings",
        "tags_type": "the tags are not a list of strings",
        "tokens_empty": "there are no tokens, or one is empty",
        "tags_number": "there are not as many tags as tokens",
        "entities_type": "the entities are not a list of start, end and label",
        "entities_range": "an entity does not lie within the text",
        "entities_overlap": "entities overlap or lie inside each other, which taggers cannot learn",
        "entities_tag": "a span is labelled with a tag of tokens (O, B-LOC): label it with the type alone (LOC), and drop O",
        "conll_columns": "the line has fewer columns than the first of the file",
        "roles_columns": "not the columns of the format: CoNLL-2009 has 14 and one a predicate, CoNLL-2012 11, the roles and one more",
        "brat_text": "the .txt file of this .ann file is missing",
        "brat_line": "not a span of characters in one piece: T1, tab, name, start, end, tab, words",
        "too_many_negatives": "more than 100 unrelated texts",
        "frames_type": "the frames are not a list of predicate and arguments",
        "frames_sense": "the sense of a predicate is longer than 80 characters",
        "frames_range": "a predicate or an argument does not lie within the tokens",
        "frames_role": "a role is called O, or V away from its predicate: V is the predicate itself, O is no role",
        "frames_twice": "two frames have the same predicate",
        "frames_overlap": "arguments of a predicate overlap or lie inside each other, which taggers cannot learn",
        "tokens_elsewhere": "the tokens do not stand in the text in their order",
        "props_brackets": "the brackets of a column of roles do not close",
        "slots": "the slots are not an object of plain values by slot name",
        "slot_spans": "a slot span is not [slot, start, end] within the text",
        "slot_spans_overlap": "two slot spans overlap",
        "answers": "the answers are not texts, or objects of text and start",
        "answer_place": "an answer does not stand in its context, or not where it says",
        "sql": "the query is missing, or none over the tables of its schema",
        "sql_not_supported": "the query has what is not learned: another query in it, brackets, functions, a join by no reference",
        "sql_schema": "the schema is missing, or no CREATE TABLE statements whose references lead to each other",
        "messages": "the messages are not a list of role (system, user, assistant) and content",
        "no_answer": "no message is the assistant's, or each has weight 0",
        "messages_tools": "a message calls a tool or is a tool's answer, which is not learned",
        "pair_missing": "one of the two answers is missing",
        "pair_kinds": "one answer is a text and the other a list of messages, or the prompt does not go with them",
        "pair_answer": "the two answers are not one message of the assistant each, behind the same messages",
        "pair_same": "the two answers are the same",
        "json_field": "a field that must be a list or an object is not JSON",
    }.items()
}
