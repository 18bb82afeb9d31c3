"""Session tokens: ours, unexpired, or nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hanlin.console.sessions import SESSION_S, Sessions, load_secret
from hanlin.types import KeyId


def test_a_token_names_its_key_until_it_expires() -> None:
    now = [1000.0]
    sessions = Sessions(b"s" * 32, clock=lambda: now[0])
    token = sessions.create(KeyId("key.1/é"))
    assert sessions.read(token) == "key.1/é"
    now[0] += SESSION_S
    assert sessions.read(token) is None


def test_tokens_differ_each_time() -> None:
    sessions = Sessions(b"s" * 32)
    assert sessions.create(KeyId("a")) != sessions.create(KeyId("a"))


@pytest.mark.parametrize("token", ["", ".", "...", "a.b.c.d", "9999999999.YQ.x." + "0" * 64, "é" * 40, "x" * 100_000, "9999999999.YQ.x.é"])
def test_forged_tokens_are_nothing(token: str) -> None:
    assert Sessions(b"s" * 32).read(token) is None


def test_every_changed_character_breaks_a_token() -> None:
    sessions = Sessions(b"s" * 32)
    token = sessions.create(KeyId("key-1"))
    for index, character in enumerate(token):
        assert sessions.read(token[:index] + ("0" if character != "0" else "1") + token[index + 1 :]) is None


def test_another_secret_knows_nothing() -> None:
    assert Sessions(b"t" * 32).read(Sessions(b"s" * 32).create(KeyId("a"))) is None


def test_a_form_token_is_no_session_and_belongs_to_one_seed() -> None:
    sessions = Sessions(b"s" * 32)
    token = sessions.form_token("one")
    assert sessions.is_form_token("one", token)
    assert not sessions.is_form_token("two", token)
    assert not sessions.is_form_token("", sessions.form_token(""))
    assert sessions.read(token) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sessions(b"short")


def test_gateways_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_secret(tmp_path / "home" / "s"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert (tmp_path / "home" / "s").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["s"]


def test_a_secret_cut_short_is_made_anew(tmp_path) -> None:
    """The gateway must start; sessions of before end."""
    path = tmp_path / "s"
    path.write_bytes(b"short")
    assert len(load_secret(path)) >= 32
    assert load_secret(path) == path.read_bytes()
