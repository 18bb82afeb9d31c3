"""Whether a row as read is an example of the task. Knows no files."""

from __future__ import annotations

from hanlin.datasets.columns import GROUP
from hanlin.datasets.values import BadRow, Row
from hanlin.errors import InvalidInput
from hanlin.tasks import BadExample, Example, ExampleForm
from hanlin.tasks.examples import check_text
from hanlin.tasks.labelled import read_gold
from hanlin.tasks.labels import MAX_LABELS
from hanlin.tasks.spec import Problem


class RowChecker:
    """Checks rows and numbers the labels in order of appearance.

    Attributes:
        num_pairs, num_singles: rows of a classification with a second text and without one.
    """

    def __init__(self, form: ExampleForm) -> None:
        self._form = form
        self._problem: Problem | None = None  # of the first row that was read
        self.num_pairs = self.num_singles = 0
        self.labels: list[str] = []
        self._numbers: dict[str, int] = {}

    def check(self, row: Row) -> Example | BadRow:
        """The example; its text stays as it came, to the last space."""
        try:
            example = self._form.read(row.fields)
            group = row.fields.get(GROUP.name)
            if isinstance(group, str) and group.strip():
                example = example._replace(group=check_text(group))  # whoever made the file knows better than the task
            return self._alike(example) if self._form.is_classified else example
        except BadExample as error:
            return BadRow(row.line, error.problem)

    def _alike(self, example: Example) -> Example:
        """The example as the first row has it: where that has a list of labels, one label is a list too. Raises BadExample."""
        gold = read_gold(example.annotation)
        self._problem = self._problem or gold.problem
        if self._problem == "multi-label" and gold.problem == "single-label":
            example = example._replace(annotation=gold._replace(problem="multi-label").annotation)
        elif gold.problem != self._problem:
            raise BadExample("score" if self._problem == "regression" else "label")
        self.num_pairs += bool(gold.pair)
        self.num_singles += not gold.pair
        return example

    def number(self, label: str) -> int:
        """The label's position in `labels`. Raises InvalidInput (`too_many_classes`)."""
        number = self._numbers.setdefault(label, len(self.labels))
        if number == len(self.labels):
            if number == MAX_LABELS:
                raise InvalidInput("too_many_classes", limit=MAX_LABELS)
            self.labels.append(label)
        return number
