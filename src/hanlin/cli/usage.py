"""What the parser of the command line finds wrong, as our own errors: in the language in force, with a next step, as JSON under `--json`.

The parser tells its faults apart by class; those classes are not public names of Typer, so they are known here by their names.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import get_args

import typer
from typer.main import get_command

from hanlin.errors import InvalidInput
from hanlin.types import shorten

Fault: type[Exception] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
_QUOTED = re.compile(r"'([^']*)'")
_EXTRA = re.compile(r"extra argument(?:\(s\)|s)? \((.*)\)")


def is_help(fault: Exception) -> bool:
    """Whether a group was named without a command: its help is the answer."""
    return type(fault).__name__ == "NoArgsIsHelpError"


def translate(fault: Exception, app: typer.Typer, arguments: Sequence[str]) -> InvalidInput:
    """The fault as an error of ours."""
    command = _command_of(app, arguments)
    kind, message = type(fault).__name__, str(getattr(fault, "message", ""))
    option = str(getattr(fault, "option_name", ""))
    if kind == "NoSuchOption":
        if near := sorted(getattr(fault, "possibilities", None) or ()):
            return InvalidInput("no_such_option", option=shorten(option), near=", ".join(near), command=command)
        return InvalidInput("option_unknown", option=shorten(option), command=command)
    if kind == "BadOptionUsage":
        return InvalidInput("flag_with_value" if "does not take" in message else "option_without_value", option=option, command=command)
    if kind == "MissingParameter":
        return InvalidInput("parameter_missing", name=_name_of(fault), command=command)
    return _bad_value(fault, message, command) if kind == "BadParameter" else _bad_words(app, message, command)


def _bad_words(app: typer.Typer, message: str, command: str) -> InvalidInput:
    """Words too many, too few, or that are no command."""
    if found := _EXTRA.search(message):
        return InvalidInput("extra_arguments", text=shorten(found.group(1), 200), command=command)
    if message.startswith("No such command"):
        name, *near = _QUOTED.findall(message) or ["?"]
        near = [*_of_groups(app, name), *near] if command == "hanlin" else near
        if near:
            return InvalidInput("no_such_command", name=shorten(name), near=", ".join(near), command=command)
        return InvalidInput("command_unknown", name=shorten(name), command=command)
    if message.startswith("Missing command"):
        return InvalidInput("command_missing", command=command)
    return InvalidInput("usage_wrong", problem=shorten(message, 200), command=command)


def _of_groups(app: typer.Typer, name: str) -> list[str]:
    """The commands of groups that are called `name`, such as `model import`."""
    groups = getattr(get_command(app), "commands", {})
    return [f"{group} {name}" for group, command in groups.items() if name in getattr(command, "commands", {})]


def _bad_value(fault: Exception, message: str, command: str) -> InvalidInput:
    """A value of the wrong type, out of range, or not among the choices."""
    descriptor = getattr(getattr(fault, "param", None), "type_descriptor", None)
    annotation, info = getattr(descriptor, "annotation", None), getattr(descriptor, "parameter_info", None)
    name, value = _name_of(fault), _value_of(fault)
    if choice := _enum_of(annotation):
        choices = ", ".join(str(item.value) for item in choice)
        return InvalidInput("value_not_a_choice", name=name, value=value, choices=choices, command=command)
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    if " than or equal to " in message:
        limits = f"{low:g} … {high:g}" if low is not None and high is not None else f"≥ {low:g}" if low is not None else f"≤ {high:g}"
        return InvalidInput("value_out_of_range", name=name, value=value, limits=limits, command=command)
    if annotation in {int, float}:
        return InvalidInput("value_not_whole" if annotation is int else "value_not_a_number", name=name, value=value, command=command)
    return InvalidInput("value_wrong", name=name, value=value, problem=shorten(message.removeprefix("Value error, "), 200), command=command)


def _enum_of(annotation: object) -> type[enum.Enum] | None:
    """The choices of an option, also of one that may be repeated."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return annotation
    return next(filter(None, map(_enum_of, get_args(annotation))), None)


def _name_of(fault: Exception) -> str:
    """`--option`, or ARGUMENT as the help shows it."""
    param = getattr(fault, "param", None)
    name = str(getattr(param, "name", "") or "?")
    if getattr(param, "param_type_name", "") == "argument":
        return str(getattr(param, "metavar", None) or name.upper())
    return str(next(iter(getattr(param, "opts", [])), f"--{name}"))


def _value_of(fault: Exception) -> str:
    """What was given, as the cause of the fault knows it."""
    errors = getattr(fault.__cause__, "errors", None)
    found = errors() if callable(errors) else []
    return shorten(str(found[0].get("input", "?"))) if found else "?"


def _command_of(app: typer.Typer, arguments: Sequence[str]) -> str:
    """The command that was meant, such as `hanlin job list`, as far as its words are right."""
    words, command = ["hanlin"], get_command(app)
    for word in arguments:
        found = getattr(command, "commands", {}).get(word)
        if found is None:
            break
        words.append(word)
        command = found
    return " ".join(words)
