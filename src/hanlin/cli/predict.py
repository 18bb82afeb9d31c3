"""`hanlin predict ENDPOINT TEXT…`: texts in, answers on the screen, and what was done to those that were too long."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli import answers
from hanlin.cli.options import EndpointName, JsonFlag, add_command, connect
from hanlin.cli.screen import SCREEN
from hanlin.cli.text_files import lines_of
from hanlin.cli.words import say
from hanlin.errors import HanlinError, InvalidInput, NotFound, Param, from_wire
from hanlin.messages import terminal_language
from hanlin.types import JsonObject, JsonValue, shorten

if TYPE_CHECKING:
    from hanlin.client import Answer, Hanlin

ITEMS_A_CALL = 64
_OPTIONS = {"query": "--query", "question": "--question", "text_pair": "--pair"}  # by what a call has of each
_NEEDED = {"--query": ("reranking",), "--question": ("question-answering",), "--pair": ("text-classification", "sentiment")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "predict", predict, "help.predict")


def predict(  # noqa: PLR0917  # Typer passes them by name
    endpoint: EndpointName,
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT…", help=say("option.texts"))] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help=say("option.predict_file"))] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help=say("option.encoding"))] = None,
    query: Annotated[str | None, typer.Option("--query", help=say("option.query"))] = None,
    question: Annotated[str | None, typer.Option("--question", help=say("option.question"))] = None,
    pair: Annotated[str | None, typer.Option("--pair", help=say("option.pair"))] = None,
    documents: Annotated[bool, typer.Option("--documents", help=say("option.documents"))] = False,
    top_k: Annotated[int | None, typer.Option("--top-k", help=say("option.top_k"), min=1)] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help=say("option.truncate"))] = False,
    window: Annotated[bool, typer.Option("--window", help=say("option.window"))] = False,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help=say("option.parameter"))] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.predict`."""
    if truncate and window:
        raise InvalidInput("truncate_and_window")
    if sum(option is not None for option in (query, question, pair)) > 1:
        raise InvalidInput("query_and_question")
    if documents and question is None:
        raise InvalidInput("documents_without_question")
    wanted = [*(texts or []), *(lines_of(file, encoding or "") if file else [])]
    if not wanted:
        raise InvalidInput("nothing_to_predict")
    parameters = dict(map(_parameter, parameter or ()))
    if top_k is not None:
        parameters["top_k"] = top_k
    if truncate or window:
        parameters["long_text"] = "window" if window else "truncate"
    with connect() as hanlin:
        whole: JsonObject | None = None
        if query is not None:
            whole = {"query": query, "texts": [*wanted]}
        elif documents:
            whole = {"question": question, "documents": [*wanted]}
        found = _ask(hanlin, endpoint, [_item(text, question, pair) for text in wanted], whole, parameters)
    if not json:
        answers.show([question or ""] if documents else wanted, found, is_ranking=query is not None)
    else:
        SCREEN.document(found[0] if len(wanted) == 1 and file is None and query is None else found)


def _item(text: str, question: str | None, pair: str | None) -> JsonValue:
    """What is asked of one text."""
    if question is not None:
        return {"question": question, "context": text}
    return text if pair is None else {"text": text, "text_pair": pair}


def _ask(hanlin: Hanlin, endpoint: str, texts: list[JsonValue], whole: JsonObject | None, parameters: JsonObject) -> list[JsonValue]:
    """One answer a text, with a bar where there are many; `whole` is one call, because its texts are held against each other."""
    try:
        if whole is not None:
            return _rows(hanlin.ask(endpoint, whole, **parameters).value)
        if len(texts) <= ITEMS_A_CALL:
            answer = hanlin.ask(endpoint, list(texts), **parameters)
            _tell_long(answer, 0)
            return _rows(answer.value)
        return _ask_many(hanlin, endpoint, texts, parameters)
    except InvalidInput as error:
        if isinstance(first := whole or texts[0], dict):
            _check_option(hanlin, endpoint, next(option for key, option in _OPTIONS.items() if key in first))
        raise _in_our_words(error, parameters.get("long_text")) from error
    except NotFound as error:
        raise _with_deploy(hanlin, error, endpoint) from error


def _ask_many(hanlin: Hanlin, endpoint: str, texts: list[JsonValue], parameters: JsonObject) -> list[JsonValue]:
    """Many requests at once, as many as the server takes."""
    from hanlin.client import Ask

    found: list[JsonValue] = []
    for start, answer in enumerate(hanlin.map(endpoint, texts, Ask(parameters), progress=sys.stderr.isatty())):
        _tell_long(answer, start)
        found.append(answer.value)
    return found


def _check_option(hanlin: Hanlin, endpoint: str, option: str) -> None:
    """Raises InvalidInput (`option_of_another_task`) where the endpoint's task is not the one that `option` is for."""
    needed = _NEEDED[option]
    try:
        task = hanlin.describe(endpoint).task
    except HanlinError:  # the refusal itself is told then
        return
    if task and task not in needed:
        raise InvalidInput("option_of_another_task", option=option, needed=" | ".join(needed), endpoint=endpoint, task=task)


def _with_deploy(hanlin: Hanlin, error: NotFound, name: str) -> HanlinError:
    """The refusal, with the command that makes the endpoint where there is a model of its name that the key may see."""
    if error.code != "endpoint_not_found":
        return error
    try:
        hanlin.models.get(name)
    except HanlinError:
        return error
    return _received(error.to_wire(terminal_language()) | {"next": say("predict.deploy_first", name=name)}, error)


def _parameter(text: str) -> tuple[str, JsonValue]:
    """`name=value`: JSON where the value is JSON, else a string. Raises InvalidInput (`invalid_option_pair`)."""
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise InvalidInput("invalid_option_pair", value=shorten(text))
    try:
        return name, json_module.loads(value)
    except ValueError:
        return name, value


def _tell_long(answer: Answer, start: int) -> None:
    """What was done to texts that were too long; `start` is the number of the first text of this call."""
    for index in answer.truncated:
        SCREEN.note(say("predict.truncated", number=start + index + 1))
    for index, count in answer.windows.items():
        SCREEN.note(say("predict.windows", number=start + index + 1, windows=count))


def _in_our_words(error: InvalidInput, long_text: JsonValue) -> HanlinError:
    """The refusal with the text's number as people count, and its next step as one takes it here and not in a request of one's own."""
    index = error.params.get("index")
    if not isinstance(index, int):
        return error
    wire = error.to_wire(terminal_language()) | {"index": index}
    for before, after in (("text ", " "), ("第 ", " 条")):
        wire["message"] = str(wire["message"]).replace(f"{before}{index}{after}", f"{before}{index + 1}{after}", 1)
    if error.code == "text_too_long":
        wire["next"] = say(
            {"window": "predict.too_long_for_windows", "truncate": "predict.too_big"}.get(str(long_text), "predict.too_long")
        )
    return _received(wire, error)


def _received(wire: dict[str, Param], error: HanlinError) -> HanlinError:
    """The error of `wire`, with what the first one knew beside it."""
    found = from_wire(wire)
    found.params = error.params | found.params
    return found


def _rows(answer: JsonValue) -> list[JsonValue]:
    return answer if isinstance(answer, list) else [answer]
