"""Every way to ask for an answer, one for each form of each door: what the tests of one contract behind all doors go through."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import numpy as np
from tests.gateway.oip_ways import (
    ALL_TAGS,
    BINARY,
    ROLES_TAGS,
    by_name,
    of_contexts,
    of_ranking,
    of_texts,
    proposed,
    proposed_of_tensors,
    scores_by_label,
    scores_by_place,
    spans,
    spans_of_tensors,
    told,
    told_of_tensors,
)

from hanlin.tasks.predicates import PredicateFinder
from hanlin.tasks.senses import PredicateSenses

QUERY = "good w20"
FINDER = PredicateFinder(frozenset({"wrote", "is", "was", *(f"w{number}" for number in range(9, 15))}))
SENSES = PredicateSenses({"w9": "w.02"}, "01")


@dataclass(frozen=True)
class Through:
    """One way to ask: where, how texts become a body, how an answer becomes numbers in the order of the texts."""

    name: str
    task: str
    path: str
    wrap: Callable[[object], dict[str, object]]
    numbers: Callable[[object], list[list[float]]]
    is_in_body: bool = False  # the endpoint
    is_nameless: bool = False  # no endpoint is said anywhere
    read: Callable[[httpx.Response], object] = httpx.Response.json  # of an answer that is more than JSON

    def ask(self, client: httpx.Client, inputs: object, *, endpoint: str = "", **options: object) -> httpx.Response:
        """A call; the answer as it comes."""
        return client.post(self.where(endpoint), json=self.body(inputs, endpoint), **options)  # type: ignore[arg-type]

    def where(self, endpoint: str = "") -> str:
        """The path."""
        return self.path.format(endpoint=endpoint or ALL_ENDPOINTS[self.task])

    def body(self, inputs: object, endpoint: str = "") -> dict[str, object]:
        """What is sent; the texts' field first."""
        return self.wrap(inputs) | ({"model": endpoint or ALL_ENDPOINTS[self.task]} if self.is_in_body else {})


ENDPOINTS = {
    "text-classification": "sentiment", "embedding": "vectors", "reranking": "ranks", "token-classification": "tags",
    "semantic-role-labelling": "roles",
}  # fmt: skip
MORE_ENDPOINTS = {
    "sentiment": "mood", "question-answering": "answers", "fill-mask": "blanks", "translation": "tongue", "summarization": "gist",
    "text-generation": "muse", "semantic-parsing": "meanings", "text-to-sql": "queries",
}  # fmt: skip
ALL_ENDPOINTS = ENDPOINTS | MORE_ENDPOINTS


def labels(answer: object) -> list[list[float]]:
    """Scores by label."""
    return [[item["score"] for item in sorted(row, key=lambda item: item["label"])] for row in answer]  # type: ignore[attr-defined]


def places(key: str, within: str = "") -> Callable[[object], list[list[float]]]:
    """Scores by place, and the order itself."""

    def read(answer: object) -> list[list[float]]:
        ranked = answer[within] if within else answer  # type: ignore[index]
        scores = {item["index"]: item[key] for item in ranked}
        return [[scores[index], [item["index"] for item in ranked].index(index)] for index in range(len(scores))]

    return read


def unpacked(answer: object) -> list[list[float]]:
    return [np.frombuffer(base64.b64decode(item["embedding"]), "<f4").tolist() for item in answer["data"]]  # type: ignore[index]


def pooled(answer: object) -> list[list[float]]:
    """The texts' own vectors out of those of their tokens: their mean, of length 1."""
    means = [np.mean(np.array(tokens), axis=0) for tokens in answer]  # type: ignore[attr-defined]
    return [(mean / np.linalg.norm(mean)).tolist() for mean in means]


def sequences(inputs: object) -> object:
    return [[item] if isinstance(item, str) else item for item in inputs] if isinstance(inputs, list) else inputs


OIP = "/v2/models/{endpoint}/infer"
UNIT = {"normalize": True}
WAYS = (
    Through("task", "text-classification", "/models/{endpoint}", lambda x: {"inputs": x}, labels),
    Through("tei", "text-classification", "/tei/{endpoint}/predict", lambda x: {"inputs": sequences(x)}, labels),
    Through("tei-root", "text-classification", "/predict", lambda x: {"inputs": sequences(x)}, labels, is_nameless=True),
    Through("moderation", "text-classification", "/v1/moderations", lambda x: {"input": x},
            lambda answer: [[row["category_scores"][label] for label in sorted(row["category_scores"])] for row in answer["results"]],
            is_nameless=True),
    Through("hf", "text-classification", "/hf/{endpoint}", lambda x: {"inputs": x}, labels),
    Through("task", "embedding", "/models/{endpoint}", lambda x: {"inputs": x, "parameters": {"normalize": True}}, lambda answer: answer),
    Through("openai", "embedding", "/v1/embeddings", lambda x: {"input": x},
            lambda answer: [item["embedding"] for item in answer["data"]], is_in_body=True),
    Through("openai-base64", "embedding", "/v1/embeddings", lambda x: {"input": x, "encoding_format": "base64"}, unpacked, is_in_body=True),
    Through("hf", "embedding", "/hf/{endpoint}", lambda x: {"inputs": x, "normalize": True}, lambda answer: answer),
    Through("tei", "embedding", "/tei/{endpoint}/embed", lambda x: {"inputs": x}, lambda answer: answer),
    Through("tei-root", "embedding", "/embed", lambda x: {"inputs": x}, lambda answer: answer, is_nameless=True),
    Through("tei-tokens", "embedding", "/tei/{endpoint}/embed_all", lambda x: {"inputs": x}, pooled),
    Through("tei-tokens-root", "embedding", "/embed_all", lambda x: {"inputs": x}, pooled, is_nameless=True),
    Through("task", "reranking", "/models/{endpoint}", lambda x: {"inputs": {"query": QUERY, "texts": x}}, places("score")),
    Through("hf", "reranking", "/hf/{endpoint}", lambda x: {"inputs": {"query": QUERY, "texts": x}}, places("score")),
    Through("cohere-v2", "reranking", "/v2/rerank", lambda x: {"documents": x, "query": QUERY}, places("relevance_score", "results"),
            is_in_body=True),
    Through("cohere-v1-jina", "reranking", "/v1/rerank", lambda x: {"documents": x, "query": QUERY},
            places("relevance_score", "results"), is_in_body=True),
    Through("tei", "reranking", "/tei/{endpoint}/rerank", lambda x: {"texts": x, "query": QUERY}, places("score")),
    Through("tei-root", "reranking", "/rerank", lambda x: {"texts": x, "query": QUERY}, places("score"), is_nameless=True),
    Through("plain", "reranking", "/rerank", lambda x: {"documents": x, "query": QUERY},
            places("relevance_score", "results"), is_in_body=True),
    Through("task", "token-classification", "/models/{endpoint}", lambda x: {"inputs": x, "parameters": ALL_TAGS}, spans),
    Through("hf", "token-classification", "/hf/{endpoint}", lambda x: {"inputs": x, "parameters": ALL_TAGS}, spans),
    Through("task", "semantic-role-labelling", "/models/{endpoint}", lambda x: {"inputs": x, "parameters": ROLES_TAGS}, proposed),
    Through("hf", "semantic-role-labelling", "/hf/{endpoint}", lambda x: {"inputs": x, "parameters": ROLES_TAGS}, proposed),
    Through("oip", "semantic-role-labelling", OIP, lambda x: of_texts(x, **ROLES_TAGS), proposed_of_tensors, read=by_name),
    Through("oip-binary", "semantic-role-labelling", OIP, lambda x: of_texts(x, **BINARY, **ROLES_TAGS), proposed_of_tensors, read=by_name),
    Through("oip", "text-classification", OIP, of_texts, scores_by_label, read=by_name),
    Through("oip-binary", "text-classification", OIP, lambda x: of_texts(x, **BINARY), scores_by_label, read=by_name),
    Through("oip", "embedding", OIP, lambda x: of_texts(x, **UNIT), lambda made: made["embedding"], read=by_name),
    Through("oip-binary", "embedding", OIP, lambda x: of_texts(x, **BINARY, **UNIT), lambda made: made["embedding"], read=by_name),
    Through("oip", "reranking", OIP, lambda x: of_ranking(QUERY, x), scores_by_place, read=by_name),
    Through("oip-binary", "reranking", OIP, lambda x: of_ranking(QUERY, x, **BINARY), scores_by_place, read=by_name),
    Through("oip", "token-classification", OIP, lambda x: of_texts(x, **ALL_TAGS), spans_of_tensors, read=by_name),
    Through("oip-binary", "token-classification", OIP, lambda x: of_texts(x, **BINARY, **ALL_TAGS), spans_of_tensors, read=by_name),
)  # fmt: skip


def plain(inputs: object, **_: object) -> object:
    return inputs


def asked(inputs: object, **_: object) -> object:
    return [{"question": QUERY, "context": item} for item in inputs] if isinstance(inputs, list) else inputs


def masked(inputs: object) -> object:
    return [f"[MASK] {item}" if isinstance(item, str) and item.strip() else item for item in inputs] if isinstance(inputs, list) else inputs


LABELS = {"candidate_labels": ["w20", "w30"]}


def written(answer: object) -> list[list[float]]:
    """As `told`, of the text alone: OpenAI's door counts its tokens for all texts together."""
    return told([{"text": row["generated_text"]} for row in answer])  # type: ignore[attr-defined]


def ways_of(task: str, wrap: Callable[[object], object] = plain, name: str = "", **parameters: object) -> tuple[Through, ...]:
    """The doors that every task has; `name` tells what is asked where a task is asked in several ways."""
    tensors = (
        (lambda x, **more: of_contexts(QUERY, x, **more)) if task == "question-answering" else lambda x, **more: of_texts(wrap(x), **more)
    )
    scored = task == "sentiment" or bool(parameters)
    read, of_outputs = (labels, scores_by_label) if scored else (told, told_of_tensors)
    if task == "text-generation":
        read, of_outputs = written, lambda outputs: written(json.loads(outputs["json"][0]))
    return (
        Through(f"task{name}", task, "/models/{endpoint}", lambda x: {"inputs": wrap(x), "parameters": parameters}, read),
        Through(f"hf{name}", task, "/hf/{endpoint}", lambda x: {"inputs": wrap(x), "parameters": parameters}, read),
        Through(f"oip{name}", task, OIP, lambda x: tensors(x, **parameters), of_outputs, read=by_name),
        Through(f"oip-binary{name}", task, OIP, lambda x: tensors(x, **BINARY, **parameters), of_outputs, read=by_name),
    )


def completed(answer: object) -> list[list[float]]:
    """As `written`."""
    return told([{"text": choice["text"]} for choice in answer["choices"]])  # type: ignore[index]


MORE_WAYS = (
    *(way for task in MORE_ENDPOINTS if task not in {"question-answering", "fill-mask"} for way in ways_of(task)),
    *ways_of("question-answering", asked),
    *ways_of("fill-mask", masked),
    *ways_of("embedding", name="-zero-shot", **LABELS),
    Through("completions", "text-generation", "/v1/completions", lambda x: {"prompt": x, "max_tokens": 8}, completed, is_in_body=True),
)


def of_talk(inputs: object, **more: object) -> dict[str, object]:
    said = " ".join(inputs) if isinstance(inputs, list) and all(isinstance(item, str) for item in inputs) else inputs
    return {"messages": [{"role": "user", "content": said}], **more}


def of_choice(answer: object) -> list[list[float]]:
    return told([{"text": answer["choices"][0]["message"]["content"]}])  # type: ignore[index]


# Doors of talks: a call asks for one answer.
TALKS = (
    Through("task", "text-generation", "/models/{endpoint}", lambda x: {"inputs": of_talk(x)}, lambda answer: written([answer])),
    Through("chat", "text-generation", "/v1/chat/completions", of_talk, of_choice, is_in_body=True),
    Through("hf-chat", "text-generation", "/hf/{endpoint}/v1/chat/completions", of_talk, of_choice),
    Through("model-chat", "text-generation", "/models/{endpoint}/v1/chat/completions", of_talk, of_choice),
    Through("messages", "text-generation", "/v1/messages", lambda x: of_talk(x, max_tokens=8),
            lambda answer: told([{"text": answer["content"][0]["text"]}]), is_in_body=True),
    Through("responses", "text-generation", "/v1/responses", lambda x: {"input": of_talk(x)["messages"]},
            lambda answer: told([{"text": answer["output"][0]["content"][0]["text"]}]), is_in_body=True),
    Through("count", "text-generation", "/v1/messages/count_tokens", of_talk, lambda answer: [[answer["input_tokens"]]], is_in_body=True),
    Through("count-response", "text-generation", "/v1/responses/input_tokens", lambda x: {"input": of_talk(x)["messages"]},
            lambda answer: [[answer["input_tokens"]]], is_in_body=True),
)  # fmt: skip
