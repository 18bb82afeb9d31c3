"""What is written under a grammar obeys it; forms that cannot end, and prefixes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from tests.networks.test_networks_generation import ROWS, own, write

from hanlin.generation import GenerationSettings


class Brackets:
    """Forms such as `( a ( b ) )`: ids 10 and 11 are the brackets, 12 and 13 letters; they close in time, and end when balanced."""

    def allowed(self, prefix: Sequence[int], left: int) -> Collection[int]:
        depth = prefix.count(10) - prefix.count(11)
        if prefix and not depth:
            return ()
        found = [11] if depth else []
        if left > depth + 2:
            found += [12, 13] if depth else []
            found += [10] if left > depth + 3 else []
        return found


def is_balanced(ids: Sequence[int]) -> bool:
    depths = [ids[:end].count(10) - ids[:end].count(11) for end in range(1, len(ids) + 1)]
    return bool(ids) and ids[0] == 10 and min(depths[:-1], default=1) > 0 and depths[-1] == 0 and set(ids) <= {10, 11, 12, 13}


@pytest.mark.parametrize("kind", ["hanlin-seq2seq", "hanlin-decoder"])
@pytest.mark.parametrize(
    "settings", [{}, {"num_beams": 4}, {"temperature": 3.0, "seed": 4}, {"repetition_penalty": 1.5, "min_new_tokens": 3}]
)
@pytest.mark.parametrize("length", [4, 5, 12])
def test_a_grammar_is_never_broken(kind: str, settings: dict[str, float], length: int) -> None:
    asked = GenerationSettings(max_new_tokens=length, grammar=Brackets(), **settings)  # type: ignore[arg-type]
    for found in write(own(kind), ROWS, asked):
        assert found.finish == "stop"
        assert is_balanced(found.ids), found.ids


class Endless:
    """Forms that are not over when there is no room any more."""

    def allowed(self, prefix: Sequence[int], left: int) -> Collection[int]:
        return (10, 11)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_form_that_could_not_end_says_so(num_beams: int) -> None:
    found = write(own("hanlin-seq2seq"), ROWS[:1], GenerationSettings(max_new_tokens=4, num_beams=num_beams, grammar=Endless()))[0]
    assert (len(found.ids), found.finish) == (4, "length")


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_target_begins_with_its_prefix(num_beams: int) -> None:
    model = own("hanlin-seq2seq")
    asked = [GenerationSettings(max_new_tokens=8, num_beams=num_beams, prefix=prefix) for prefix in ((30, 31), (), (32,), (33, 34, 35))]
    for found, settings in zip(write(model, ROWS, *asked), asked, strict=True):
        assert found.ids[: len(settings.prefix)] == settings.prefix
        assert len(found.ids) <= 8
