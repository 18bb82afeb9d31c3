"""What `hanlin doctor` finds of the database, whichever it is: whether it can be read, and how far its tables are. Changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hanlin.cli.finding import Finding
from hanlin.cli.words import say
from hanlin.errors import HanlinError
from hanlin.messages import terminal_language
from hanlin.storage.migrations import HEAD, REVISIONS

CONNECT_TIMEOUT_S = 5


def database(home: Path) -> Finding:
    """The database that the settings of `home` name."""
    from hanlin.settings import load_settings

    try:
        url = load_settings(home=home).database
    except HanlinError as error:
        return Finding("database", "problem", error.text(terminal_language()), error.advice(terminal_language()))
    kind, _, path = url.partition(":///")
    return _sqlite(Path(path)) if kind == "sqlite" else _postgres(url)


def _sqlite(path: Path) -> Finding:
    if not path.exists():
        return Finding("database", "note", say("doctor.no_database"), "hanlin up")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except (sqlite3.Error, TypeError) as error:
        return Finding("database", "problem", str(error)[:120], say("doctor.database"))
    size = path.stat().st_size / 1e6
    if verdict != "ok":
        return Finding("database", "problem", f"{revision} ({size:.1f} MB, {verdict})", say("doctor.database"))
    return _judged(str(revision), f"({size:.1f} MB, ok)")


def _postgres(url: str) -> Finding:
    """Any other database: by the same code as the server's, in a connection that is given up after a few seconds."""
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        from hanlin.storage.database import Database
    except ModuleNotFoundError:
        return Finding("database", "note", say("doctor.absent"), 'pip install "hanlin[server]"')
    try:
        parsed = make_url(url)
        if "connect_timeout" not in parsed.query:
            parsed = parsed.update_query_dict({"connect_timeout": str(CONNECT_TIMEOUT_S)})
        found = Database(parsed.render_as_string(hide_password=False))
        try:
            revision = found.revision()
        finally:
            found.close()
    except HanlinError as error:
        return Finding("database", "problem", error.text(terminal_language()), error.advice(terminal_language()))
    except (ArgumentError, ValueError):
        return Finding("database", "problem", say("doctor.bad_database_url"), say("doctor.database_url"))
    place = f"{parsed.get_backend_name()} {parsed.host or ''}/{parsed.database or ''}"
    if revision is None:
        return Finding("database", "note", f"{place}: {say('doctor.no_database')}", "hanlin up")
    return _judged(revision, f"({place})")


def _judged(revision: str, about: str) -> Finding:
    """The state of the tables: at the newest migration, before it, or of a newer Hanlin."""
    value = f"{revision} {about}"
    if revision == HEAD:
        return Finding("database", "ok", value)
    if revision in REVISIONS:
        return Finding("database", "note", value, say("doctor.old_database", head=HEAD))
    return Finding("database", "problem", value, say("doctor.newer_database", head=HEAD))
