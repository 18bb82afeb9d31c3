"""Tokenizers trained on the data: character, word, BPE and WordPiece, all saved as one `tokenizer.json`.

`byte-bpe` is for what is written: it knows every byte, so that its tokens spell the very text again.

Texts arrive cleaned and segmented (`TextSettings.prepare`), so nothing is normalised here: the same text gives the same ids when serving.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from hanlin.errors import InvalidInput
from hanlin.models.word_pieces import train_bpe, train_wordpiece

TokenizerKind = Literal["character", "word", "bpe", "wordpiece", "byte-bpe"]
KINDS: tuple[TokenizerKind, ...] = ("character", "word", "bpe", "wordpiece", "byte-bpe")
PAD, UNKNOWN, BETWEEN = "[PAD]", "[UNK]", "[SEP]"
SPECIALS = [PAD, UNKNOWN]  # ids 0 and 1
CLASS, MASK = "[CLS]", "[MASK]"
MASKED_SPECIALS = [PAD, UNKNOWN, CLASS, BETWEEN, MASK]  # ids 0 to 4
BEGIN, END = "[BOS]", "[EOS]"  # of what is written; ids 2 and 3 of a byte-bpe tokenizer
MIN_BYTES = 256 + 4  # its least vocabulary: every byte and the specials
MAX_VOCAB_SIZE = 1_000_000
_PIECES = {"wordpiece": train_wordpiece, "bpe": train_bpe}


def train_tokenizer(
    texts: Iterable[str], kind: TokenizerKind, vocab_size: int, *, min_count: int = 2, has_pairs: bool = False, is_masked: bool = False
) -> Tokenizer:  # fmt: skip
    """A tokenizer whose vocabulary is the most frequent pieces of `texts`; `[PAD]` is 0, `[UNK]` is 1.

    Args:
        vocab_size: upper bound, the specials included.
        min_count: pieces seen fewer times are unknown, so that the unknown vector is trained too.
        has_pairs: whether two texts may be one row: `[SEP]`, which is 2, stands between them then.
        is_masked: whether it is for a masked language model: rows are `[CLS] … [SEP]` or `[CLS] … [SEP] … [SEP]`, and there is a `[MASK]`.

    Raises:
        InvalidInput: `unknown_plugin` for another kind, `invalid_training_option` for a vocabulary that is too small or too large.
    """
    if not len(SPECIALS) < vocab_size <= MAX_VOCAB_SIZE:
        raise InvalidInput("invalid_training_option", name="tokenizer.vocab_size", value=str(vocab_size), right=f"3 to {MAX_VOCAB_SIZE}")
    if kind not in KINDS:
        raise InvalidInput("unknown_plugin", kind="tokenizer", name=str(kind)[:48], choices=", ".join(KINDS))
    specials = MASKED_SPECIALS if is_masked else [*SPECIALS, BETWEEN] if has_pairs else SPECIALS
    if kind in _PIECES:
        tokenizer = _PIECES[kind](texts, vocab_size, min_count=min_count, specials=specials, unknown=UNKNOWN)
    else:
        tokenizer, trainer = _parts(kind, vocab_size, min_count, specials)
        tokenizer.train_from_iterator(texts, trainer)
    if is_masked:
        marks = [(name, tokenizer.token_to_id(name)) for name in (CLASS, BETWEEN)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{CLASS} $A {BETWEEN}", pair=f"{CLASS} $A {BETWEEN} $B:1 {BETWEEN}:1", special_tokens=marks
        )  # fmt: skip
    elif has_pairs:
        place = tokenizer.token_to_id(BETWEEN)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A", pair=f"$A {BETWEEN}:1 $B:1", special_tokens=[(BETWEEN, place)]
        )  # fmt: skip
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `folder/tokenizer.json`."""
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def _parts(kind: TokenizerKind, vocab_size: int, min_count: int, specials: list[str]) -> tuple[Tokenizer, trainers.Trainer]:
    if kind in ("character", "word"):
        tokenizer = Tokenizer(models.WordLevel({PAD: 0, UNKNOWN: 1}, unk_token=UNKNOWN))
        every_character = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
        tokenizer.pre_tokenizer = every_character if kind == "character" else pre_tokenizers.WhitespaceSplit()
        return tokenizer, trainers.WordLevelTrainer(
            vocab_size=vocab_size, min_frequency=min_count, special_tokens=specials, show_progress=False
        )
    if vocab_size < MIN_BYTES:
        raise InvalidInput("invalid_training_option", name="vocab_size", value=str(vocab_size), right=f"{MIN_BYTES} to {MAX_VOCAB_SIZE}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = specials if MASK in specials else [*SPECIALS, BEGIN, END]
    return tokenizer, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_count, special_tokens=specials, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
