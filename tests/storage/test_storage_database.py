"""The database: migrations agree with the tables, nothing acknowledged is lost, writers stand in line."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from hanlin.errors import Conflict, DataCorrupt, Internal, InvalidInput, NotReady
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database, bump, find_or_add
from hanlin.storage.migrations import HEAD, REVISIONS
from hanlin.storage.tables import AuditRow, CounterRow, TeamRow
from hanlin.types import utc_now


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.read() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), TeamRow.metadata) == []


def test_migrating_again_does_not_load_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hanlin.db'}"
    code = f"import sys; from hanlin.storage.database import Database; Database({url!r}).migrate(); print('alembic' in sys.modules)"
    said = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() for _ in range(2)]
    assert said == ["True", "False"]


def test_the_revisions_are_a_chain_of_files() -> None:
    folder = Path(__file__).parents[2] / "src/hanlin/storage/migrations/versions"
    assert sorted(path.name[1:5] for path in folder.glob("m*.py")) == sorted(REVISIONS)


def test_every_table_has_a_team(database: Database) -> None:
    with database.read() as session:
        inspector = inspect(session.connection())
        for table in inspector.get_table_names():
            if table != "alembic_version":
                assert "team_id" in {column["name"] for column in inspector.get_columns(table)}, table


def test_a_newer_database_is_left_alone(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict) as caught:
        database.migrate()
    assert caught.value.code == "database_newer"


def test_many_processes_migrate_at_once(empty_database_url: str) -> None:
    code = f"from hanlin.storage.database import Database; Database({empty_database_url!r}).migrate()"
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    database = Database(empty_database_url)
    with database.read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
        assert session.scalars(select(TeamRow.team_id)).all() == ["default"]
    database.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_file_is_private(tmp_path: Path, database: Database) -> None:
    database.change_counter()
    for path in tmp_path.glob("hanlin.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_is_durable_and_strict(database: Database) -> None:
    with database.read() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(
            text("INSERT INTO aliases (team_id, model_id, name, version_id, updated_at) VALUES ('default', 7, 'x', 7, '2026-01-01')")
        )


def test_what_raises_is_rolled_back_and_reads_write_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        append_audit(session, team_id="default", actor="a", action="b", subject="c")
        session.flush()
        raise RuntimeError
    with database.read() as session:
        append_audit(session, team_id="default", actor="a", action="b", subject="c")
        session.flush()
    with database.read() as session:
        assert session.scalars(select(AuditRow)).all() == []


def test_moments_keep_their_zone(database: Database) -> None:
    with database.write() as session:
        append_audit(session, team_id="default", actor="a", action="b", subject="c")
    with database.read() as session:
        moment = session.scalars(select(AuditRow.created_at)).one()
    assert moment.utcoffset() is not None
    assert abs((utc_now() - moment).total_seconds()) < 60
    with pytest.raises(Exception, match="time zone"), database.write() as session:
        session.add(AuditRow(team_id="default", actor="a", action="b", subject="c", created_at=utc_now().replace(tzinfo=None)))


def test_writers_stand_in_line(database: Database) -> None:
    """Read-then-write transactions from many threads: none fails, none is lost."""

    def work() -> None:
        for _ in range(20):
            with database.write() as session:
                session.scalars(select(TeamRow)).all()
                bump(session)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.change_counter() == 80


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        before = session.scalars(select(CounterRow.value)).all()
        with database.write() as other:
            bump(other)
        assert session.scalars(select(CounterRow.value)).all() == before
    assert database.change_counter() == 1


def test_who_adds_the_same_at_once_finds_it(database: Database) -> None:
    """The second writer looks before the first has committed; on SQLite it cannot even begin to."""
    begun, found = threading.Event(), []

    def team() -> TeamRow:
        return TeamRow(team_id="new", name="new", is_active=True, created_at=utc_now())

    def late() -> None:
        begun.set()
        with database.write() as session:
            row = find_or_add(session, select(TeamRow).where(TeamRow.team_id == "new"), team())
            found.append((row.team_id, row.name))

    thread = threading.Thread(target=late)
    with database.write() as session:
        first = find_or_add(session, select(TeamRow).where(TeamRow.team_id == "new"), team())
        first.name = "first"
        session.flush()
        thread.start()
        begun.wait()
    thread.join()
    assert found == [("new", "first")]


def test_a_postgres_that_is_not_there(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(NotReady) as caught:
        database.change_counter()
    assert caught.value.code == "database_unavailable"


@pytest.mark.parametrize(("database_url", "empty_database_url"), [("postgresql", "postgresql")], indirect=True)
def test_postgres_says_what_is_wrong(empty_database_url: str, database: Database) -> None:
    with pytest.raises(Internal) as missing, closing(Database(empty_database_url)) as empty, empty.read() as session:
        session.scalars(select(TeamRow)).all()
    assert missing.value.code == "database_not_migrated"
    with pytest.raises(NotReady) as gone, database.read() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert gone.value.code == "database_unavailable"
    assert database.change_counter() == 0  # the next one is a new connection


def test_a_lock_that_stays_is_a_503(database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.storage.database.BUSY_TIMEOUT_S", 0.1)
    waiting = Database(database_url)
    with database.write() as session:
        bump(session)
        with pytest.raises(NotReady) as caught, waiting.write() as late:
            bump(late)
        assert caught.value.code == "database_busy"
        assert waiting.change_counter() == 0  # readers are not held up
    waiting.close()


def test_clear_errors_for_bad_places(tmp_path: Path) -> None:
    for url in ("", "nonsense", "mysql://host/x", "sqlite://"):
        with pytest.raises(InvalidInput) as caught:
            Database(url)
        assert caught.value.code == "invalid_database_url"
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotReady):
        Database(f"sqlite:///{tmp_path / 'file' / 'hanlin.db'}")
    (tmp_path / "bad.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DataCorrupt):
        Database(f"sqlite:///{tmp_path / 'bad.db'}").migrate()
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Internal) as missing, empty.read() as session:
        session.scalars(select(TeamRow)).all()
    assert missing.value.code == "database_not_migrated"
    empty.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_watch_sees_every_commit_of_others_and_of_this_process_once(database: Database, tmp_path: Path) -> None:
    watch = database.watch()
    assert watch.has_news()
    assert not watch.has_news()
    with database.write() as session:
        bump(session)
    assert watch.has_news()
    assert not watch.has_news()
    with pytest.raises(RuntimeError), database.write() as session:  # rolled back: nothing to see
        bump(session)
        raise RuntimeError
    assert not watch.has_news()
    other = Database(str(database._engine.url))
    with other.write() as session:
        bump(session)
    other.close()
    assert watch.has_news()


# Forks one writer a line; each says its process id, then every number whose commit has returned, until it is killed.
WRITER = """
import os, sys
from hanlin.storage.audit import append_audit
from hanlin.storage.database import Database

def write(number):
    database = Database(sys.argv[1])
    while True:
        with database.write() as session:
            append_audit(session, team_id="default", actor="writer", action="count", subject=str(number))
        os.write(1, f"{number}\\n".encode())
        number += 1

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.write(1, f"{os.getpid()}\\n".encode())
        write(int(line))
    os.waitpid(child, 0)
    os.write(1, b"end\\n")
"""


def kill_campaign(path: Path, kills: int) -> int:
    """Kills a writer again and again, at ever other moments, and checks the rows after each; returns how many there are."""
    Database(f"sqlite:///{path}").migrate()
    count = 0
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, f"sqlite:///{path}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for turn in range(kills):
            print(count, file=parent.stdin, flush=True)
            child = int(parent.stdout.readline())
            said = [int(parent.stdout.readline())] if turn % 3 else []  # every third dies before, or at, its first commit
            time.sleep((turn * 37 % 100) / 2000)
            os.kill(child, signal.SIGKILL)
            said += [int(line) for line in iter(parent.stdout.readline, "end\n")]
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                found = [int(row[0]) for row in connection.execute("SELECT subject FROM audit ORDER BY id")]
            assert found == list(range(len(found))), "a gap or a twin"
            assert len(found) - (said[-1] + 1 if said else count) in {0, 1}, (
                "an acknowledged row is missing, or more than the one in flight is there"
            )
            count = len(found)
        parent.stdin.close()
    return count


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert kill_campaign(tmp_path / "hanlin.db", 60) > 20


@pytest.mark.soak
def test_kill_9_loses_nothing_acknowledged_long(tmp_path: Path) -> None:
    assert kill_campaign(tmp_path / "hanlin.db", 10_000) > 10_000
