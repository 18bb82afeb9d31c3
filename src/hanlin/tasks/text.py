"""Text cleaning and segmentation as recorded settings: a version trains and serves with the same ones.

Every step costs time linear in the text, whatever the text holds; `docs/text.md` shows each with odd cases.
Knows characters only: no tokens, no models. opencc and rjieba load at first use.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape as _unescape
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue, shorten

JOINERS = "\u200c\u200d"  # zero width, but they mean something inside emoji and in scripts of South and West Asia
_PLAIN = "\x00-\u024f\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"  # Latin, CJK, kana, full-width: joiners mean nothing there
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols by category, blank to the eye

SPACE = re.compile(r"\s+")
LOOSE_JOINER = re.compile(f"(?:^|(?<=[{_PLAIN}]))[{JOINERS}]+|(?<![{JOINERS}])[{JOINERS}]++(?=[{_PLAIN}]|$)")
TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")
_HIDDEN_BLOCK = re.compile(r"<(?:!--|(?:script|style)\b[^<>]*>)", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#([0-9]{20,});?")
WIDE = re.compile("[\uff00-\uffef\u3000]+")
IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WIDE_MARK = re.compile("[\u3000-\u303f\uff01-\uff60]")  # punctuation that brings its own space


def is_wide(character: str) -> bool:
    """Whether a character is of a script that writes no space between words: Chinese, Japanese, and their punctuation."""
    return IDEOGRAPH.match(character) is not None or _WIDE_MARK.match(character) is not None


def is_blank(text: str) -> bool:
    """Whether `text` shows nothing: only space, control and format characters, lone marks and blank letters."""
    # The first few characters settle almost every text; a set makes the rest cheap (a megabyte of spaces: 20 ms).
    return all(map(_is_blank_character, text[:16])) and all(map(_is_blank_character, set(text[16:])))


def _is_blank_character(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] in "ZM" or category in {"Cc", "Cf", "Cs"}) or character in _BLANK_LETTERS


def strip_html(text: str) -> str:
    """Without comments, scripts, styles and tags (each becomes a space); entities become their characters.

    `<` that no letter follows (`a < b`, `<3`) stays. Entities are read after tags, so `&lt;b&gt;` is the text `<b>`.
    """
    if "<" in text:
        text = TAG.sub(" ", _strip_hidden(text))
    return unescape(text) if "&" in text else text


def unescape(text: str) -> str:
    """`html.unescape` for numbers of any length: Python reads none of over 4,300 digits, and beyond Unicode all are the same."""
    return _unescape(_LONG_NUMBER.sub(lambda found: f"&#{found[1].lstrip('0')[:8] or '0'};", text) if "&#" in text else text)


def _strip_hidden(text: str) -> str:
    parts: list[str] = []
    start = 0
    for begin, end in hidden_blocks(text):
        parts.append(text[start:begin])
        start = end
    return " ".join([*parts, text[start:]])


def hidden_blocks(text: str) -> list[tuple[int, int]]:
    """Where comments, scripts and styles begin and end."""
    # A scan by hand: `<!--.*?-->` as a pattern is quadratic on "<!--<!--<!--…".
    found: list[tuple[int, int]] = []
    lowered = ""
    start = 0
    unclosed: set[str] = set()
    for match in _HIDDEN_BLOCK.finditer(text):
        if match.start() < start:
            continue
        lowered = lowered or _lower_ascii(text)
        opening = match.group().lower()
        end_mark = "-->" if opening == "<!--" else "</script" if opening.startswith("<script") else "</style"
        end = -1 if end_mark in unclosed else lowered.find(end_mark, match.end())
        if end < 0:
            unclosed.add(end_mark)
            continue
        start = end + 3 if end_mark == "-->" else end  # a closing tag is left for the tag pattern
        found.append((match.start(), start))
    return found


def _lower_ascii(text: str) -> str:
    return text.translate(_ASCII_LOWER)  # keeps positions; str.lower() may change the length


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def strip_control(text: str) -> str:
    """Without control, format (zero width, direction marks, BOM, soft hyphen) and non-characters; line ends and tabs become spaces.

    Zero-width joiners stay where they join emoji or letters of scripts that use them.
    """
    if text.isprintable():  # C loop: true for almost all clean text
        return text
    if "\u200c" in text or "\u200d" in text:
        text = LOOSE_JOINER.sub("", text)
    return text.translate(_control_table(frozenset(character for character in set(text) if not character.isprintable())))


@functools.lru_cache(maxsize=256)
def _control_table(characters: frozenset[str]) -> dict[int, str | None]:
    table: dict[int, str | None] = {}
    for character in characters:
        if character in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029":
            table[ord(character)] = " "
        elif character not in JOINERS and (unicodedata.category(character) in {"Cc", "Cf", "Cs"} or ord(character) & 0xFFFE == 0xFFFE):
            table[ord(character)] = None
    return table


def fold_width(text: str) -> str:
    """Full-width Latin, digits and punctuation become half-width, half-width kana full-width; the whole becomes NFC.

    Runs of more than 30 combining marks are cut to 30 first (the bound of Unicode's stream-safe format): sorting a
    megabyte of marks takes minutes. Source: UAX #11 (width), UAX #15 sections 1.1 and 13 (NFC, stream-safe).
    """
    if text.isascii():
        return text
    text = WIDE.sub(lambda run: unicodedata.normalize("NFKC", run.group()), text)
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _long_mark_runs().sub(lambda run: run.group()[:30], text))


@functools.cache
def _long_mark_runs() -> re.Pattern[str]:
    marks = (chr(code) for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code)))
    return re.compile(f"[{''.join(marks)}]{{31,}}")


def simplify(text: str) -> str:
    """Traditional Chinese characters as simplified ones (OpenCC `t2s`); everything else unchanged."""
    return text if text.isascii() else _simplifier()(text)


@functools.cache
def _simplifier() -> Callable[[str], str]:
    from opencc import OpenCC

    return cast("Callable[[str], str]", OpenCC("t2s").convert)


def fold_space(text: str) -> str:
    """Every run of white space as one space; none at the ends."""
    return SPACE.sub(" ", text).strip()


def split_characters(text: str) -> str:
    """Ideographs and kana each set apart by spaces; words of other scripts stay whole."""
    return fold_space(IDEOGRAPH.sub(r" \g<0> ", text))


def split_words(text: str) -> str:
    """Chinese words set apart by spaces (jieba's dictionary with its HMM for unknown words)."""
    return " ".join(word for word in _cutter()(text) if not word.isspace())


@functools.cache
def _cutter() -> Callable[[str], list[str]]:
    import rjieba

    return cast("Callable[[str], list[str]]", rjieba.cut)


CLEANING: dict[str, Callable[[str], str]] = {
    "html": strip_html,
    "control": strip_control,
    "width": fold_width,
    "simplify": simplify,
    "lower": str.lower,
    "space": fold_space,
}
SEGMENTATION: dict[str, Callable[[str], str]] = {"none": str, "character": split_characters, "words": split_words}


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How text is cleaned and segmented before it is tokenised; stored with every version.

    Args:
        cleaning: names out of `CLEANING`, applied in this order.
        segmentation: one of `SEGMENTATION`.

    Raises:
        InvalidInput: `invalid_text_settings`.
    """

    cleaning: tuple[str, ...] = ()
    segmentation: str = "none"

    def __post_init__(self) -> None:
        for step in self.cleaning:
            if step not in CLEANING:
                raise InvalidInput("invalid_text_settings", name="cleaning", value=shorten(step), choices=", ".join(CLEANING))
        if len(set(self.cleaning)) < len(self.cleaning):
            raise InvalidInput("invalid_text_settings", name="cleaning", value="a step twice", choices=", ".join(CLEANING))
        if self.segmentation not in SEGMENTATION:
            value = shorten(self.segmentation)
            raise InvalidInput("invalid_text_settings", name="segmentation", value=value, choices=", ".join(SEGMENTATION))

    def clean(self, text: str) -> str:
        """`text` after the cleaning steps."""
        for step in self.cleaning:
            text = CLEANING[step](text)
        return text

    def segment(self, text: str) -> str:
        """`text`, already clean, with its units set apart by spaces."""
        return text if self.segmentation == "none" else SEGMENTATION[self.segmentation](text)

    def prepare(self, text: str) -> str:
        """`text` cleaned and segmented: what the tokenizer sees."""
        return self.segment(self.clean(text))

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {"cleaning": list(self.cleaning), "segmentation": self.segmentation}

    @classmethod
    def from_json(cls, value: JsonValue) -> TextSettings:
        """The settings that `to_json` wrote. Raises InvalidInput (`invalid_text_settings`)."""
        if not isinstance(value, dict) or (unknown := set(value) - {"cleaning", "segmentation"}):
            name = shorten(min(unknown)) if isinstance(value, dict) else "text"
            raise InvalidInput("invalid_text_settings", name=name, value="unknown", choices="cleaning, segmentation")
        cleaning, segmentation = value.get("cleaning", []), value.get("segmentation", "none")
        if not isinstance(cleaning, list) or not all(isinstance(step, str) for step in cleaning):
            raise InvalidInput("invalid_text_settings", name="cleaning", value="not a list of names", choices=", ".join(CLEANING))
        if not isinstance(segmentation, str):
            raise InvalidInput("invalid_text_settings", name="segmentation", value="not a name", choices=", ".join(SEGMENTATION))
        return cls(tuple(cast("list[str]", cleaning)), segmentation)


PLAIN_TEXT = TextSettings()  # text as it comes
