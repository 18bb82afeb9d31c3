"""What turned texts into numbers for a Keras model, as a `tokenizer.json` that gives the same ones.

Two ways are told in tutorials: the `Tokenizer` with its word index (saved by `to_json`) and `pad_sequences`, and `TextVectorization` with
its vocabulary. How rows are filled and cut stands in no file of Keras's, so `keras_text.json` may say it.
Source: keras, `legacy/preprocessing/text.py`, `utils/sequence_utils.py`, `layers/preprocessing/text_vectorization.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from hanlin.errors import InvalidInput
from hanlin.models import strict_json
from hanlin.models.onnx_graph import Sheet, Side
from hanlin.types import JsonObject, JsonValue, shorten

RULES_FILE, WORDS_FILE, INDEX_FILE = "keras_text.json", "vocabulary.txt", "word_index.json"
MAX_BYTES = 128 * 2**20
PAD, DROPPED, UNKNOWN = "[PAD]", "[DROPPED]", "[UNK]"
_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_ASCII_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RULES = frozenset({"maxlen", "padding", "truncating", "num_words", "lower", "filters", "split", "char_level", "oov_token", "standardize"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokenizer, the sheet its rows are laid on (length 0: the model's own), and the largest id that reaches the model."""

    tokenizer: Tokenizer
    sheet: Sheet
    largest_id: int


def read(folder: Path) -> Vocabulary:
    """The vocabulary of a folder with a Keras model.

    Raises:
        InvalidInput: `keras_text_missing` for a folder without one, `keras_text_wrong` naming what is wrong in it, `not_strict_json`.
    """
    rules = _rules(folder)
    if (folder / WORDS_FILE).is_file():
        return _of_words(folder / WORDS_FILE, rules)
    for name in ("tokenizer.json", INDEX_FILE):
        if (folder / name).is_file():
            return _of_index(_config(folder / name) | rules, name)
    raise InvalidInput("keras_text_missing")


def _config(path: Path) -> JsonObject:
    """The settings of Keras's own `Tokenizer`; a bare map of words to numbers has the usual ones."""
    found = strict_json.read(path, max_bytes=MAX_BYTES)
    if isinstance(found, str):  # json.dump(tokenizer.to_json(), file) writes a text of a text
        found = _loads(found, path.name)
    if not isinstance(found, dict):
        raise _wrong(path.name, "{…}?")
    if path.name == INDEX_FILE:
        return {"word_index": found}
    config = found.get("config")
    if found.get("class_name") != "Tokenizer" or not isinstance(config, dict):
        raise _wrong(path.name, 'class_name "Tokenizer"?')
    return {name: value for name, value in config.items() if name in _RULES} | {"word_index": _loads(config.get("word_index"), path.name)}


def _of_index(config: JsonObject, name: str) -> Vocabulary:
    words = config["word_index"]
    if not isinstance(words, dict) or not words or not all(_is_count(number) and number for number in words.values()):
        raise _wrong(name, "word_index")
    index = cast("dict[str, int]", words)
    limit, unknown = config.get("num_words"), config.get("oov_token")
    if limit is not None and not _is_count(limit):
        raise _wrong(name, "num_words")
    if len(set(index.values())) < len(index) or (unknown is not None and unknown not in index):
        raise _wrong(name, "word_index: a number twice, or no oov_token")
    kept = {word: number for word, number in index.items() if limit is None or number < cast("int", limit)}
    if not kept:
        raise _wrong(name, "num_words")
    largest = max(kept.values())
    vocab = kept if PAD in kept else {PAD: 0, **kept}
    stranger = str(unknown) if unknown in kept else DROPPED
    if stranger == DROPPED:
        vocab = vocab | {DROPPED: largest + 1}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=stranger))
    _split_by_rules(tokenizer, config, name)
    return Vocabulary(tokenizer, _sheet(config, "pre", largest + 1 if stranger == DROPPED else None, name), largest)


def _split_by_rules(tokenizer: Tokenizer, config: JsonObject, name: str) -> None:
    """`text_to_word_sequence`: lower, filters become the separator, split, nothing empty."""
    is_lower, filters, split = config.get("lower", True), config.get("filters", _FILTERS), config.get("split", " ")
    if not isinstance(filters, str) or not isinstance(split, str) or not split:
        raise _wrong(name, "filters, split")
    # Python knows the sigma at the end of a word, the library does not.
    lower = [normalizers.Replace(Regex(r"(?<=\p{L})Σ(?!\p{L})"), "ς"), normalizers.Lowercase()] if is_lower else []
    if config.get("char_level"):
        tokenizer.normalizer = normalizers.Sequence(lower)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        return
    steps = [*lower, *([normalizers.Replace(Regex(f"[{_class(filters)}]"), split)] if filters else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(split, "removed")


def _of_words(path: Path, rules: JsonObject) -> Vocabulary:
    """`get_vocabulary()`, one word a line: "" for padding, "[UNK]", then the words; or the words alone."""
    if path.stat().st_size > MAX_BYTES:
        raise _wrong(path.name, f"> {MAX_BYTES:,} bytes")
    try:
        words = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise _wrong(path.name, "UTF-8?") from error
    words = [word.removesuffix("\r") for word in words]
    words = words if words[:2] == ["", UNKNOWN] else ["", UNKNOWN, *words]
    if len(set(words)) < len(words):
        raise _wrong(path.name, "a word twice")
    vocab = {word: number for number, word in enumerate(words)}
    vocab[PAD] = vocab.pop("")
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNKNOWN))
    how, split = rules.get("standardize", "lower_and_strip_punctuation"), rules.get("split", "whitespace")
    if how not in ("lower_and_strip_punctuation", "lower", "strip_punctuation", None) or split not in ("whitespace", "character"):
        raise _wrong(RULES_FILE, "standardize, split")
    steps = []
    if how in ("lower_and_strip_punctuation", "lower"):  # of ASCII alone, as TensorFlow does
        steps += [normalizers.Replace(letter, letter.lower()) for letter in _ASCII_UPPER]
    if how in ("lower_and_strip_punctuation", "strip_punctuation"):
        steps.append(normalizers.Replace(Regex(f"[{_class(_PUNCTUATION)}]"), ""))
    tokenizer.normalizer = normalizers.Sequence(steps)
    is_by_word = split == "whitespace"
    pattern = Regex(r"[ \t\n\r\f\v]+") if is_by_word else Regex(r"[\s\S]")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, "removed" if is_by_word else "isolated")
    return Vocabulary(tokenizer, _sheet(rules, "post", None, RULES_FILE), len(words) - 1)


def _sheet(rules: JsonObject, usual: Side, dropped: int | None, name: str) -> Sheet:
    length, padding, truncating = rules.get("maxlen", 0), rules.get("padding", usual), rules.get("truncating", usual)
    if not _is_count(length) or padding not in ("pre", "post") or truncating not in ("pre", "post"):
        raise _wrong(name, "maxlen, padding, truncating")
    return Sheet(cast("int", length), 0, cast("Side", padding), cast("Side", truncating), dropped)


def _rules(folder: Path) -> JsonObject:
    path = folder / RULES_FILE
    if not path.is_file():
        return {}
    found = strict_json.read_object(path, max_bytes=2**16)
    if unknown := set(found) - _RULES:
        raise _wrong(RULES_FILE, shorten(min(unknown)))
    return found


def _loads(value: JsonValue, name: str) -> JsonValue:
    if not isinstance(value, str):
        return value
    try:
        found: JsonValue = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _wrong(name, "JSON?") from error
    return found


def _class(characters: str) -> str:
    """Characters as the inside of a class of a regular expression."""
    return "".join(re.escape(character) if character not in "&~" else f"\\{character}" for character in characters)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**31 - 2


def _wrong(name: str, problem: str) -> InvalidInput:
    return InvalidInput("keras_text_wrong", file=name, problem=problem)
