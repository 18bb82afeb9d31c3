"""langchain's classes for Hugging Face's clients, Cohere and Jina."""

import os

from huggingface_hub import AsyncInferenceClient, InferenceClient
from langchain_cohere import CohereRerank
from langchain_community.document_compressors import jina_rerank
from langchain_community.embeddings import jina
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEndpointEmbeddings

URL, KEY = os.environ["HANLIN_URL"], os.environ["HANLIN_KEY"]
TEXTS = ["good bad", "w9 w10 w11", "good"]
DOCUMENTS = [Document(page_content=text) for text in ("w9 w10", "good", "bad w12 w13", "w14")]
jina.JINA_API_URL = f"{URL}/v1/embeddings"  # the classes have no setting for it
jina_rerank.JINA_API_URL = f"{URL}/v1/rerank"


def near(one: list[list[float]], other: list[list[float]]) -> bool:
    return all(abs(a - b) < 1e-5 for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True))


def of_hugging_face() -> HuggingFaceEndpointEmbeddings:
    """Its `model` may be no address, its client may."""
    found = HuggingFaceEndpointEmbeddings(model="vectors", huggingfacehub_api_token=KEY, model_kwargs={"normalize": True})
    found.client = InferenceClient(model=f"{URL}/hf/vectors", token=KEY)
    found.async_client = AsyncInferenceClient(model=f"{URL}/hf/vectors", token=KEY)
    return found


def of_jina() -> list[list[float]]:
    return jina.JinaEmbeddings(jina_api_key=KEY, model_name="vectors").embed_documents(TEXTS)


def check_all_give_the_same_vectors() -> None:
    found = of_jina()
    assert [len(vector) for vector in found] == [8, 8, 8]
    assert near(found, of_hugging_face().embed_documents(TEXTS))
    assert near(found[:1], [of_hugging_face().embed_query(TEXTS[0])])


async def check_async() -> None:
    assert near(of_jina(), await of_hugging_face().aembed_documents(TEXTS))


def check_documents_are_reranked_alike() -> None:
    ranked = jina_rerank.JinaRerank(model="ranks", jina_api_key=KEY, top_n=3).compress_documents(DOCUMENTS, "good")
    texts = [document.page_content for document in ranked]
    assert len(texts) == 3
    cohere = CohereRerank(model="ranks", cohere_api_key=KEY, base_url=URL, top_n=3).compress_documents(DOCUMENTS, "good")
    assert texts == [document.page_content for document in cohere]
