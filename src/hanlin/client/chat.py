"""Models that talk: what `Hanlin` and `AsyncHanlin` have for chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

from pydantic import JsonValue

from hanlin.client import chat_calls as calls
from hanlin.client.chat_calls import Talk
from hanlin.client.core import AsyncCore, Core
from hanlin.client.values_chat import ChatAnswer, ChatPiece


class Chat:
    """Blocking calls. `parameters` are those of OpenAI's chat completions: `max_tokens`, `temperature`, `seed`, `response_format`, …"""

    _core: Core

    def chat(self, endpoint: str, messages: Talk, *, system: str | None = None, **parameters: JsonValue) -> ChatAnswer:
        """What the model answers.

        Args:
            messages: what the user says, or the whole talk: `{"role", "content"}` each.
            system: how the model shall be; stands before the messages.
        """
        return self._core.call(calls.chat(endpoint, calls.messages_of(messages, system), parameters))

    def chat_stream(
        self, endpoint: str, messages: Talk, *, system: str | None = None, **parameters: JsonValue
    ) -> Generator[ChatPiece, None, ChatAnswer]:
        """The answer piece by piece, as it is written; the generator returns the whole. Closing it early ends the writing.

        Raises:
            NotReady: `connection_cut` when the stream breaks; it is not begun again.
        """
        flow = calls.chat_stream(endpoint, calls.messages_of(messages, system), parameters, self._core.policy)
        return self._core.driver.stream(flow, ChatPiece)


class AsyncChat:
    """The same with `await` and `async for`."""

    _core: AsyncCore

    async def chat(self, endpoint: str, messages: Talk, *, system: str | None = None, **parameters: JsonValue) -> ChatAnswer:
        """What the model answers."""
        return await self._core.call(calls.chat(endpoint, calls.messages_of(messages, system), parameters))

    def chat_stream(
        self, endpoint: str, messages: Talk, *, system: str | None = None, **parameters: JsonValue
    ) -> AsyncGenerator[ChatPiece, None]:
        """The answer piece by piece, as it is written. Closing the generator early ends the writing."""
        flow = calls.chat_stream(endpoint, calls.messages_of(messages, system), parameters, self._core.policy)
        return self._core.driver.stream(flow, ChatPiece)
