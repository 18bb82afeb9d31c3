"""Tokenizers that only read get what makes text of their tokens again, through their file, as the version keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import TokenizerKind, save_tokenizer, train_tokenizer
from hanlin.models.written_tokenizer import with_decoder
from hanlin.tasks.text import TextSettings
from hanlin.tasks.tokenizer import load_tokenizer

TEXTS = ["the jury said it, and read no more.", "我们好，你们也好。", "我们 read 两本 books。", "한국어는 띄어 쓴다"]
SETTINGS = {segmentation: TextSettings(("space",), segmentation) for segmentation in ("none", "character")}


def again(folder: Path, tokenizer: Tokenizer, settings: TextSettings) -> list[str]:
    """The texts, cleaned, tokenised and spelled."""
    save_tokenizer(with_decoder(tokenizer, is_segmented=settings.segmentation != "none"), folder)
    found = load_tokenizer(folder / "tokenizer.json")
    return [found.decode(found.encode(settings.prepare(text), add_special_tokens=False).ids) for text in TEXTS]


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe", "character", "word"])
def test_what_is_read_is_written_again(tmp_path: Path, kind: str) -> None:
    settings = SETTINGS["character"]
    known = (settings.prepare(text) for text in TEXTS * 3)
    tokenizer = train_tokenizer(known, cast("TokenizerKind", kind), 400, min_count=1, is_masked=True)
    found = again(tmp_path, tokenizer, settings)
    assert [text.replace(" ,", ",").replace(" .", ".") for text in found] == [
        TEXTS[0], TEXTS[1], TEXTS[2], settings.prepare(TEXTS[3])
    ]  # fmt: skip


def test_texts_without_segmentation_keep_their_spaces(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["你好 世界", *TEXTS], "byte-bpe", 300)
    before = tokenizer.to_str()
    assert with_decoder(tokenizer, is_segmented=False).to_str() == before
    assert tokenizer.decode(tokenizer.encode("你好 世界").ids) == "你好 世界"


def test_an_imported_chinese_bert_writes_without_spaces(tmp_path: Path) -> None:
    words = ["[UNK]", *"我们好，你也。两本", "the", "book", "##s", "read"]
    tokenizer = Tokenizer(models.WordPiece({word: place for place, word in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    assert again(tmp_path, tokenizer, TextSettings())[1] == TEXTS[1]


def test_pieces_that_do_not_tell_where_a_word_begins_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        with_decoder(train_tokenizer(TEXTS * 3, "bpe", 100, is_masked=True), is_segmented=False)
    assert caught.value.code == "base_cannot_spell"
    assert "wordpiece" in caught.value.next_step
