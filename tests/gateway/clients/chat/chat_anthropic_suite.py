"""Anthropic's client for Python: messages, whole and streamed, sync and async, and how many tokens they have."""

import os

import anthropic

KEYS = {"base_url": os.environ["HANLIN_URL"], "api_key": os.environ["HANLIN_KEY"], "max_retries": 0}
TALK = {"model": "muse", "system": "w20", "messages": [{"role": "user", "content": "good w30 bad"}]}


def client() -> anthropic.Anthropic:
    return anthropic.Anthropic(**KEYS)


def check_a_message_is_answered_alike_whole_and_streamed() -> None:
    answer = client().messages.create(max_tokens=6, **TALK)
    text = answer.content[0].text
    assert text and (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 6)
    with client().messages.stream(max_tokens=6, **TALK) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == final.content[0].text == text
    assert pieces, "in pieces; how many is a matter of time"
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == (
        answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens,
    )  # fmt: skip
    events = [event.type for event in client().messages.create(max_tokens=6, stream=True, **TALK)]
    assert events[:2] == ["message_start", "content_block_start"]
    assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def check_words_that_end_an_answer() -> None:
    text = client().messages.create(max_tokens=6, **TALK).content[0].text
    stop = text.split()[2]
    answer = client().messages.create(max_tokens=6, stop_sequences=[stop], **TALK)
    assert (answer.content[0].text, answer.stop_reason, answer.stop_sequence) == (text[: text.index(stop)], "stop_sequence", stop)


def check_blocks_of_text_and_tokens() -> None:
    blocks = TALK | {"messages": [{"role": "user", "content": [{"type": "text", "text": "good w30 bad"}]}]}
    counted = client().messages.count_tokens(**blocks).input_tokens
    assert counted == client().messages.create(max_tokens=4, **blocks).usage.input_tokens


def check_a_key_as_a_token() -> None:
    found = anthropic.Anthropic(**KEYS | {"api_key": None, "auth_token": os.environ["HANLIN_KEY"]})
    assert found.messages.create(max_tokens=4, **TALK).content[0].text


def check_mistakes_have_the_clients_own_classes() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    calls = [
        (lambda: client().messages.create(max_tokens=4, **TALK | {"model": "none-such"}), anthropic.NotFoundError, "endpoint_not_found"),
        (lambda: client().messages.create(max_tokens=0, **TALK), anthropic.UnprocessableEntityError, "invalid_parameter"),
        (lambda: client().messages.create(max_tokens=4, tools=[tool], **TALK), anthropic.UnprocessableEntityError, "no_tool_form"),
        (lambda: anthropic.Anthropic(**KEYS | {"api_key": "x"}).messages.create(max_tokens=4, **TALK), anthropic.AuthenticationError,
         "unauthenticated"),
    ]  # fmt: skip
    for call, kind, code in calls:
        try:
            call()
        except kind as error:
            assert error.body["error"]["code"] == code
        else:
            raise AssertionError(code)


async def check_async() -> None:
    async with anthropic.AsyncAnthropic(**KEYS) as found:
        answer = await found.messages.create(max_tokens=6, **TALK)
        async with found.messages.stream(max_tokens=6, **TALK) as stream:
            assert "".join([text async for text in stream.text_stream]) == answer.content[0].text
