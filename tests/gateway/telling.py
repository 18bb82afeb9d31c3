"""A gateway with one more door, `/tell/{endpoint}`, whose answers come in parts: `python telling.py gateway HOME FD INDEX TALLY`.

What is accounted for is written to HOME/journal.jsonl and HOME/quota.jsonl.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from hanlin.errors import HanlinError, InvalidInput
from hanlin.gateway import doors
from hanlin.gateway.acceptor import Tally
from hanlin.gateway.app import create_app
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.ports import Limit
from hanlin.gateway.server import serve
from hanlin.observe.orphans import die_with_parent
from hanlin.serving.wire import Part
from hanlin.types import Principal

from stack import Keys, read_settings  # isort: skip - beside this file, which runs as a program


class Telling:
    """Events of rows and their JSON."""

    def __init__(self) -> None:
        self.headers = [(b"x-told-by", b"telling")]

    def begin(self) -> bytes:
        return b"data: begin\n\n"

    def part(self, part: Part) -> bytes:
        return b"data: %d %d %s\n\n" % (part.row, part.written, part.body)

    def end(self, outcome: Outcome) -> bytes:
        return b"data: %d %s\n\ndata: [DONE]\n\n" % (outcome.written, outcome.body)

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        told = json.dumps({**error.to_wire(language), "request_id": request_id})
        return b"event: error\ndata: %s\n\n" % told.encode()


def read(body: bytes, endpoint: str) -> Ask:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise InvalidInput("invalid_json", problem="no object")
    return Ask(endpoint, value["inputs"], value.get("parameters", {}), stream=Telling())


class Accounts:
    """Journal and quota at once."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def record(self, principal: Principal, endpoint: str, **told: object) -> None:
        self._add("journal", endpoint=endpoint, **told)

    def limits(self, principal: Principal, endpoint: str) -> Sequence[Limit]:
        return ()

    def reserve(self, principal: Principal, endpoint: str) -> None:
        self._add("quota", reserved=1)

    def settle(self, principal: Principal, endpoint: str, *, tokens: int, is_answered: bool) -> None:
        self._add("quota", tokens=tokens, is_answered=is_answered)

    def _add(self, name: str, **told: object) -> None:
        with (self._home / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(told) + "\n")


def main(home: Path, descriptor: int, index: int, tally: int) -> None:
    doors.ALL = (*doors.ALL, Door("/tell/{endpoint}", read=read))
    settings = read_settings(home)
    accounts = Accounts(home)
    dataplane = Dataplane(Keys(), settings=settings, index=index, quota=accounts, journal=accounts)
    sock = socket.socket(fileno=descriptor)
    serve(create_app(dataplane), sock, settings, dataplane=dataplane, tally=Tally(tally, index))


if __name__ == "__main__":
    die_with_parent()
    main(Path(sys.argv[2]), *map(int, sys.argv[3:]))
