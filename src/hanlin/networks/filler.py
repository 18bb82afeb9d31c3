"""An encoder with its masked-word head: what stands at one asked place of each row, as scores of the whole vocabulary.

A row asks about one place, told by token types as a predicate is: the head runs there alone. Scores of 30,000 words at each of 128 places
would be 16 MB a row, and most of the arithmetic.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.head import FILLER, KEY
from hanlin.networks.heads import PretrainedModule

MASKED_TYPES = ("albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
# Where each architecture of transformers keeps the head that reads hidden states: the parts run one after the other.
_PARTS = (
    ("cls",),  # BERT, DeBERTa; of BERT with a next-sentence head too, a part of it
    ("lm_head",),  # RoBERTa, XLM-R, CamemBERT, MPNet
    ("predictions",),  # ALBERT
    ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),  # DistilBERT
    ("generator_predictions", "generator_lm_head"),  # ELECTRA
)


class PretrainedFiller(PretrainedModule):
    """A masked language model of transformers that answers for one place of each row."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.head_parts = parts_of(model)  # a list: they are the model's own modules, once
        model.config.update({KEY: FILLER.to_json()})  # type: ignore[union-attr,operator]  # transformers configs are untyped here

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """(batch, length) int64 each; types are 1 at the asked place, else 0 → (batch, vocabulary) float32."""
        hidden = self.hidden(input_ids, attention_mask)  # (batch, length, size)
        place = token_type_ids.argmax(1)[:, None, None].expand(-1, 1, hidden.shape[2])
        return self.scores(hidden.gather(1, place)[:, 0])

    def hidden(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """What the encoder makes of every token, (batch, length, size); here token types are the encoder's own."""
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        base = cast("nn.Module", self.model.base_model)
        found: Tensor = base(input_ids=input_ids, attention_mask=attention_mask, **more)[0]
        return found

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores of the vocabulary for vectors (places, size): (places, vocabulary) float32."""
        for part in self.head_parts:
            hidden = part(hidden)
        return hidden.float()

    @property
    def table(self) -> Tensor:
        """The vectors of tokens, (vocabulary, size)."""
        return cast("nn.Embedding", self.model.get_input_embeddings()).weight  # type: ignore[operator]  # transformers models are untyped here

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return int(self.model.config.vocab_size)  # type: ignore[union-attr,arg-type]  # transformers configs are untyped here


def parts_of(model: nn.Module) -> list[nn.Module]:
    """The parts of a model's masked-word head in order. Raises InvalidInput (`unsupported_architecture`) for one that we do not know."""
    if isinstance(head := getattr(model, "cls", None), nn.Module) and hasattr(head, "seq_relationship"):
        return [cast("nn.Module", head.predictions)]
    for names in _PARTS:
        if all(hasattr(model, name) for name in names):
            return [cast("nn.Module", getattr(model, name)) for name in names]
    raise InvalidInput("unsupported_architecture", architecture=type(model).__name__, choices=", ".join(MASKED_TYPES))


class PretrainedPairFiller(PretrainedFiller):
    """The same with a head that says whether the second sentence of a row follows the first (BERT's next-sentence head)."""

    def both(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (batch, length, size), and (batch, 2) float32 scores: it follows, it does not."""
        found = self.model.base_model(  # type: ignore[operator]  # an encoder of transformers
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        follows: Tensor = self.model.cls.seq_relationship(found.pooler_output)  # type: ignore[union-attr,operator]  # BertForPreTraining
        return found.last_hidden_state, follows.float()


def build_filler(config: object, *, has_pairs: bool) -> PretrainedFiller:
    """A new one with random weights (torch's generator). `config` is transformers' own, of BERT."""
    from transformers import AutoModelForMaskedLM, AutoModelForPreTraining

    kind = AutoModelForPreTraining if has_pairs else AutoModelForMaskedLM
    model = kind.from_config(config, attn_implementation="eager", dtype=torch.float32)
    return PretrainedPairFiller(model) if has_pairs else PretrainedFiller(model)
