"""A guess at the language of a text, and of a dataset, by scripts and small words. Knows no model."""

from __future__ import annotations

import re
from collections import Counter

_SAMPLE_ROWS = 2000
_SAMPLE_CHARACTERS = 200
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
)
_ENGLISH = re.compile(r"\b(?:the|and|is|of|to|it|was|this|for|not|with)\b", re.IGNORECASE)

# Scripts by their letters; one that a single language has for itself names it.
_LETTERS = (
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")),
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("el", re.compile("[\u0370-\u03ff]+")),
    ("und-Cyrl", re.compile("[\u0400-\u052f]+")),
    ("und-Arab", re.compile("[\u0600-\u06ff]+")),
    ("he", re.compile("[\u0590-\u05ff]+")),
    ("und-Deva", re.compile("[\u0900-\u097f]+")),
    ("th", re.compile("[\u0e00-\u0e7f]+")),
    ("und-Latn", re.compile("[A-Za-z\u00c0-\u024f]+")),
)
# Small words that no other language of the list has as often.
_SMALL_WORDS = {
    "en": "the and is of to it was this for not with are that you have be on as at but they i my we very so",
    "de": "der die das und ist nicht ein eine mit ich auf für den dem sich auch von zu wird sie",
    "fr": "le la les des est et une dans que qui pour pas sur au du vous nous ce avec plus",
    "es": "el los las y es una que por con para muy pero como su del lo más está se",
    "it": "il gli della che è un per non con sono di del più anche questo nel alla",
    "pt": "o os as uma que não com para mais muito em do da ao são você foi",
    "nl": "de het een en van is niet dat op met voor ik zijn te aan ook",
}
_SPEAKERS = {
    word: [code for code, words in _SMALL_WORDS.items() if word in words.split()] for word in " ".join(_SMALL_WORDS.values()).split()
}
MAX_READ = 2000  # characters of a text


def language_of(text: str) -> str:
    """A BCP 47 code: of the script with most units (characters of Chinese, words of others), of Latin letters by small words.

    `und-Latn` and the like where only the script is known, `und` of a text without letters.
    """
    text = text[:MAX_READ]
    if text.isascii():
        return _latin(text) if any(map(str.isalpha, text)) else "und"
    counts = {code: len(pattern.findall(text)) for code, pattern in _LETTERS}
    if counts["ja"] * 4 >= counts["zh"] > 0 or (counts["ja"] and not counts["zh"]):
        counts["ja"] += counts["zh"]
    best = max(counts, key=lambda code: counts[code])
    return "und" if not counts[best] else _latin(text) if best == "und-Latn" else best


def _latin(text: str) -> str:
    votes: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_]+", text.lower()):
        votes.update(_SPEAKERS.get(word, ()))
    first, *others = votes.most_common(2) or [("und-Latn", 0)]
    return first[0] if not others or first[1] > others[0][1] else "und-Latn"


class LanguageGuess:
    """Votes over the first 2,000 texts: script by script, then English by its small words."""

    def __init__(self) -> None:
        self._votes: Counter[str] = Counter()
        self._rows = 0

    def add(self, text: str) -> None:
        """Let `text` vote, while the sample is not full."""
        if self._rows >= _SAMPLE_ROWS:
            return
        self._rows += 1
        sample = text[:_SAMPLE_CHARACTERS]
        for code, pattern in _SCRIPTS:
            if pattern.search(sample):
                self._votes[code] += 1
                return
        if _ENGLISH.search(sample):
            self._votes["en"] += 1

    def answer(self) -> str:
        """A BCP 47 code when a third of the sample agrees, else `und`."""
        best = max(self._votes, key=lambda code: (self._votes[code], code), default="und")
        return best if self._votes[best] * 3 >= max(self._rows, 1) else "und"
