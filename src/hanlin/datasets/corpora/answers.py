"""Questions and answers for chat programs, gathered by volunteers."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice, without_twins
from hanlin.datasets.corpora.pinned import CHATTERBOT

_SOURCE = "PyPI chatterbot-corpus 1.3.3"
_LICENCE = "BSD-3-Clause"
_FOLDERS = {"en": "english", "zh": "chinese"}


def conversations(source: Source, language: str) -> Iterator[tuple[str, list[str]]]:
    """Each conversation with its topic: two turns or more."""
    import yaml

    pattern = f"chatterbot_corpus/data/{_FOLDERS[language]}/*.yml"
    for name, content in sorted(source.members(CHATTERBOT, pattern)):
        topic = name.rpartition("/")[2].removesuffix(".yml")
        for turns in yaml.safe_load(content)["conversations"]:
            said = [str(turn).strip() for turn in turns if turn is not None and str(turn).strip()]
            if len(said) > 1:
                yield topic, said


@corpus(
    "question-answers-en", task="embedding", languages="en", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="query text topic group", formats="jsonl tsv", zh="英文问题与应找到的回答；同一问题的回答在同一划分中。",
)  # fmt: skip
def answers_english(source: Source) -> Rows:
    """English questions and the answers that they should find; the answers to a question stay together."""
    return _answers(source, "en")


@corpus(
    "question-answers-zh", task="embedding", languages="zh", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="query text topic group", formats="jsonl tsv", zh="中文问题与应找到的回答；同一问题的回答在同一划分中。",
)  # fmt: skip
def answers_chinese(source: Source) -> Rows:
    """Chinese questions and the answers that they should find; the answers to a question stay together."""
    return _answers(source, "zh")


def _answers(source: Source, language: str) -> Rows:
    rows: Rows = (
        {"query": turns[0], "text": turns[1], "topic": topic, "group": turns[0]} for topic, turns in conversations(source, language)
    )
    return without_twins(rows, "query", "text")


@corpus(
    "answer-pairs-zh", task="text-classification", languages="zh", nature="synthetic", source=_SOURCE, licence=_LICENCE,
    columns="text text_pair label group", zh="文本对分类：一句话是否回答了这个问题；错误的回答取自另一个问题。",
)  # fmt: skip
def pairs_chinese(source: Source) -> Rows:
    """Chinese pairs: whether a text answers a question; each question has its own answer and one of another question."""
    return without_twins(_pairs(source, "zh"), "text", "text_pair")


def _pairs(source: Source, language: str) -> Rows:
    known = list(_answers(source, language))
    own: dict[str, set[str]] = {}
    for row in known:
        own.setdefault(str(row["query"]), set()).add(str(row["text"]))
    for row in known:
        question = str(row["query"])
        yield {"text": question, "text_pair": row["text"], "label": "answer", "group": question}
        other = str(dice("pairs", language, question, row["text"]).choice(known)["text"])
        if other not in own[question]:
            yield {"text": question, "text_pair": other, "label": "other", "group": question}


@corpus(
    "chats-en", task="text-generation", languages="en", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="messages", zh="英文对话，逐轮为 user 与 assistant。",
)  # fmt: skip
def chats_english(source: Source) -> Rows:
    """English conversations as messages of user and assistant in turn."""
    return _chats(source, "en")


@corpus(
    "chats-zh", task="text-generation", languages="zh", nature="gold", source=_SOURCE, licence=_LICENCE,
    columns="messages", zh="中文对话，逐轮为 user 与 assistant。",
)  # fmt: skip
def chats_chinese(source: Source) -> Rows:
    """Chinese conversations as messages of user and assistant in turn."""
    return _chats(source, "zh")


def _chats(source: Source, language: str) -> Rows:
    return without_twins(({"messages": _messages(turns)} for _, turns in conversations(source, language)), "messages")


def _messages(turns: list[str]) -> list[Row]:
    """The turns to the last answer."""
    spoken = turns[: len(turns) // 2 * 2]
    return [{"role": "assistant" if at % 2 else "user", "content": turn} for at, turn in enumerate(spoken)]
