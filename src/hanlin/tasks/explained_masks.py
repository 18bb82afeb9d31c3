"""What can be explained of masks that are filled: each token at each mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, OfTexts, Part, Place, Target, checked
from hanlin.tasks.hidden_tokens import mask_spans
from hanlin.tasks.likeness import LABELS
from hanlin.tasks.spec import ModelSpec

if TYPE_CHECKING:
    from hanlin.tasks.base import TaskRequest
    from hanlin.tasks.fill_mask import FillOptions


class MaskTargets(OfTexts):
    """Kind: `token`, by the characters of its mask; `reference` is its id. See `Explaining`."""

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`: masks are kept."""
        (part,) = super().parts(request, encoder, spec)
        return (Part(part.name, part.text, kept=tuple(mask_spans(part.text, encoder, cast("int", spec.mask_id)))),)

    def stand_in(self, encoder: TextEncoder, spec: ModelSpec) -> str:
        """See `Explaining.stand_in`: a mask would be one more to fill."""
        return ""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: the tokens that are answered; none where tokens were hidden to see whether they are foreseen."""
        if cast("FillOptions", found.request.options).hide_tokens is not None:
            return []
        filled = cast("list[list[list[dict[str, Any]]]]", found.decoded)[0]
        return [
            Target("token", item["token_str"], item["score"], (place,), (item["token"],))
            for place, items in zip(_places(found), filled, strict=True)
            for item in items
        ]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: the token's chance at its mask."""
        row = _places(found).index(target.places[0])
        chances = LABELS.numbers(found.outputs["mask_logits"][row : row + 1])
        return checked(float(chances[0, int(target.reference[0])]))


def _places(found: Computed) -> list[Place]:
    """The mask of each row."""
    spans = [marks.spans[0] for marks in found.encoded.marks or ()]
    return [Place(0, *span) for span in spans if span is not None]


MASK_TARGETS = MaskTargets()
