"""OpenAI's client for Python: chat completions, completions and responses, whole and streamed, sync and async."""

import os

import openai

KEYS = {"base_url": f"{os.environ['HANLIN_URL']}/v1", "api_key": os.environ["HANLIN_KEY"], "max_retries": 0}
TALK = [{"role": "system", "content": "w20"}, {"role": "user", "content": "good w30 bad"}]

SHORT = [{"role": "user", "content": "w30 w31"}]  # whose answer ends by itself


def client() -> openai.OpenAI:
    return openai.OpenAI(**KEYS)


def whole(**more: object) -> str:
    return client().chat.completions.create(**{"model": "muse", "messages": TALK, **more}).choices[0].message.content


def check_a_chat_is_answered_alike_whole_and_streamed() -> None:
    answer = client().chat.completions.create(model="muse", messages=TALK, temperature=0)
    text = answer.choices[0].message.content
    assert text and answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    chunks = list(
        client().chat.completions.create(model="muse", messages=TALK, temperature=0, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage == answer.usage
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len(chunks) > 3, "in several pieces"


def check_the_helper_for_streams() -> None:
    with client().chat.completions.stream(model="muse", messages=SHORT) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(pieces) == final.choices[0].message.content == whole(messages=SHORT)


def check_several_answers_and_chances() -> None:
    answer = client().chat.completions.create(model="muse", messages=TALK, n=2, logprobs=True, top_logprobs=2)
    for choice in answer.choices:
        assert "".join(each.token for each in choice.logprobs.content) == choice.message.content
        assert all(len(each.top_logprobs) == 2 for each in choice.logprobs.content)
    streamed: dict[int, str] = {0: "", 1: ""}
    chances: dict[int, int] = {0: 0, 1: 0}
    for chunk in client().chat.completions.create(model="muse", messages=TALK, n=2, logprobs=True, stream=True):
        choice = chunk.choices[0]
        streamed[choice.index] += choice.delta.content or ""
        chances[choice.index] += len(choice.logprobs.content) if choice.logprobs else 0
    assert streamed == {choice.index: choice.message.content for choice in answer.choices}
    assert chances == {choice.index: len(choice.logprobs.content) for choice in answer.choices}


def check_words_that_end_an_answer() -> None:
    text = whole()
    stop = text.split()[2]
    answer = client().chat.completions.create(model="muse", messages=TALK, stop=stop)
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    chunks = client().chat.completions.create(model="muse", messages=TALK, stop=[stop, "none"], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text[: text.index(stop)]


def check_what_clients_send_beside_is_named_as_ignored() -> None:
    raw = client().chat.completions.with_raw_response.create(model="muse", messages=TALK, user="me", store=True, metadata={"a": "b"})
    assert raw.headers["x-hanlin-ignored"] == "user, metadata, store"


def check_completions_whole_and_streamed() -> None:
    answer = client().completions.create(model="muse", prompt=["good w30", "bad w40"], max_tokens=5, n=2, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert "".join(answer.choices[0].logprobs.tokens) == answer.choices[0].text
    streamed = ["", "", "", ""]
    for chunk in client().completions.create(model="muse", prompt=["good w30", "bad w40"], max_tokens=5, n=2, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == [choice.text for choice in answer.choices]


def check_responses_whole_and_streamed() -> None:
    answer = client().responses.create(model="muse", input=TALK)
    assert answer.usage.input_tokens == client().responses.input_tokens.count(model="muse", input=TALK).input_tokens
    assert answer.output_text == whole()
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    events = list(client().responses.create(model="muse", input=TALK, stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == answer.output_text
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == answer.output_text
    with client().responses.stream(model="muse", input=SHORT) as stream:
        assert stream.get_final_response().output_text == whole(messages=SHORT)


def check_mistakes_have_the_clients_own_classes() -> None:
    calls = [
        (lambda: whole(max_tokens=-1), openai.UnprocessableEntityError, "invalid_parameter"),
        (lambda: whole(tools=[{"type": "function", "function": {"name": "f"}}]), openai.UnprocessableEntityError, "no_tool_form"),
        (lambda: client().chat.completions.create(model="none-such", messages=TALK), openai.NotFoundError, "endpoint_not_found"),
        (lambda: client().chat.completions.create(model="none-such", messages=TALK, stream=True), openai.NotFoundError,
         "endpoint_not_found"),
        (lambda: client().responses.create(model="muse", input="x", previous_response_id="resp_1"), openai.NotFoundError, "not_found"),
        (lambda: openai.OpenAI(**KEYS | {"api_key": "wrong"}).chat.completions.create(model="muse", messages=TALK),
         openai.AuthenticationError, "unauthenticated"),
    ]  # fmt: skip
    for call, kind, code in calls:
        try:
            call()
        except kind as error:
            assert error.code == code
        else:
            raise AssertionError(code)
    try:
        client().chat.completions.create(model="muse", messages=[{"role": "user", "content": "good " * 100}])
    except openai.APIStatusError as error:
        assert (error.status_code, error.code) == (413, "text_too_long")
        assert "103 tokens" in str(error)
    else:
        raise AssertionError("too long")


async def check_async() -> None:
    async with openai.AsyncOpenAI(**KEYS) as found:
        answer = await found.chat.completions.create(model="muse", messages=TALK)
        stream = await found.chat.completions.create(model="muse", messages=TALK, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == answer.choices[0].message.content
        events = await found.responses.create(model="muse", input=TALK, stream=True)
        assert "".join([event.delta async for event in events if event.type == "response.output_text.delta"]) == whole()
