"""Whether a row as read is an example of the task. Knows no files."""

from __future__ import annotations

from hanlin.datasets.columns import GROUP
from hanlin.datasets.values import BadRow, Row
from hanlin.errors import InvalidInput
from hanlin.tasks import BadExample, Example, ExampleForm
from hanlin.tasks.spec import MAX_LABELS


class RowChecker:
    """Checks rows and numbers the labels in order of appearance."""

    def __init__(self, form: ExampleForm) -> None:
        self._form = form
        self.labels: list[str] = []
        self._numbers: dict[str, int] = {}

    def check(self, row: Row) -> Example | BadRow:
        """The example; its text stays as it came, to the last space."""
        try:
            example = self._form.read(row.fields)
        except BadExample as error:
            return BadRow(row.line, error.problem)
        group = row.fields.get(GROUP.name)
        if isinstance(group, str) and group.strip():
            return example._replace(group=group)  # whoever made the file knows better than the task
        return example

    def number(self, label: str) -> int:
        """The label's position in `labels`. Raises InvalidInput (`too_many_classes`)."""
        number = self._numbers.setdefault(label, len(self.labels))
        if number == len(self.labels):
            if number == MAX_LABELS:
                raise InvalidInput("too_many_classes", limit=MAX_LABELS)
            self.labels.append(label)
        return number
