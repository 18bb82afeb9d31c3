"""A small BERT of random weights, as a Hugging Face folder with its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def save_bert(
    folder: Path,
    words: Sequence[str],
    kind: str = "BertModel",
    *,
    seed: int = 5,
    width: int = 32,
    layers: int = 2,
    positions: int = 64,
    is_wordpiece: bool = False,
    is_normalized: bool = False,
    **more: object,
) -> Path:
    """Make `folder` and fill it.

    Args:
        words: the vocabulary beside `[PAD]`, `[UNK]`, `[CLS]` and `[SEP]`.
        kind: the class in transformers.
        is_wordpiece: `words` are WordPiece's; otherwise a text is split at whitespace and each word is one token.
        is_normalized: texts are cleaned and cut as BERT's are: lower case, punctuation and Chinese characters apart.
        more: of its `BertConfig`.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder.mkdir(exist_ok=True)
    known = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    made = Tokenizer((models.WordPiece if is_wordpiece else models.WordLevel)(known, unk_token="[UNK]"))
    if is_normalized:
        made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer() if is_normalized else pre_tokenizers.WhitespaceSplit()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 2 * width}
    config = transformers.BertConfig(vocab_size=len(known), max_position_embeddings=positions, pad_token_id=0, **sizes, **more)
    getattr(transformers, kind)(config).save_pretrained(folder)
    return folder
