"""Texts that are made, not collected: odd neighbours for certificates, and plain sentences where no rows were brought."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from hanlin.engines.asking import NO_LIMITS
from hanlin.errors import InvalidInput
from hanlin.tasks.base import Task
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonValue

ODD = (
    "a", "?", "…", "0", "ok", "no", "好", "差", "!!!", "🙂", "👍👍👍👍", "é", "№ 5", "<b>so so</b>", "\t1.\t", "ＡＢＣ１２３", "ﬁne",
    "Ça va très bien, merci.", "Der Akku hält leider nicht lange.", "とても良かったです。", "아주 좋아요", "Это было ужасно", "هذا رائع",
    "डिलीवरी देर से हुई", "ไม่ดีเลย", "很一般，没有下次了", "物流很快，包装完好", "繁體字也要能讀", "good good good good good good",
    "It was fine, I suppose, although the box had been opened.", "SELECT * FROM reviews WHERE stars < 3", "https://example.com/a?b=c#d",
    "3.14159265358979323846", "ÅÄÖ åäö ßẞ", "e\u0301 and é look alike",
)  # fmt: skip
_LONG = "the parcel came late and the paper was torn but the seller answered at once and sent another one 质量不错但是包装破损客服态度很好 "
_SUBJECTS = ("The room", "This phone", "The battery", "Our waiter", "The second chapter", "Delivery", "The new update", "That film")
_VERBS = ("was", "seemed", "turned out", "felt", "looked", "is", "stayed", "became")
_ENDS = (
    "better than expected",
    "a waste of money",
    "fine for the price",
    "far too slow",
    "a pleasant surprise",
    "broken on arrival",
    "just as described",
    "hard to recommend",
)
_ZH = (
    "房间很干净，服务也好",
    "质量太差，不会再买",
    "性价比不错",
    "屏幕有划痕，退货了",
    "物流很快，值得推荐",
    "内容空洞，读不下去",
    "电池不耐用",
    "老师讲得很清楚",
)

_NUM_PLAIN = 500
LONG = 24


def odd_texts(encoder: TextEncoder) -> list[str]:
    """Odd texts, without those that this model refuses as empty: of signs alone nothing is left where a tokenizer filters them out."""

    def is_read(text: str) -> bool:
        try:
            encoder.encode([text], truncate=True)
        except InvalidInput as error:
            if error.code != "empty_text":
                raise
            return False
        return True

    return list(filter(is_read, ODD))


def longest_read(task: Task, spec: ModelSpec, encoder: TextEncoder) -> int:
    """How often its line may stand in the long neighbour: `LONG`, or less where a model of roles finds more predicates than are read
    (`too_many_predicates`)."""
    long = LONG
    while long > 1 and not _is_read(_LONG * long, task, spec, encoder):
        long //= 2
    return long


def _is_read(text: str, task: Task, spec: ModelSpec, encoder: TextEncoder) -> bool:
    """Whether a model takes as many predicates as it finds. Raises InvalidInput for every other refusal."""
    try:
        task.encode(task.check(*task.probe([text]), limits=NO_LIMITS), encoder, spec)
    except InvalidInput as error:
        if error.code != "too_many_predicates":
            raise
        return False
    return True


def neighbours(count: int, *, seed: int, long: int = LONG, odd: Sequence[str] = ODD) -> list[str]:
    """`count` texts of many scripts, nearly all of them very short, one of them far longer than models take.

    Args:
        long: how often a line of some forty words stands in that one.
        odd: what they are chosen from.
    """
    chosen = random.Random(seed)  # noqa: S311 - repeatable, no secret
    texts = [chosen.choice(odd) for _ in range(count)]
    texts[chosen.randrange(count)] = _LONG * long
    return texts


def crowd(
    questions: Mapping[int, JsonValue], size: int, *, seed: int, long: int = LONG, odd: Sequence[str] = ODD
) -> tuple[list[JsonValue], list[int]]:
    """A batch of questions among odd texts, and the place of each question.

    Args:
        questions: a few, by their numbers, which follow each other: their places come from these.
        size: items of the batch; a power of two, so that no two questions want one place.
        seed, long, odd: as `neighbours`.
    """
    places = [7 * number % size for number in questions]
    batch: list[JsonValue] = [*neighbours(size - len(questions), seed=seed, long=long, odd=odd)]
    for place, question in sorted(zip(places, questions.values(), strict=True), key=lambda pair: pair[0]):
        batch.insert(place, question)
    return batch, places


def plain_texts(count: int) -> list[str]:
    """`count` different everyday sentences, English and Chinese."""
    english = [f"{subject} {verb} {end}." for end in _ENDS for verb in _VERBS for subject in _SUBJECTS]
    chosen = random.Random(0)  # noqa: S311 - repeatable, no secret
    chosen.shuffle(english)
    mixed = [text for pair in zip(english, _ZH * (len(english) // len(_ZH)), strict=True) for text in pair]
    return list(dict.fromkeys(mixed))[:count]


def varied_texts(count: int) -> list[str]:
    """`count` different texts of one to thirteen such sentences: the lengths of titles, remarks and paragraphs."""
    sentences = plain_texts(_NUM_PLAIN)
    chosen = random.Random(1)  # noqa: S311 - repeatable, no secret
    sizes = (1, 2, 1, 3, 1, 5, 2, 8, 1, 13)
    return [" ".join(chosen.sample(sentences, sizes[number % len(sizes)])) for number in range(count)]
