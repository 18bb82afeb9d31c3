"""Vocabularies of pieces of words, WordPiece and BPE, that are the same every time.

The library's trainers choose among letters that are equally frequent, and number the pieces that go on with a word, in the order of a hash
table: two runs over the same texts give two vocabularies. Here words are counted first, and letters are chosen and numbered before the
trainer begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

INSIDE = "##"  # before a piece of WordPiece that goes on with a word
LONGEST_WORD = 64  # characters; a longer one is unknown to WordPiece
_AT_ONCE = 10_000  # times that a word is said to the trainer in one text


def train_wordpiece(texts: Iterable[str], vocab_size: int, *, min_count: int, specials: Sequence[str], unknown: str) -> Tokenizer:
    """A WordPiece tokenizer of the most frequent pieces. A word with a letter beyond the most frequent `vocab_size // 2` is unknown.

    Args:
        min_count: times that a pair of pieces must be seen to become one.
        specials: the first tokens, `unknown` among them.
    """
    splitter = pre_tokenizers.BertPreTokenizer()
    counts, alphabet = _counted(texts, splitter, vocab_size // 2)
    known = set(alphabet)
    words = {word: counts[word] for word in sorted(counts) if known.issuperset(word)}
    inside = sorted({INSIDE + sign for word in words for sign in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=min_count, special_tokens=[*specials, *inside], initial_alphabet=alphabet, show_progress=False
    )
    learner = Tokenizer(models.WordPiece(unk_token=unknown))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(_said(words), trainer)
    made = Tokenizer(models.WordPiece(learner.get_vocab(with_added_tokens=False), unk_token=unknown, max_input_chars_per_word=LONGEST_WORD))
    made.pre_tokenizer = splitter
    made.add_special_tokens(list(specials))
    return made


def train_bpe(texts: Iterable[str], vocab_size: int, *, min_count: int, specials: Sequence[str], unknown: str) -> Tokenizer:
    """A BPE tokenizer of the most frequent pieces; letters beyond the most frequent `vocab_size // 2` are unknown. Arguments as above."""
    splitter = pre_tokenizers.Whitespace()
    counts, alphabet = _counted(texts, splitter, vocab_size // 2)
    known = set(alphabet)
    words: Counter[str] = Counter()
    for word in sorted(counts):
        if left := "".join(sign for sign in word if sign in known):
            words[left] += counts[word]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_count, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    made = Tokenizer(models.BPE(unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # what it learns from is split already
    made.train_from_iterator(_said(words), trainer)
    made.pre_tokenizer = splitter
    return made


def _counted(texts: Iterable[str], splitter: pre_tokenizers.PreTokenizer, most: int) -> tuple[Counter[str], list[str]]:
    """Words with how often they stand in the texts, and the most frequent letters, sorted."""
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text))
    signs: Counter[str] = Counter()
    for word, count in counts.items():
        for sign in word:
            signs[sign] += count
    return counts, sorted(sorted(signs, key=lambda sign: (-signs[sign], sign))[: max(1, most)])


def _said(words: Mapping[str, int]) -> Iterator[str]:
    """Each word as often as it was counted."""
    for word, count in words.items():
        for start in range(0, count, _AT_ONCE):
            yield " ".join([word] * min(_AT_ONCE, count - start))
