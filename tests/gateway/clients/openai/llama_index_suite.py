"""llama-index's classes for OpenAI's embeddings and for text-embeddings-inference."""

import os

from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

URL, KEY = os.environ["HANLIN_URL"], os.environ["HANLIN_KEY"]
TEXTS = ["good bad", "w9 w10 w11", "good"]


def of_openai() -> OpenAIEmbedding:
    return OpenAIEmbedding(model_name="vectors", api_base=f"{URL}/v1", api_key=KEY, embed_batch_size=2)


def of_tei() -> TextEmbeddingsInference:
    return TextEmbeddingsInference(model_name="vectors", base_url=f"{URL}/tei/vectors", auth_token=KEY, embed_batch_size=2)


def near(one: list[list[float]], other: list[list[float]]) -> bool:
    return all(abs(a - b) < 1e-5 for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True))


def check_both_give_the_same_vectors() -> None:
    found = of_openai().get_text_embedding_batch(TEXTS)
    assert [len(vector) for vector in found] == [8, 8, 8]
    assert near(found, of_tei().get_text_embedding_batch(TEXTS))
    assert near([of_openai().get_query_embedding("good")], found[2:])


async def check_async() -> None:
    found = await of_openai().aget_text_embedding_batch(TEXTS)
    assert near(found, await of_tei().aget_text_embedding_batch(TEXTS))
