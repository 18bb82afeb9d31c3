"""What several rooms share: a database of each kind, and threads that wait without spinning.

PostgreSQL is a private server, started when a test first asks for it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy.engine import make_url

from hanlin.storage.database import Database
from hanlin.storage.tables import Table

NUMBERS = itertools.count()

# Read when torch is loaded, here and in each process started here: threads that spin while they wait for one another cost a busy
# machine twenty times what they compute.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

hypothesis.settings.register_profile("hanlin", deadline=None)  # machines are noisy: how long a case takes is no property of it
hypothesis.settings.load_profile("hanlin")


class PostgresServer:
    """A server on a socket in a folder of its own, with one migrated database that tests use in turn. Nothing outlives the tests."""

    def __init__(self, folder: Path, *, user: str | None) -> None:
        self.folder = folder
        programs = _programs()
        subprocess.run(
            [programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
             "--locale", "C", "--no-sync"], check=True, capture_output=True, user=user, cwd=folder,
        )  # fmt: skip
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-F"]
        # The shell ends the server when its input does: also after a kill -9 of the tests.
        keeper = ["sh", "-c", '"$@" & read _; kill -QUIT $!; wait', "keeper", *command]
        with (folder / "log").open("w") as log:
            self.keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, stderr=log, user=user, cwd=folder)
        self._wait_until_ready()
        self.migrated = self.new()
        database = Database(self.migrated)
        database.migrate()
        database.close()
        self.tables = ["alembic_version", *(table.name for table in Table.metadata.sorted_tables)]
        self._keep_pristine()

    def new(self) -> str:
        """The URL of a database without any table."""
        name = f"test{next(NUMBERS)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def clean(self) -> None:
        """The migrated database as it was after its migration: emptying its tables takes a tenth of copying a database."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        copies = [f"INSERT INTO {table} TABLE pristine.{table}" for table in self.tables]
        self.execute(others, f"TRUNCATE {', '.join(self.tables)} RESTART IDENTITY CASCADE", *copies, name=self._name)

    def _keep_pristine(self) -> None:
        copies = [f"CREATE TABLE pristine.{table} AS TABLE {table}" for table in self.tables]
        self.execute("CREATE SCHEMA pristine", *copies, name=self._name)

    @property
    def _name(self) -> str:
        return str(make_url(self.migrated).database)

    def execute(self, *commands: str, name: str = "postgres") -> None:
        """Runs an administrator's commands."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname=name, autocommit=True) as connection:
            for command in commands:
                connection.execute(command.encode())

    def close(self) -> None:
        """Ends the server and waits for it."""
        self.keeper.communicate(timeout=60)

    def _wait_until_ready(self) -> None:
        for _ in range(600):
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self.keeper.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError(f"PostgreSQL does not answer: {(self.folder / 'log').read_text()}")


def _programs() -> Path:
    """Where `initdb` and `postgres` are; Debian keeps them off the path."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert places, "the database tests need PostgreSQL's programs: run scripts/postgres.sh"
    return places[-1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="hanlin-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(folder, user)
    server = PostgresServer(folder, user=user)
    yield server
    server.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database of SQLite, to be copied: a hundredth of a migration."""
    path = tmp_path_factory.mktemp("migrated") / "hanlin.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """A migrated database of each kind. A test of one kind alone says so:

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    """
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        server.clean()
        return server.migrated
    shutil.copy(migrated_file, tmp_path)
    return f"sqlite:///{tmp_path / migrated_file.name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind without any table."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new()
    return f"sqlite:///{tmp_path / 'hanlin.db'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    yield found
    found.close()


@pytest.fixture(scope="session", autouse=True)
def compiler_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What torch's compiler finds out about this machine is found out once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield
