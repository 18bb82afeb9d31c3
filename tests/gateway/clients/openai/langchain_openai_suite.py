"""langchain's class for OpenAI's embeddings."""

import os

from langchain_openai import OpenAIEmbeddings

TEXTS = ["good bad", "w9 w10 w11", "good"]


def embeddings(**options: object) -> OpenAIEmbeddings:
    url, key = os.environ["HANLIN_URL"], os.environ["HANLIN_KEY"]
    return OpenAIEmbeddings(model="vectors", base_url=f"{url}/v1", api_key=key, check_embedding_ctx_length=False, **options)


def length(vector: list[float]) -> float:
    return sum(value * value for value in vector) ** 0.5


def check_documents_and_queries_become_vectors() -> None:
    found = embeddings().embed_documents(TEXTS)
    assert [len(vector) for vector in found] == [8, 8, 8]
    assert all(abs(length(vector) - 1) < 1e-5 for vector in found)
    assert found[2] == embeddings().embed_query(TEXTS[2])
    assert found[0] != found[1]


def check_dimensions_are_taken() -> None:
    assert [len(vector) for vector in embeddings(dimensions=3).embed_documents(TEXTS)] == [3, 3, 3]


def check_long_lists_are_sent_in_parts() -> None:
    many = [f"w{number}" for number in range(9, 109)]
    found = embeddings(chunk_size=32).embed_documents(many)
    assert len(found) == 100
    assert found[42] == embeddings().embed_query(many[42])


async def check_async() -> None:
    found = await embeddings().aembed_documents(TEXTS)
    assert found == embeddings().embed_documents(TEXTS)
