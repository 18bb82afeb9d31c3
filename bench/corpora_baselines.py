"""Simple baselines, one for each shape of rows: what any model of a corpus has to beat. Each learns on `train`, answers `test`."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import average_precision_score, f1_score
from sklearn.multiclass import OneVsRestClassifier

from corpora_scores import answer_scores, chrf, ndcg_at_10, rouge_l, span_f1, units
from hanlin.datasets.corpora import library
from hanlin.tasks.ranking_metrics import correlation, ranks

Rows = Sequence[Mapping[str, Any]]
Figures = dict[str, float]
MOST_TRAIN, MOST_TEST = 16_000, 2_000  # rows that costly baselines use; the same for all
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n")


def vectors(most: int = 60_000, *, is_word: bool = False) -> TfidfVectorizer:
    """TF-IDF of characters 1–3, or of words and Chinese characters."""
    if is_word:
        return TfidfVectorizer(tokenizer=units, token_pattern=None, lowercase=False, sublinear_tf=True, max_features=most)
    return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, max_features=most)


def text_of(row: Mapping[str, Any]) -> str:
    """What a classifier is given of a row."""
    return f"{row['aspect']}\n{row['text']}" if "aspect" in row else str(row["text"])


def classes(train: Rows, test: Rows) -> Figures:
    """Characters 1–3 TF-IDF + logistic regression, beside the most frequent label."""
    train, test = train[:MOST_TRAIN], test[:MOST_TEST]
    gold = [row["label"] for row in test]
    common = Counter(row["label"] for row in train).most_common(1)[0][0]
    found = _learn([text_of(row) for row in train], [row["label"] for row in train], [text_of(row) for row in test])
    return {
        "accuracy": 100 * float(np.mean([one == other for one, other in zip(found, gold, strict=True)])),
        "macro_f1": 100 * f1_score(gold, found, average="macro", zero_division=0),
        "accuracy_most_frequent": 100 * float(np.mean([one == common for one in gold])),
    }


def _learn(texts: list[str], labels: list[str], asked: list[str]) -> list[str]:
    vectorizer = vectors()
    seen = vectorizer.fit_transform(texts)
    # One against all by steps where classes are many: the exact solver would take minutes.
    model = LogisticRegression(C=10, max_iter=300) if len(set(labels)) < 6 else SGDClassifier("log_loss", alpha=1e-5, random_state=1)
    return list(model.fit(seen, labels).predict(vectorizer.transform(asked)))


def several_labels(train: Rows, test: Rows) -> Figures:
    """Characters 1–3 TF-IDF + one logistic regression a label, at 0.5."""
    labels = sorted({label for row in train for label in row["labels"]})
    known, gold = (np.array([[label in row["labels"] for label in labels] for row in rows], dtype=int) for rows in (train, test))
    vectorizer = vectors()
    model = OneVsRestClassifier(SGDClassifier("log_loss", alpha=1e-5, random_state=1)).fit(
        vectorizer.fit_transform(map(text_of, train)), known
    )
    scores = model.predict_proba(vectorizer.transform(map(text_of, test)))
    used = gold.any(axis=0)
    return {
        "micro_f1": 100 * f1_score(gold, scores >= 0.5, average="micro", zero_division=0),
        "macro_f1": 100 * f1_score(gold, scores >= 0.5, average="macro", zero_division=0),
        "mAP": 100 * average_precision_score(gold[:, used], scores[:, used], average="macro"),
    }


def pairs(train: Rows, test: Rows) -> Figures:
    """TF-IDF cosine of the two texts, with one threshold learnt (labels), or as it is (scores)."""
    train, test = train[:MOST_TRAIN], test[:MOST_TEST]
    vectorizer = vectors().fit([row[name] for row in train for name in ("text", "text_pair")])
    seen, asked = (_cosines(vectorizer, rows) for rows in (train, test))
    if "score" in test[0]:
        gold = np.array([row["score"] for row in test])
        return {"spearman": 100 * correlation(ranks(asked), ranks(gold)), "pearson": 100 * correlation(asked, gold)}
    found = LogisticRegression().fit(seen[:, None], [row["label"] for row in train]).predict(asked[:, None])
    return {"accuracy": 100 * float(np.mean([one == row["label"] for one, row in zip(found, test, strict=True)]))}


def _cosines(vectorizer: TfidfVectorizer, rows: Rows) -> np.ndarray:
    one, other = (vectorizer.transform([row[name] for row in rows]) for name in ("text", "text_pair"))
    return np.asarray(one.multiply(other).sum(axis=1)).ravel()


def retrieval(train: Rows, test: Rows) -> Figures:
    """TF-IDF of words (Chinese: of characters and their pairs) among the test's own texts; nothing is learnt but the weights."""
    vectorizer = TfidfVectorizer(tokenizer=_terms, token_pattern=None, lowercase=False, sublinear_tf=True)
    texts = list(dict.fromkeys(row["text"] for row in test))
    place = {text: at for at, text in enumerate(texts)}
    documents = vectorizer.fit(row["text"] for row in [*train, *test]).transform(texts)
    asked = test[:MOST_TEST]
    scores = (vectorizer.transform([row["query"] for row in asked]) @ documents.T).toarray()
    own = np.array([scores[at, place[row["text"]]] for at, row in enumerate(asked)])
    places = (scores > own[:, None]).sum(axis=1) + ((scores == own[:, None]).sum(axis=1) - 1) / 2  # equals share their places
    return {
        "ndcg@10": ndcg_at_10(places.astype(int)), "recall@10": 100 * float((places < 10).mean()), "texts": len(texts),
        "queries": len(asked),
    }  # fmt: skip


def _terms(text: str) -> list[str]:
    found = units(text)
    return found + [one + other for one, other in pairwise(found) if one > "\u2e80" and other > "\u2e80"]


def translation(train: Rows, test: Rows) -> Figures:
    """The translation of the most similar source in train (characters 1–3 TF-IDF), the same back, and the source itself."""
    asked = test[:MOST_TEST]
    sources, targets = ([row[side] for row in asked] for side in ("source", "target"))
    found = [train[at]["target"] for at in _nearest([row["source"] for row in train], sources)]
    back = [train[at]["source"] for at in _nearest([row["target"] for row in train], targets)]
    return {"chrf": chrf(found, targets), "chrf_back": chrf(back, sources), "chrf_copied": chrf(sources, targets)}


def _nearest(known: Sequence[str], asked: Sequence[str]) -> list[int]:
    vectorizer = vectors(200_000)
    table = vectorizer.fit_transform(known).T.tocsr()
    found: list[int] = []
    for start in range(0, len(asked), 200):
        found += (vectorizer.transform(asked[start : start + 200]) @ table).toarray().argmax(axis=1).tolist()
    return found


def summaries(train: Rows, test: Rows) -> Figures:
    """The first sentence."""
    asked = test[:MOST_TEST]
    return {"rouge_l": rouge_l([_SENTENCE.split(row["text"])[0] for row in asked], [row["summary"] for row in asked])}


def questions(train: Rows, test: Rows) -> Figures:
    """The sentence that shares most with the question, beside always saying that there is no answer."""
    asked = test[:MOST_TEST]
    gold = [(row["answers"]["text"] or [""])[0] for row in asked]
    exact, f1 = answer_scores([_best_sentence(row) for row in asked], gold)
    return {"exact": exact, "f1": f1, "f1_no_answer": answer_scores([""] * len(asked), gold)[1]}


def _best_sentence(row: Mapping[str, Any]) -> str:
    wanted = set(units(row["question"]))
    sentences = [part for part in _SENTENCE.split(row["context"]) if part.strip()]
    return max(sentences, key=lambda part: len(wanted & set(units(part))) / (4 + len(units(part))), default="")


def entities(train: Rows, test: Rows) -> Figures:
    """Longest names of train that are names more often than not where they stand, with their most frequent kind."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for span in row["entities"]:
            kinds[row["text"][span["start"] : span["end"]]][span["label"]] += 1
    known = {name: found for name, found in kinds.items() if len(name) > 1}
    longest = max(map(len, known))
    uses: Counter[str] = Counter()
    for row in train:
        uses.update(text for _, text in _matches(row["text"], known, longest))
    names = {name: found.most_common(1)[0][0] for name, found in known.items() if 2 * found.total() > uses[name]}
    found = [{(start, start + len(text), names[text]) for start, text in _matches(row["text"], names, longest)} for row in test]
    return {"f1": span_f1(found, [{(span["start"], span["end"], span["label"]) for span in row["entities"]} for row in test])}


def _matches(text: str, names: Mapping[str, object], longest: int) -> list[tuple[int, str]]:
    """The longest names from left to right; Latin ones end with their words."""
    found, at = [], 0
    while at < len(text):
        for end in range(min(len(text), at + longest), at, -1):
            if text[at:end] in names and not _cuts(text, at) and not _cuts(text, end):
                found.append((at, text[at:end]))
                at = end - 1
                break
        at += 1
    return found


def _cuts(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum() and text[at - 1 : at + 1].isascii()


def tags(train: Rows, test: Rows) -> Figures:
    """Each word's most frequent tag (unknown words: the most frequent of words that stand once); Chinese words by the longest match."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[token][tag] += 1
    usual = {token: found.most_common(1)[0][0] for token, found in seen.items()}
    unknown = Counter(usual[token] for token, found in seen.items() if found.total() == 1).most_common(1)[0][0]
    right = [usual.get(token, unknown) == tag for row in test for token, tag in zip(row["tokens"], row["tags"], strict=True)]
    figures = {"accuracy": 100 * float(np.mean(right))}
    if any(token > "\u2e80" for token in test[0]["tokens"]):
        cut = [_spans(cut("".join(row["tokens"]), usual)) for row in test]
        figures["segmentation_f1"] = span_f1(cut, [_spans(row["tokens"]) for row in test])
    return figures


def cut(text: str, words: Mapping[str, object]) -> list[str]:
    """The longest of the words from left to right; what none begins with stands alone, a character each."""
    found, at = [], 0
    while at < len(text):
        end = next((end for end in range(min(len(text), at + 12), at + 1, -1) if text[at:end] in words), at + 1)
        found.append(text[at:end])
        at = end
    return found


def _spans(tokens: Sequence[str]) -> set[Any]:
    ends = np.cumsum([len(token) for token in tokens]).tolist()
    return set(zip([0, *ends[:-1]], ends, strict=True))


def roles(train: Rows, test: Rows) -> Figures:
    """Given predicates; ARG0 is what stands before one, ARG1 what stands behind it, to the next sign, predicate or the end."""
    found, gold = [], []
    for row in test:
        stops = {frame["predicate"] for frame in row["frames"]} | {at for at, token in enumerate(row["tokens"]) if not token[0].isalnum()}
        for frame in row["frames"]:
            at = frame["predicate"]
            left = max((stop + 1 for stop in stops if stop < at), default=0)
            right = min((stop for stop in stops if stop > at), default=len(row["tokens"]))
            found.append({(start, end, role) for start, end, role in ((left, at, "ARG0"), (at + 1, right, "ARG1")) if start < end})
            gold.append({(a["start"], a["end"], a["role"]) for a in frame["arguments"]})
    return {"f1": span_f1(found, gold)}


def meanings(train: Rows, test: Rows) -> Figures:
    """The whole meaning of the most similar sentence of train; intents by TF-IDF + logistic regression."""
    asked = test[:MOST_TEST]
    near = _nearest([row["text"] for row in train], [row["text"] for row in asked])
    exact = [(train[at]["intent"], train[at]["slots"]) == (row["intent"], row["slots"]) for at, row in zip(near, asked, strict=True)]
    found = _learn([row["text"] for row in train], [row["intent"] for row in train], [row["text"] for row in asked])
    right = [one == row["intent"] for one, row in zip(found, asked, strict=True)]
    return {"exact": 100 * float(np.mean(exact)), "intent_accuracy": 100 * float(np.mean(right))}


def queries(train: Rows, test: Rows) -> Figures:
    """The query of the most similar question of train: word for word, and by what it finds."""
    database = sqlite3.connect(":memory:")
    database.executescript(library.script(test[0]["database"].removeprefix("library-")))
    near = _nearest([row["text"] for row in train], [row["text"] for row in test])
    pairs_ = [(train[at]["sql"], row["sql"]) for at, row in zip(near, test, strict=True)]
    results = [[sorted(map(repr, database.execute(sql).fetchall())) for sql in pair] for pair in pairs_]
    database.close()
    return {
        "exact": 100 * float(np.mean([one == other for one, other in pairs_])),
        "execution": 100 * float(np.mean([one == other for one, other in results])),
    }


def characters(train: Rows, test: Rows) -> Figures:
    """Bits per character of a character model of three, smoothed by its shorter ones; and of all characters equal."""
    learn, asked = "\n".join(row["text"] for row in train)[:4_000_000], "\n".join(row["text"] for row in test)[:300_000]
    counts = [Counter(learn[at : at + n] for at in range(len(learn) - n + 1)) for n in (1, 2, 3)]
    before = [Counter({"": len(learn)}), counts[0], counts[1]]
    size = len(counts[0]) + 1
    bits = 0.0
    for at in range(2, len(asked)):
        chance = 1 / size
        for n in (1, 2, 3):
            context = asked[at - n + 1 : at]
            seen = before[n - 1][context]
            chance = (counts[n - 1][asked[at - n + 1 : at + 1]] + 5 * chance) / (seen + 5)
        bits -= float(np.log2(chance))
    return {"bits_per_character": bits / (len(asked) - 2), "characters": size}


def baseline_of(task: str, columns: Sequence[str]) -> Callable[[Rows, Rows], Figures] | None:
    """The baseline for rows of these columns."""
    by_column = {
        "entities": entities, "frames": roles, "tags": tags, "intent": meanings, "sql": queries, "answers": questions, "summary": summaries,
        "target": translation, "query": retrieval, "text_pair": pairs, "labels": several_labels, "label": classes,
    }  # fmt: skip
    found = next((by_column[column] for column in by_column if column in columns), None)
    return characters if found is None and task == "fill-mask" else found
