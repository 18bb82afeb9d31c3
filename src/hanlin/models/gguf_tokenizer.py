"""The tokenizer of a GGUF file as `tokenizer.json`, and what the file says beside it. Runs in a child: the words are a stranger's.

Two kinds: pairs of bytes (`gpt2`), whose way to split text the file only names, and pairs of letters with a score each (`llama`, what
SentencePiece's BPE leaves). Source: llama.cpp's `llama-vocab.cpp`; the regular expressions and the order of pairs are transformers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.models.gguf_families import wrong
from hanlin.models.gguf_file import GgufFile
from hanlin.types import JsonObject, JsonValue, shorten

_KEY = "tokenizer.ggml."
_UNKNOWN, _SPECIAL, _OWN = 2, 3, 4  # kinds of tokens: never spelled; a mark; a word that is never cut
_SPACE = "\u2581"
_BYTES_AS_GPT2 = frozenset({"gpt-2", "phi-2", "olmo", "mpt"})
_SINGLE_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})
_WHOLE_WORDS = frozenset({"llama3", "llama-v3", "llama-bpe", "tekken"})  # a word that is a token needs no pairs
_BEGINS = frozenset({"llama3", "llama-v3", "llama-bpe"})  # with the first mark, unless the file says otherwise
_COMPOSES = frozenset({"qwen2", "deepseek-r1-qwen"})
_MARKS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding", "unk_token_id": "unknown"}
_ENDS = ("eos", "eot", "eom")


def tokenizer_of(file: GgufFile, rows: int) -> Tokenizer:
    """Raises InvalidInput (`gguf_refused`), naming what is missing or unknown.

    Args:
        rows: of the table of tokens.
    """
    kind, tokens = file.values.get(f"{_KEY}model"), _texts(file, "tokens")
    if len(set(tokens)) != len(tokens) or not 0 < len(tokens) <= rows:
        raise wrong(file, f"{len(tokens):,} tokens, {len(set(tokens)):,} of them different, for {rows:,} rows")
    makers = {"gpt2": _of_bytes, "llama": _of_letters}
    if kind not in makers:
        raise wrong(file, f"{_KEY}model {shorten(str(kind))}; known are {', '.join(makers)}")
    try:
        tokenizer = makers[cast("str", kind)](file, tokens)
        _add_marks(file, tokenizer, tokens)
        _begin(file, tokenizer, tokens, is_usual=kind == "llama" or file.values.get(f"{_KEY}pre") in _BEGINS)
    except InvalidInput:
        raise
    except Exception as error:  # the library's own, of any kind
        raise InvalidInput("invalid_tokenizer", details=str(error)[:500]) from error
    return tokenizer


def marks_of(file: GgufFile, rows: int) -> JsonObject:
    """Ids of marks as config.json has them. Raises InvalidInput (`gguf_refused`)."""
    return {name: found for name, key in _MARKS.items() if (found := _mark(file, key, rows)) is not None}


def ends_of(file: GgufFile, rows: int) -> list[JsonValue]:
    """Ids that end an answer."""
    found = [mark for key in _ENDS if (mark := _mark(file, key, rows)) is not None]
    return list(dict.fromkeys(found))


def template_of(file: GgufFile) -> JsonValue:
    """The template of talks as tokenizer_config.json has it: a text, or named ones where tools have their own."""
    default, tools = (file.values.get(f"tokenizer.chat_template{name}") for name in ("", ".tool_use"))
    if not isinstance(default, str) or not isinstance(tools, str):
        return default if isinstance(default, str) else None
    return [{"name": "default", "template": default}, {"name": "tool_use", "template": tools}]


def _of_bytes(file: GgufFile, tokens: list[str]) -> Tokenizer:
    pre = file.values.get(f"{_KEY}pre", "gpt-2" if file.values["general.architecture"] == "gpt2" else None)
    merges = [tuple(pair.split(" ")) for pair in _texts(file, "merges")]
    if any(len(pair) != 2 for pair in merges):
        raise wrong(file, f"{_KEY}merges: pairs?")
    tokenizer = Tokenizer(models.BPE(vocab=_numbered(tokens), merges=cast("Any", merges), ignore_merges=pre in _WHOLE_WORDS))
    tokenizer.pre_tokenizer = _splitting(file, pre)
    tokenizer.decoder = decoders.ByteLevel()
    if pre in _COMPOSES:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def _splitting(file: GgufFile, pre: object) -> pre_tokenizers.PreTokenizer:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if pre in _BYTES_AS_GPT2:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre in _SINGLE_DIGITS:
        parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    elif pre in GGUF_PRE_TOKENIZER_SPLITS:
        split = pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[pre]), behavior="isolated")
        parts = [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    else:
        known = sorted(_BYTES_AS_GPT2 | _SINGLE_DIGITS | GGUF_PRE_TOKENIZER_SPLITS.keys())
        raise wrong(file, f"{_KEY}pre {shorten(str(pre))}; known are {', '.join(known)}")
    return pre_tokenizers.Sequence(parts)


def _of_letters(file: GgufFile, tokens: list[str]) -> Tokenizer:
    from transformers.tokenization_utils_base import generate_merges

    is_gemma = file.values["general.architecture"] == "gemma"
    if is_gemma:  # the file has runs of spaces as spaces, and its scores are none: earlier tokens are put together first
        tokens = [_SPACE * len(token) if " " in token and not token.strip() else token for token in tokens]
        scores = {token: -float(number) for number, token in enumerate(tokens)}
    else:
        scores = dict(zip(tokens, _numbers(file, "scores", len(tokens)), strict=True))
    unknown = [token for token, kind in zip(tokens, _kinds(file, len(tokens)), strict=True) if kind == _UNKNOWN][:1]
    vocabulary = _numbered(tokens)
    merges = generate_merges(vocabulary, scores, skip_tokens=_marks_in(file, tokens))
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True, unk_token=next(iter(unknown), None))
    )
    spaces = [normalizers.Replace(" ", _SPACE)]
    is_prefixed = not is_gemma and file.values.get(f"{_KEY}add_space_prefix", True) is not False
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), *spaces]) if is_prefixed else spaces[0]
    ends = [decoders.Strip(" ", 1, 0)] if is_prefixed else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *ends])
    return tokenizer


def _add_marks(file: GgufFile, tokenizer: Tokenizer, tokens: list[str]) -> None:
    kinds = _kinds(file, len(tokens))
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _SPECIAL]
    own = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _OWN and token.strip()]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in own])


def _marks_in(file: GgufFile, tokens: list[str]) -> set[str]:
    """Marks are never put together of letters."""
    return {token for token, kind in zip(tokens, _kinds(file, len(tokens)), strict=True) if kind == _SPECIAL}


def _begin(file: GgufFile, tokenizer: Tokenizer, tokens: list[str], *, is_usual: bool) -> None:
    """Rows begin with the first mark, if the file says so or its kind does."""
    first = _mark(file, "bos", len(tokens))
    if first is None or file.values.get(f"{_KEY}add_bos_token", is_usual) is not True:
        return
    name = tokens[first]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[name, "$A"], pair=[name, "$A", name, "$B"], special_tokens=[(name, first)]
    )


def _mark(file: GgufFile, key: str, rows: int) -> int | None:
    found = file.values.get(f"{_KEY}{key}_token_id")
    if found is not None and not (type(found) is int and 0 <= found < rows):
        raise wrong(file, f"{_KEY}{key}_token_id {shorten(str(found))}")
    return found


def _kinds(file: GgufFile, count: int) -> list[int]:
    return [int(kind) for kind in _numbers(file, "token_type", count)]


def _numbers(file: GgufFile, key: str, count: int) -> Sequence[float]:
    found = file.values.get(f"{_KEY}{key}")
    if not isinstance(found, np.ndarray) or len(found) != count or not np.isfinite(found).all():
        raise wrong(file, f"{_KEY}{key}: no {count:,} numbers")
    return cast("Sequence[float]", found.tolist())


def _texts(file: GgufFile, key: str) -> list[str]:
    found = file.values.get(f"{_KEY}{key}")
    if not isinstance(found, list):
        raise wrong(file, f"no {_KEY}{key}")
    return found


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
