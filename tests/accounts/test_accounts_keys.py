"""Keys: never stored in plain, refused alike, revoked within a second everywhere."""

from __future__ import annotations

import re
import sqlite3
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hanlin.accounts import Accounts, Key
from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Unauthenticated
from hanlin.storage.database import Database, bump
from hanlin.storage.tables import AuditRow, TeamRow
from hanlin.types import TeamId, utc_now


class Time:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start = utc_now()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def accounts(database: Database, time: Time) -> Accounts:
    return Accounts(database, clock=time.now, monotonic=time.monotonic)


def test_a_key_opens_what_its_scopes_say(accounts: Accounts) -> None:
    key, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read", "predict", "read"])
    assert re.fullmatch(r"hl_[A-Za-z0-9_-]{43}", secret)
    assert key.scopes == ("predict", "read")
    assert key.prefix == secret[:8]
    principal = accounts.authenticate(f"Bearer {secret}")
    assert principal == accounts.authenticate(f"bearer  {secret} ")
    assert (principal.team_id, principal.key_id) == (DEFAULT_TEAM, key.id)
    principal.require("predict")
    with pytest.raises(PermissionDenied) as caught:
        principal.require("write")
    assert caught.value.code == "scope_missing"
    assert accounts.list_keys(DEFAULT_TEAM) == [key]


def test_all_refusals_are_alike(accounts: Accounts, time: Time) -> None:
    revoked, revoked_secret = accounts.create_key(DEFAULT_TEAM, "a", ["read"])
    accounts.revoke_key(DEFAULT_TEAM, revoked.id)
    _, expired = accounts.create_key(DEFAULT_TEAM, "b", ["read"], expires_at=time.now() + timedelta(seconds=5))
    accounts.authenticate(f"Bearer {expired}")
    time.seconds = 6
    unknown = "hl_" + "x" * 43
    _, good = accounts.create_key(DEFAULT_TEAM, "c", ["read"])
    bodies = set()
    wrong = [
        None,
        "",
        "Bearer",
        "Bearer x",
        f"Basic {unknown}",
        f"Bearer {unknown}",
        expired,
        "Bearer " + "é" * 43,
        "Bearer " + "x" * 100_000,
        f"Bearer {good}" + " " * 200 + "x",
    ]
    for header in (*wrong, f"Bearer {expired}", f"Bearer {revoked_secret}"):
        with pytest.raises(Unauthenticated) as caught:
            accounts.authenticate(header)
        bodies.add(str(caught.value.to_wire()))
    assert len(bodies) == 1


def test_revocation_reaches_other_processes_within_a_second(accounts: Accounts, time: Time, database: Database) -> None:
    elsewhere = Accounts(database, clock=time.now, monotonic=time.monotonic)
    key, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read"])
    elsewhere.authenticate(f"Bearer {secret}")
    accounts.revoke_key(DEFAULT_TEAM, key.id)
    time.seconds += 1.0
    with pytest.raises(Unauthenticated):
        elsewhere.authenticate(f"Bearer {secret}")


def test_the_hot_path_asks_the_database_once_a_second(
    accounts: Accounts, time: Time, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read"])
    accounts.authenticate(f"Bearer {secret}")
    reads = 0
    read = database.read

    def counted() -> object:
        nonlocal reads
        reads += 1
        return read()

    monkeypatch.setattr(database, "read", counted)
    for step in range(500):
        time.seconds = step / 100
        accounts.authenticate(f"Bearer {secret}")
    assert reads <= 5


def test_a_flood_of_made_up_keys_is_bounded(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.accounts.service._MAX_CACHED", 50)
    for number in range(200):
        with pytest.raises(Unauthenticated):
            accounts.authenticate(f"Bearer hl_{number:043d}")
    assert len(accounts._cache) <= 50


def test_a_new_key_works_at_once_though_it_was_refused_before(accounts: Accounts, time: Time, tmp_path: Path) -> None:
    secret = "hl_" + "a" * 43
    with pytest.raises(Unauthenticated):
        accounts.authenticate(f"Bearer {secret}")
    (tmp_path / "owner.key").write_text(secret)
    accounts.ensure_owner_key(tmp_path)
    time.seconds += 1
    assert accounts.authenticate(f"Bearer {secret}").scopes == {"admin"}


def test_a_session_lives_as_long_as_its_key(accounts: Accounts, time: Time) -> None:
    key, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read"])
    assert accounts.resume(key.id) == accounts.authenticate(f"Bearer {secret}")
    accounts.revoke_key(DEFAULT_TEAM, key.id)
    time.seconds += 1
    for name in (key.id, "key_unknown", "", secret):
        with pytest.raises(Unauthenticated):
            accounts.resume(name)


def set_team_active(database: Database, *, is_active: bool) -> None:
    with database.write() as session:
        session.get_one(TeamRow, DEFAULT_TEAM).is_active = is_active
        bump(session)


def test_a_disabled_team(accounts: Accounts, database: Database, time: Time) -> None:
    _, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read"])
    set_team_active(database, is_active=False)
    time.seconds += 1
    with pytest.raises(PermissionDenied) as caught:
        accounts.authenticate(f"Bearer {secret}")
    assert caught.value.code == "team_disabled"
    set_team_active(database, is_active=True)
    time.seconds += 1
    accounts.authenticate(f"Bearer {secret}")


def test_bad_requests(accounts: Accounts, time: Time) -> None:
    for name, scopes, expires in (("..", ["read"], None), ("a", [], None), ("a", ["root"], None), ("a", ["read"], time.now())):
        with pytest.raises(InvalidInput):
            accounts.create_key(DEFAULT_TEAM, name, scopes, expires_at=expires)
    with pytest.raises(NotFound):
        accounts.revoke_key(DEFAULT_TEAM, "key_x")
    key, _ = accounts.create_key(DEFAULT_TEAM, "a", ["read"])
    with pytest.raises(NotFound):
        accounts.revoke_key(TeamId("other"), key.id)


def test_the_last_admin_key_stays(accounts: Accounts) -> None:
    first, _ = accounts.create_key(DEFAULT_TEAM, "a", ["admin"])
    with pytest.raises(Conflict) as caught:
        accounts.revoke_key(DEFAULT_TEAM, first.id)
    assert caught.value.code == "last_admin_key"
    accounts.create_key(DEFAULT_TEAM, "b", ["admin"])
    revoked = accounts.revoke_key(DEFAULT_TEAM, first.id)
    assert accounts.revoke_key(DEFAULT_TEAM, first.id) == revoked


def test_the_owner_key(accounts: Accounts, tmp_path: Path, database: Database) -> None:
    home = tmp_path / "home"
    secret = accounts.ensure_owner_key(home)
    assert secret is not None
    path = home / "owner.key"
    assert path.read_text() == secret + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert accounts.ensure_owner_key(home) is None
    accounts.authenticate(f"Bearer {secret}").require("admin")
    # A crash between file and row: the next start makes the row from the file.
    with database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM keys")
    assert accounts.ensure_owner_key(home) == secret
    assert len(accounts.list_keys(DEFAULT_TEAM)) == 1


def test_of_the_last_two_admin_keys_revoked_at_once_one_stays(accounts: Accounts) -> None:
    keys = [accounts.create_key(DEFAULT_TEAM, f"k{number}", ["admin"])[0] for number in range(2)]
    refused: list[str] = []

    def revoke(key: Key) -> None:
        try:
            accounts.revoke_key(DEFAULT_TEAM, key.id)
        except Conflict as error:
            refused.append(error.code)

    threads = [threading.Thread(target=revoke, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last_admin_key"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_secret_is_nowhere_on_disk(accounts: Accounts, tmp_path: Path, database: Database) -> None:
    key, secret = accounts.create_key(DEFAULT_TEAM, "app", ["read"])
    accounts.authenticate(f"Bearer {secret}")
    accounts.revoke_key(DEFAULT_TEAM, key.id)
    with database.read() as session:
        assert [row.action for row in session.query(AuditRow)] == ["key.create", "key.revoke"]
    with sqlite3.connect(tmp_path / "hanlin.db") as source, sqlite3.connect(tmp_path / "backup.db") as target:
        source.backup(target)
    source.close()
    target.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3  # database, WAL, backup
    for path in files:
        data = path.read_bytes()
        assert secret.encode() not in data, path.name
        assert secret[:9].encode() not in data, path.name
        assert secret[8:].encode() not in data, path.name


def test_a_batch_key_is_told_apart_and_nobody_can_ask_for_one(accounts: Accounts) -> None:
    key, secret = accounts.create_key(DEFAULT_TEAM, "batch-job_x", ["predict"], is_batch=True)
    assert (key.scopes, key.is_batch) == (("predict",), True)
    principal = accounts.authenticate(f"Bearer {secret}")
    assert principal.is_batch
    assert principal.scopes == {"predict"}
    with pytest.raises(InvalidInput) as caught:
        accounts.create_key(DEFAULT_TEAM, "sly", ["predict", "batch"])
    assert caught.value.code == "unknown_scope"
