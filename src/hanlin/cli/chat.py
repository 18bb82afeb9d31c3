"""`hanlin chat ENDPOINT [TEXT]`: a talk with a model, its answers as they are written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli.options import EndpointName, JsonFlag, add_command, connect, named_values
from hanlin.cli.screen import SCREEN, clean
from hanlin.cli.text_files import STDIN, text_of
from hanlin.cli.words import say
from hanlin.errors import HanlinError, InvalidInput
from hanlin.messages import terminal_language
from hanlin.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from hanlin.client import ChatAnswer, Hanlin

PAIR = "NAME=VALUE"
ANSWER_S = 600.0  # a processor writes long answers slowly
_AGAIN, _END = "/new", "/exit"


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "chat", chat, "help.chat")


def chat(  # noqa: PLR0917  # Typer passes them by name
    endpoint: EndpointName,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help=say("option.chat_text"))] = None,
    system: Annotated[str | None, typer.Option("--system", help=say("option.chat_system"))] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help=say("option.chat_max_tokens"), min=1)] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help=say("option.chat_temperature"), min=0.0, max=2.0)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help=say("option.chat_seed"), min=0)] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help=say("option.chat_parameter"))
    ] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.chat`."""
    parameters: JsonObject = named_values(parameter or [])
    said = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    parameters |= {name: value for name, value in said.items() if value is not None}
    if text is None and not sys.stdin.isatty():
        text = text_of(STDIN).strip()
    if text is not None and not text.strip():
        raise InvalidInput("nothing_to_say")
    if text is None and json:
        raise InvalidInput("json_needs_text")
    with connect(ANSWER_S) as hanlin:
        talk = _Talk(hanlin, endpoint, system, parameters)
        if text is None:
            _converse(talk)
        elif json:
            SCREEN.document(hanlin.chat(endpoint, text, system=system, **parameters).model_dump())
        else:
            talk.say(text)


class _Talk:
    """What has been said so far."""

    def __init__(self, hanlin: Hanlin, endpoint: str, system: str | None, parameters: JsonObject) -> None:
        self._hanlin = hanlin
        self._endpoint = endpoint
        self._system = system
        self._parameters = parameters
        self._messages: list[dict[str, JsonValue]] = []

    def say(self, text: str) -> None:
        """Write the answer as it comes. What failed or was broken off has not been said. Raises HanlinError."""
        asked: list[dict[str, JsonValue]] = [*self._messages, {"role": "user", "content": text}]
        stream = self._hanlin.chat_stream(self._endpoint, asked, system=self._system, **self._parameters)
        answer: ChatAnswer | None = None
        try:
            while answer is None:
                try:
                    print(clean(next(stream).text), end="", flush=True)
                except StopIteration as ended:
                    answer = ended.value
        finally:
            stream.close()
            print(flush=True)
        self._messages = [*asked, {"role": "assistant", "content": answer.text}]
        if answer.finish_reason == "length":
            SCREEN.note(say("chat.cut", tokens=answer.num_written))

    def begin_again(self) -> None:
        """Forget all."""
        self._messages = []


def _converse(talk: _Talk) -> None:
    """Line by line, until the end of input."""
    SCREEN.note(say("chat.how", again=_AGAIN, end=_END))
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if line == _END:
            return
        if line == _AGAIN:
            talk.begin_again()
        elif line:
            _answer(talk, line)


def _answer(talk: _Talk, line: str) -> None:
    """One turn; an error ends the turn alone, and so does Ctrl-C."""
    try:
        talk.say(line)
    except KeyboardInterrupt:
        SCREEN.note(say("chat.stopped"))
    except HanlinError as error:
        language = terminal_language()
        for told in filter(None, (error.text(language), error.advice(language))):
            SCREEN.note(told)
