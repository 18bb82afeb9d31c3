"""Questions about people in newspaper lines, made of the titles that stand before their names. Synthetic, Chinese."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice, digest, without_twins
from hanlin.datasets.corpora.newspaper import LICENCE, SOURCE, Word, is_surname, lines

_TITLE_TAGS = frozenset({"n", "vn", "nt", "ns", "b", "j"})
_LEAST_CONTEXT, _LEAST_TITLE, _MOST_TITLE = 40, 2, 12  # characters
_ASKED = ("{title}是谁？", "谁是{title}？", "文中的{title}叫什么名字？")


@corpus(
    "newspaper-questions", task="question-answering", languages="zh", nature="synthetic", source=SOURCE, licence=LICENCE,
    columns="id question context answers group", formats="jsonl squad",
    zh="由报纸合成的抽取式问答：职务是谁（“国务院总理是谁？”）；三分之一问的是文中没有的职务；同一行在同一划分中。",
)  # fmt: skip
def questions(source: Source) -> Rows:
    """Made of newspaper lines: who holds the title before a name; a third asks for one not there; those of a line stay together."""
    return without_twins(_questions(source), "id")


def _questions(source: Source) -> Rows:
    known = [(text, found) for words in lines(source) if len(text := "".join(word for word, _ in words)) >= _LEAST_CONTEXT
             and (found := list(_titles(words, text)))]  # fmt: skip
    for text, found in known:
        draws = dice("newspaper", text)
        for title, name, start in found:
            yield _question(draws.choice(_ASKED).format(title=title), text, name, start)
            stranger = draws.choice(draws.choice(known)[1])[0]
            if draws.random() < 0.5 and stranger not in text:
                yield _question(draws.choice(_ASKED).format(title=stranger), text, "", -1)


def _titles(words: list[Word], text: str) -> Iterator[tuple[str, str, int]]:
    """(title, name, place of the name) of each person behind a run of nouns; only titles and names that stand in the text once."""
    start, title = 0, ""
    for at, (word, tag) in enumerate(words):
        if tag == "nr" and words[at - 1 : at] and words[at - 1][1] == "n":
            has_given_name = is_surname(word) and at + 1 < len(words) and words[at + 1][1] == "nr"
            name = word + (words[at + 1][0] if has_given_name else "")
            if _LEAST_TITLE <= len(title) <= _MOST_TITLE and len(name) > 1 and text.count(title) == text.count(name) == 1:
                yield title, name, start
        title = title + word if tag in _TITLE_TAGS else ""
        start += len(word)


def _question(question: str, context: str, answer: str, start: int) -> Row:
    answers: Row = {"text": [answer] if answer else [], "answer_start": [start] if answer else []}
    name = f"{digest(question + context):016x}"
    return {"id": name, "question": question, "context": context, "answers": answers, "group": f"{digest(context):016x}"}
