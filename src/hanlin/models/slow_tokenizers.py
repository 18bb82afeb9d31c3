"""Tokenizers that come as word lists (`vocab.txt`, or `vocab.json` with `merges.txt`) become one `tokenizer.json`, once, at import."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hanlin.errors import InvalidInput

MAX_VOCAB_BYTES = 64 * 2**20


def convert(folder: Path) -> Tokenizer:
    """The tokenizer of a folder without `tokenizer.json`. Raises InvalidInput (`invalid_tokenizer`) when there is none we read."""
    options = _options(folder)
    try:
        if (folder / "vocab.txt").is_file():
            return _wordpiece(folder / "vocab.txt", options)
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return _byte_level(folder, options)
    except Exception as error:  # the library raises bare Exceptions
        raise InvalidInput("invalid_tokenizer", details=str(error)[:500]) from error
    raise InvalidInput("invalid_tokenizer", details="no tokenizer.json, no vocab.txt, no vocab.json with merges.txt")


def _wordpiece(path: Path, options: dict[str, object]) -> Tokenizer:
    """BERT's: one piece per line, the line number is the id."""
    words = path.read_text(encoding="utf-8").split("\n")
    vocab = {word.rstrip("\r"): number for number, word in enumerate(words) if word or number < len(words) - 1}
    is_lower = bool(options.get("do_lower_case", True))
    accents = options.get("strip_accents")
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(options.get("tokenize_chinese_chars", True)),
        strip_accents=accents if isinstance(accents, bool) else None,
        lowercase=is_lower,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    tokenizer.add_special_tokens([AddedToken(word) for word in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if word in vocab])
    return tokenizer


def _byte_level(folder: Path, options: dict[str, object]) -> Tokenizer:
    """RoBERTa's: byte-level BPE."""
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    is_spaced = bool(options.get("add_prefix_space", False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=is_spaced)
    tokenizer.decoder = decoders.ByteLevel()
    start, end = (tokenizer.token_to_id(word) for word in ("<s>", "</s>"))
    if start is None or end is None:
        raise ValueError("no <s> or </s>")
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", end), ("<s>", start), trim_offsets=True, add_prefix_space=is_spaced)
    specials = [AddedToken(word) for word in ("<s>", "<pad>", "</s>", "<unk>") if tokenizer.token_to_id(word) is not None]
    tokenizer.add_special_tokens([*specials, AddedToken("<mask>", lstrip=True)])
    return tokenizer


def _options(folder: Path) -> dict[str, object]:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("invalid_tokenizer", details="tokenizer_config.json is not JSON") from error
    return found if isinstance(found, dict) else {}
