"""langchain's chat model for OpenAI's API."""

import os

from langchain_openai import ChatOpenAI

TALK = [("system", "w20"), ("human", "good w30 bad")]


def model(**options: object) -> ChatOpenAI:
    return ChatOpenAI(model="muse", base_url=f"{os.environ['HANLIN_URL']}/v1", api_key=os.environ["HANLIN_KEY"], **options)


def check_a_chat_is_answered_alike_whole_and_streamed() -> None:
    answer = model(temperature=0).invoke(TALK)
    assert answer.content
    chunks = list(model(temperature=0, stream_usage=True).stream(TALK))
    assert "".join(chunk.content for chunk in chunks) == answer.content
    used = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert used[-1]["total_tokens"] == answer.usage_metadata["total_tokens"]


def check_words_that_end_an_answer() -> None:
    text = model().invoke(TALK).content
    stop = text.split()[2]
    assert model().invoke(TALK, stop=[stop]).content == text[: text.index(stop)]


async def check_async() -> None:
    answer = await model().ainvoke(TALK)
    assert "".join([chunk.content async for chunk in model().astream(TALK)]) == answer.content
    batch = await model().abatch([TALK, [("human", "w40 w41")]])
    assert batch[0].content == answer.content
