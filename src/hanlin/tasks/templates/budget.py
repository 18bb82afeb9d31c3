"""What one run of a template may cost: steps for turns, calls and operators, each weighed by the size of what it touches.

A step is about 0.2 µs. Containers are weighed as deep as they are when they are made, so that none ever holds more than was paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hanlin.tasks.templates.traced import Traced

_STEPS, _STEPS_A_MESSAGE, _STEPS_A_TOOL = 400_000, 2_000, 10_000
CALL = 5  # steps of a call or filter, beside what it touches
_CHARACTERS_A_STEP = 32
_SLOW = 128  # characters from which on CPython searches in linear time
_MOST_CHARACTERS = 2**20  # of one text, beside eight times what is said
_MAX_BITS = 60  # larger ones would share their hashes at will
_MAX_DEPTH = 40  # of macros within macros


class TemplateProblemError(Exception):
    """What is wrong with a template, or with a talk for it. `code` is that of the error that callers see."""

    def __init__(self, code: str, problem: str = "") -> None:
        super().__init__(problem)
        self.code, self.problem = code, problem


def check_number(value: object) -> None:
    """Raises TemplateProblemError (`chat_template_too_costly`) for a number that is too large."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise TemplateProblemError("chat_template_too_costly")


@dataclass(slots=True)
class Budget:
    """What is left for one run.

    Attributes:
        frames: the texts of the template itself, by number.
        now: what its clock shows.
        steps: left.
        longest: characters that one text may have.
        depth: macros that are open.
    """

    frames: tuple[Traced, ...]
    now: datetime
    steps: int = _STEPS
    longest: int = _MOST_CHARACTERS
    depth: int = 0

    @classmethod
    def of(cls, frames: tuple[Traced, ...], now: datetime, *, messages: int, tools: int, size: int) -> Budget:
        """For a talk of so many messages, tools and characters."""
        steps = _STEPS + _STEPS_A_MESSAGE * messages + _STEPS_A_TOOL * tools + 2 * size
        return cls(frames, now, steps, _MOST_CHARACTERS + 8 * size)

    def spend(self, steps: int) -> None:
        """Raises TemplateProblemError (`chat_template_too_costly`) when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise TemplateProblemError("chat_template_too_costly")

    def make(self, size: int) -> None:
        """Before a text of so many characters is made. Raises as `spend`."""
        if size > self.longest:
            raise TemplateProblemError("chat_template_too_costly")
        self.spend(1 + size // _CHARACTERS_A_STEP)

    def search(self, text: str, what: object) -> None:
        """Before a text is searched: the longer what is sought, the longer that may take. Raises as `spend`."""
        self.weigh(what)
        turns = 1 + min(len(what), _SLOW) // _CHARACTERS_A_STEP * 4 if isinstance(what, str) else 1
        self.spend(1 + turns * (len(text) // _CHARACTERS_A_STEP))

    def weigh(self, value: object, *, is_plain: bool = False) -> None:
        """Pay for all that a value holds.

        Args:
            is_plain: refuse what is no text, number, list or mapping, however deep it lies.

        Raises:
            TemplateProblemError: as `spend`; `chat_template_failed`.
        """
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                self.spend(1 + len(one) // _CHARACTERS_A_STEP)
            elif isinstance(one, list | tuple | range):
                self.spend(1 + len(one))
                waiting.extend(one if not isinstance(one, range) else ())
            elif isinstance(one, dict):
                self.spend(1 + len(one))
                if not all(key is None or isinstance(key, str | int | float) for key in one):
                    raise TemplateProblemError("chat_template_failed", "a key that is neither text nor number")
                waiting.extend(one)
                waiting.extend(one.values())
            else:
                self.spend(1)
                if is_plain and not (one is None or isinstance(one, int | float)):
                    raise TemplateProblemError("chat_template_failed", f"{type(one).__name__} as text")

    def enter(self) -> None:
        """A macro. Raises TemplateProblemError (`chat_template_too_costly`) too deep."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise TemplateProblemError("chat_template_too_costly")
