"""The database: one engine, short transactions, migrations at start. Knows tables only by their migrations.

SQLite runs in WAL mode with `synchronous=FULL`: a commit that returned survives a power cut. A write transaction takes
SQLite's one write lock at its beginning (`BEGIN IMMEDIATE`), so it never fails half way for being too late. PostgreSQL's writers
lock the rows that they read in order to change them, and wait as long for one another as SQLite's do.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine, event, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from hanlin.errors import Conflict, DataCorrupt, HanlinError, Internal, InvalidInput, NotReady
from hanlin.storage.migrations import HEAD, REVISIONS
from hanlin.storage.table_base import Table
from hanlin.storage.tables import CounterRow

BUSY_TIMEOUT_S = 15
Row = TypeVar("Row", bound=Table)
_MAX_ADDS = 20
_GLOBAL = ("*", "changes")


class Database:
    """A database by SQLAlchemy URL: SQLite, or PostgreSQL through psycopg.

    Threads may share one; every process makes its own (never carry one over a fork).

    Args:
        url: such as `sqlite:////home/me/.hanlin/hanlin.db` or `postgresql+psycopg://…`.

    Raises:
        InvalidInput: `invalid_database_url`, or `missing_extra` when the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._engine = _connect(url)
        self._writer = self._engine.execution_options(is_write=True)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        # PostgreSQL's default would show every statement of one read the commits of others in between.
        self._reader = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._watches: list[ChangeWatch] = []

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session over one consistent snapshot; what it writes is thrown away."""
        with database_errors(), Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end of the block, or rolls back when it raises. Keep it short.

        Raises:
            NotReady: `database_busy`, `storage_full` or `database_unavailable`; nothing was written.
        """
        with database_errors(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Brings the tables up to date; takes about a millisecond when they are.

        Raises:
            Conflict: `database_newer` when a newer Hanlin wrote it.
        """
        with database_errors():
            with self._engine.connect() as connection:
                if self._revision(connection) == HEAD:
                    return
            with self._writer.begin() as connection:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(7240182)"))  # one process migrates, the others wait
                revision = self._revision(connection)
                if revision is not None and revision not in REVISIONS:
                    raise Conflict("database_newer", revision=revision[:40])
                if revision != HEAD:
                    from hanlin.storage.migrations.run import upgrade

                    upgrade(connection)

    def revision(self) -> str | None:
        """The migration that its tables are at; None where there are none yet. Raises NotReady (`database_unavailable`)."""
        with database_errors(), self._engine.connect() as connection:
            return self._revision(connection)

    def change_counter(self) -> int:
        """Grows whenever keys, teams or deployments changed in any process; cheap enough to ask every second."""
        with self.read() as session:
            value = session.scalar(select(CounterRow.value).where(CounterRow.team_id == _GLOBAL[0], CounterRow.name == _GLOBAL[1]))
        return value or 0

    def watch(self) -> ChangeWatch:
        """A new watch over every commit of every process; it is closed with the database."""
        watch = ChangeWatch(str(self._engine.url.database) if self.is_sqlite else None)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        """Closes all pooled connections and all watches."""
        for watch in self._watches:
            watch.close()
        self._engine.dispose()

    def _revision(self, connection: Connection) -> str | None:
        if not self._engine.dialect.has_table(connection, "alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


class ChangeWatch:
    """Tells loops that look several times a second whether asking the database can be worth while. One thread at a time.

    SQLite's `PRAGMA data_version` sees every commit of every other connection and costs about 10 µs, a fiftieth of the
    smallest query; it has a connection of its own, so this process's commits count too. PostgreSQL has no such thing.
    """

    def __init__(self, path: str | None) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False) if path else None
        self._seen = -1

    def has_news(self) -> bool:
        """Whether anything was committed since the last call; always true at first, and where nobody can tell cheaply."""
        if self._connection is None:
            return True
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # the question itself will say what is wrong with the database
            return True
        is_new: bool = version != self._seen
        self._seen = version
        return is_new

    def close(self) -> None:
        """Gives the connection back; from then on it says yes to everything."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def bump(session: Session) -> None:
    """Moves the change counter, in the caller's transaction."""
    team, name = _GLOBAL
    session.execute(update(CounterRow).where(CounterRow.team_id == team, CounterRow.name == name).values(value=CounterRow.value + 1))


def find_or_add(session: Session, query: Select[Row], new: Row) -> Row:
    """The row that `query` finds, locked; else `new`. Whoever adds the same at once waits, and finds it.

    Raises:
        NotReady: `database_busy`: others add and delete it again and again.
    """
    locked = query.with_for_update()
    for _ in range(_MAX_ADDS):
        if (row := session.scalar(locked)) is not None:
            return row
        try:
            with session.begin_nested():
                session.add(new)
        except IntegrityError:  # another one was faster: on PostgreSQL only, SQLite's writers stand in line
            continue  # and may be gone again by now
        return new
    raise NotReady("database_busy", retry_after_s=1.0)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns a driver's failure inside the block into ours. Violated constraints pass through: they are the caller's to explain."""
    try:
        yield
    except DatabaseError as error:
        is_sqlite = isinstance(error.orig, sqlite3.Error)
        if translated := _translate_sqlite(error) if is_sqlite else _translate_postgres(error):
            raise translated from error
        raise


def _translate_sqlite(error: DatabaseError) -> HanlinError | None:
    words = str(error.orig).lower()
    if "full" in words or "disk i/o" in words or "no space" in words:
        return NotReady("storage_full", retry_after_s=10.0, details=words)
    if "locked" in words or "busy" in words:
        return NotReady("database_busy", retry_after_s=1.0, details=words)
    if "malformed" in words or "not a database" in words:
        return DataCorrupt("database_corrupt", details=words)
    if "readonly" in words or "unable to open" in words or error.connection_invalidated:
        return NotReady("database_unavailable", retry_after_s=5.0, details=words)
    if "no such table" in words:
        return Internal("database_not_migrated", details=words)
    return None


def _translate_postgres(error: DatabaseError) -> HanlinError | None:
    """By SQLSTATE: its messages come in the server's language. Source: PostgreSQL's manual, appendix A."""
    words, state = str(error.orig), str(getattr(error.orig, "sqlstate", None) or "")
    if state in {"53100", "58030"}:  # disk full, input or output failed
        return NotReady("storage_full", retry_after_s=10.0, details=words)
    if state in {"40001", "40P01", "55P03"}:  # not serializable, deadlock, a lock that stayed
        return NotReady("database_busy", retry_after_s=1.0, details=words)
    if state.startswith("XX00"):
        return DataCorrupt("database_corrupt", details=words)
    if state == "42P01":  # no such table
        return Internal("database_not_migrated", details=words)
    # Without a state nothing was reached; 08: the connection broke; 25006: a standby; 28, 3D: who and where; 53, 57P: no room, not up.
    if not state or error.connection_invalidated or state.startswith(("08", "28", "3D", "53", "57P")) or state == "25006":
        return NotReady("database_unavailable", retry_after_s=5.0, details=words)
    return None


def _connect(url: str) -> Engine:
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
        if name not in {"sqlite", "postgresql"} or (name == "sqlite" and not parsed.database):
            raise InvalidInput("invalid_database_url")
        options: dict[str, object] = {"json_serializer": functools.partial(json.dumps, ensure_ascii=False, allow_nan=False)}
        if name == "sqlite":
            _create_private(Path(str(parsed.database)))
            engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}, **options)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        given = parsed.query.get("options", ())
        waits = (given if isinstance(given, str) else " ".join(given)) + f" -c lock_timeout={round(BUSY_TIMEOUT_S * 1000)}"
        parsed = parsed.update_query_dict({"options": waits.strip()})
        return create_engine(parsed, pool_pre_ping=True, pool_timeout=10, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidInput("invalid_database_url") from error
    except ModuleNotFoundError as error:
        raise InvalidInput("missing_extra", feature="PostgreSQL", extra="postgres") from error


def _create_private(path: Path) -> None:
    """Makes the file readable by its owner only before SQLite opens it; the WAL inherits that."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise NotReady("database_unavailable", details=str(error)) from error


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver shall not guess where transactions begin; `_begin_sqlite` says it
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("is_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
