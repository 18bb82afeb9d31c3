"""Where the SDK finds server and key."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from hanlin import errors
from hanlin.client.connection import find_key, find_url, is_loopback


def test_url_by_argument_environment_note_default(tmp_path: Path) -> None:
    home = {"HANLIN_HOME": str(tmp_path)}
    assert find_url(None, home) == "http://127.0.0.1:8000"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "server.json").write_text('{"url": "http://127.0.0.1:8123"}')
    assert find_url(None, home) == "http://127.0.0.1:8123"
    assert find_url(None, {**home, "HANLIN_URL": "https://models.example/"}) == "https://models.example"
    assert find_url("http://[::1]:9/", home) == "http://[::1]:9"
    (tmp_path / "run" / "server.json").write_text("{broken")
    assert find_url(None, home) == "http://127.0.0.1:8000"


def test_a_dead_servers_note_gives_way_to_settings(tmp_path: Path) -> None:
    settings = {"HANLIN_HOME": str(tmp_path), "HANLIN_PORT": "8123"}
    (tmp_path / "run").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        alive = f"http://127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "run" / "server.json").write_text(json.dumps({"url": alive, "pid": 1}))
        assert find_url(None, settings) == alive, "it answers"
    assert find_url(None, settings) == "http://127.0.0.1:8123", "it does not"
    assert find_url(None, {"HANLIN_HOME": str(tmp_path)}) == alive, "nothing better is known"
    (tmp_path / "run" / "server.json").write_text('{"url": "http://127.0.0.1:no-port"}')
    assert find_url(None, settings) == "http://127.0.0.1:8123"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"HANLIN_PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"HANLIN_PORT": "0"}, "http://127.0.0.1:8000"),
        ({"HANLIN_HOST": "0.0.0.0", "HANLIN_PORT": "81"}, "http://127.0.0.1:81"),
        ({"HANLIN_HOST": "::"}, "http://[::1]:8000"),
        ({"HANLIN_HOST": "10.0.0.7"}, "http://10.0.0.7:8000"),
    ],
)
def test_without_a_running_server_the_url_is_where_one_would_answer(tmp_path: Path, settings: dict[str, str], url: str) -> None:
    assert find_url(None, {"HANLIN_HOME": str(tmp_path), **settings}) == url
    assert find_url(None, {"HANLIN_HOME": str(tmp_path), **settings, "HANLIN_URL": "http://a"}) == "http://a"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "127.0.0.1:8000",
        "http://",
        "http://host:99999",
        "http://ho st",
        "http://host\r\nX: y",
        "http://host?a=b",
        "http://host/v1",
        "file:///etc/passwd",
    ],
)
def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        find_url(url)
    assert caught.value.code == "invalid_server_url"


def test_key_by_argument_environment_home(tmp_path: Path) -> None:
    home = {"HANLIN_HOME": str(tmp_path)}
    with pytest.raises(errors.Unauthenticated) as caught:
        find_key(None, home)
    assert caught.value.code == "key_missing"
    (tmp_path / "owner.key").write_text("hl_owner\n")
    assert find_key(None, home) == "hl_owner"
    assert find_key(None, {**home, "HANLIN_KEY": "hl_env"}) == "hl_env"
    assert find_key("hl_arg", home) == "hl_arg"


@pytest.mark.parametrize("key", ["hl_\r\nX-Evil: 1", "hl_密钥", "hl a", "x" * 2000, "hl_\0"])
def test_a_key_that_cannot_stand_in_a_header(key: str) -> None:
    with pytest.raises(errors.Unauthenticated) as caught:
        find_key(key, {})
    assert caught.value.code == "key_malformed"
    assert key not in str(caught.value)


def test_calls_to_this_machine_use_no_proxy() -> None:
    assert is_loopback("http://127.0.0.1:8000")
    assert is_loopback("http://localhost:8000")
    assert is_loopback("http://[::1]:8000")
    assert not is_loopback("http://10.0.0.1")
