"""huggingface_hub's client: texts and talks, whole and streamed, with and without details."""

import os

from huggingface_hub import AsyncInferenceClient, InferenceClient

KEYS = {"model": f"{os.environ['HANLIN_URL']}/hf/muse", "token": os.environ["HANLIN_KEY"]}
TALK = [{"role": "user", "content": "good w30 bad"}]


CLIENT = InferenceClient(**KEYS)  # one that is forgotten closes its streams


def check_texts_whole_and_streamed() -> None:
    text = CLIENT.text_generation("good w30 bad", max_new_tokens=6)
    assert text
    assert "".join(CLIENT.text_generation("good w30 bad", max_new_tokens=6, stream=True)) == text


def check_details_whole_and_streamed() -> None:
    answer = CLIENT.text_generation("good w30 bad w31", max_new_tokens=3, details=True, top_n_tokens=2)
    assert answer.details.finish_reason == "length"
    assert answer.details.generated_tokens == len(answer.details.tokens) == 3
    assert "".join(token.text for token in answer.details.tokens) == answer.generated_text
    events = list(CLIENT.text_generation("good w30 bad w31", max_new_tokens=3, details=True, top_n_tokens=2, stream=True))
    assert [event.token.id for event in events[:-1]] == [token.id for token in answer.details.tokens]
    assert events[-1].generated_text == answer.generated_text
    assert (events[-1].details.finish_reason, events[-1].details.generated_tokens) == ("length", 3)


def check_words_that_end_an_answer() -> None:
    text = CLIENT.text_generation("w20 w21 w22 w23")
    stop = text.split()[2]
    answer = CLIENT.text_generation("w20 w21 w22 w23", stop=[stop], details=True)
    assert answer.generated_text == text[: text.index(stop)]
    assert answer.details.finish_reason == "stop_sequence"
    assert "".join(CLIENT.text_generation("w20 w21 w22 w23", stop=[stop], stream=True)) == answer.generated_text


def check_talks_whole_and_streamed() -> None:
    answer = CLIENT.chat_completion(TALK, max_tokens=6)
    text = answer.choices[0].message.content
    assert text
    assert answer.usage.completion_tokens == 6
    chunks = list(CLIENT.chat_completion(TALK, max_tokens=6, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    named = InferenceClient(base_url=f"{os.environ['HANLIN_URL']}/v1", api_key=os.environ["HANLIN_KEY"])
    assert named.chat.completions.create(TALK, model="muse", max_tokens=6).choices[0].message.content == text


async def check_async() -> None:
    found = AsyncInferenceClient(**KEYS)
    answer = await found.text_generation("good w30 bad", max_new_tokens=6)
    assert "".join([text async for text in await found.text_generation("good w30 bad", max_new_tokens=6, stream=True)]) == answer
    chunks = await found.chat_completion(TALK, max_tokens=6, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
